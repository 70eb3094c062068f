"""The rules of thumb: what each chooses and the reason it gives, and that the user's word is above them all."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqsmith import config
from seqsmith.data.statistics import TextStatistics
from seqsmith.errors import UserError
from seqsmith.model.build import build_model
from seqsmith.search.answer import longest_answers
from seqsmith.train.recipe import Recipe, Side, choose, lines, longest_ratio

HAN = "".join(chr(0x4E00 + number) for number in range(2000))
HANGUL = "".join(chr(0xAC00 + 11 * number) for number in range(900))


def texts(words: Sequence[str], *, length: int, rows: int = 300, space: str = " ", seed: int = 1) -> list[str]:
    chance = random.Random(seed)
    return [space.join(chance.choices(words, k=chance.randint(length - length // 3, length))) for _ in range(rows)]


def vocabulary(size: int, letters: str = "abcdefghijklmnopqrstuvwxyz", *, seed: int = 1) -> list[str]:
    chance = random.Random(seed)
    return ["".join(chance.choices(letters, k=chance.randint(2, 9))) for _ in range(size)]


ENGLISH = texts(vocabulary(3000), length=14)
GREEK = texts(vocabulary(3000, "αβγδεζηθικλμν"), length=14)
NAMES = vocabulary(300)
PHONEMES = texts(["t", "k", "aː", "ʃ", "ɪ", "n", "ə", "s"], length=7)
COMMANDS = texts(["jump", "walk", "twice", "and", "left", "right", "thrice", "after"], length=6)
ACTIONS = texts(["I_JUMP", "I_WALK", "I_LEFT", "I_RIGHT"], length=12)
SPLIT = texts([f"{word}@@" for word in vocabulary(900)] + vocabulary(900, seed=2), length=14)
CHINESE = texts(HAN, length=70, space="")
FEW_CHINESE = texts(HAN[:600], length=12, space="")
THAI = texts([chr(0x0E01 + number) for number in range(46)], length=60, space="")
CHINESE_NAMES = texts(HAN[:400], length=3, space="")
KOREAN = texts(HANGUL, length=3, space="")
ARTICLES = texts(vocabulary(3000), length=150)
SUBJECTS = texts(vocabulary(3000), length=4)
DATES = texts(["2021-03-05", "1999-12-24", "2001-01-31"], length=1)


def side(sample: Sequence[str]) -> Side:
    statistics = TextStatistics()
    statistics.add(sample)
    return Side(statistics, sample)


def recipe(source: Sequence[str], target: Sequence[str], /, *, pairs: int = 5000, **table: Any) -> Recipe:
    return choose(side(source), side(target), pairs=pairs, table=table)


def chosen(made: Recipe, key: str) -> tuple[Any, str]:
    """The value that the rules chose, and why."""
    [choice] = [choice for choice in made.choices if choice.key == key]
    return choice.value, choice.reason


def resolved(made: Recipe) -> config.Settings:
    return config.build(made.resolved(), where="test")


# ------------------------------------------------------------------------------------------------ each rule


@pytest.mark.parametrize(
    ("source", "target", "key", "value", "reason"),
    [
        (ENGLISH, GREEK, "source.tokeniser.kind", "sentencepiece", "running text of 12 words a line"),
        (NAMES, PHONEMES, "source.tokeniser.kind", "characters", "short texts of 6 characters in 1.0 words"),
        (NAMES, PHONEMES, "target.tokeniser.kind", "symbols", "8 different words, already split by spaces"),
        (COMMANDS, ACTIONS, "source.tokeniser.kind", "symbols", "8 different words, already split by spaces"),
        (SPLIT, SPLIT, "target.tokeniser.kind", "symbols", "1,.* different words, already split by spaces"),
        (
            CHINESE,
            ENGLISH,
            "source.tokeniser.kind",
            "characters",
            "an alphabet of 2,000 signs and no spaces between wo",
        ),
        (
            ENGLISH,
            GREEK,
            "source.tokeniser.vocabulary",
            2500,
            "35 times the square root of 5,000 pairs, at most 32,000",
        ),
        (NAMES, PHONEMES, "joint_vocabulary", False, "the sides are cut in different ways"),
        (ENGLISH, ENGLISH[::-1], "joint_vocabulary", True, "100% of the characters occur on both sides"),
        (ENGLISH, GREEK, "joint_vocabulary", False, ".*% of the characters occur on both sides"),
        (COMMANDS, ACTIONS, "joint_vocabulary", False, "0% of the words occur on both sides"),
        (SPLIT, SPLIT[::-1], "joint_vocabulary", True, "100% of the words occur on both sides"),
        (KOREAN, PHONEMES, "source.normalise", "nfd", r"\d+ letters are made of \d+ parts"),
        (NAMES, PHONEMES, "source.normalise", "none", "texts are taken as they are"),
        (KOREAN, KOREAN[::-1], "source.normalise", "none", "texts are taken as they are"),
        (KOREAN, PHONEMES, "target.normalise", "none", "answers are written as in the data"),
        (ENGLISH, GREEK, "train.score", "bleu", "running text"),
        (SPLIT, SPLIT, "train.score", "bleu", "running text"),
        (NAMES, PHONEMES, "train.score", "exact_match", "each source has one right answer"),
        (COMMANDS, ACTIONS, "train.score", "exact_match", "each source has one right answer"),
        (ENGLISH, CHINESE, "train.score", "chrf", "text without spaces between words"),
        (ENGLISH, FEW_CHINESE, "train.score", "chrf", "text without spaces between words"),
        (ENGLISH, THAI, "train.score", "chrf", "text without spaces between words"),
        (FEW_CHINESE, THAI, "train.score", "chrf", "text without spaces between words"),
        (NAMES, CHINESE_NAMES, "train.score", "exact_match", "each source has one right answer"),
        (CHINESE_NAMES, PHONEMES, "train.score", "exact_match", "each source has one right answer"),
        (ARTICLES, ENGLISH, "train.score", "rouge_l", "targets are far shorter than sources: a summary"),
        (
            ARTICLES,
            SUBJECTS,
            "target.tokeniser.kind",
            "sentencepiece",
            r"\d+ different words in answers to running text",
        ),
        (ARTICLES, SUBJECTS, "train.score", "rouge_l", "targets are far shorter than sources: a summary"),
        (ENGLISH, DATES, "target.tokeniser.kind", "characters", "short texts of 10 characters in 1.0 words"),
        (NAMES, PHONEMES, "model.family", "lstm", "short answers, of which one is right"),
        (ENGLISH, GREEK, "model.family", "lstm", "5,000 pairs are few: an LSTM needs less"),
        (ENGLISH, GREEK, "model.encoder.kind", "lstm", "the model's family"),
        (ENGLISH, GREEK, "model.encoder.width", 512, r"for about \d+,000 target tokens"),
        (ENGLISH, GREEK, "model.share_embeddings", "target", "what is read and what is written are the same words"),
        (ENGLISH, ENGLISH[::-1], "model.share_embeddings", "all", "one vocabulary for both sides"),
        (NAMES, PHONEMES, "train.rate", 0.002, "a small model"),
        (ENGLISH, GREEK, "train.rate", 0.0015, "a recurrent model of few pairs"),
        (ENGLISH, GREEK, "model.encoder.layer_norm", True, "steps of one scale are learnt from sooner"),
        (ENGLISH, GREEK, "model.decoder.attention", "multihead", "scores of one scale, from several places at once"),
        (ENGLISH, GREEK, "train.schedule.kind", "cosine", "the number of updates is known"),
        (ENGLISH, GREEK, "train.label_smoothing", 0.1, "usual"),
        (ENGLISH, GREEK, "train.average", 5, "the mean of the best five checkpoints is mostly better than the best"),
        (ENGLISH, GREEK, "train.early_stop", 10, "validations without a better score"),
        (ENGLISH, GREEK, "search.beam", 5, "usual"),
    ],
)
def test_a_rule_chooses_by_the_data_and_says_why(
    source: list[str], target: list[str], key: str, value: Any, reason: str
) -> None:
    found = chosen(recipe(source, target), key)
    assert found[0] == value
    assert re.match(reason, found[1]), found[1]


def test_a_bare_word_for_the_source_leaves_its_choices_open() -> None:
    assert resolved(recipe(ENGLISH, GREEK, source="text")) == resolved(recipe(ENGLISH, GREEK))


@pytest.mark.parametrize("kind", ["characters", "bytes", "words"])
def test_running_text_is_scored_as_such_however_it_is_cut(kind: str) -> None:
    table = {"source": {"tokeniser": {"kind": kind}}, "target": {"tokeniser": {"kind": kind}}}
    made = recipe(ENGLISH, GREEK, **table)
    assert chosen(made, "train.score") == ("bleu", "running text")
    assert chosen(made, "model.decoder.layer_norm")[0] is True  # the model of translations


def test_a_conformer_of_running_text_has_the_shape_of_a_transformer() -> None:
    settings = resolved(recipe(ENGLISH, GREEK, model={"encoder": {"kind": "conformer"}}))
    assert settings.model.encoder.kind == "conformer"
    build_model(settings.model, source_size=100, target_size=100)


def test_a_transformer_is_for_enough_pairs() -> None:
    value, reason = chosen(recipe(ENGLISH, GREEK, pairs=29_000), "model.family")
    assert (value, reason) == ("transformer", "29,000 pairs are enough for a Transformer")


def test_a_small_transformer_learns_fast_from_few_pairs() -> None:
    made = recipe(ENGLISH, GREEK, pairs=29_000)
    assert chosen(made, "train.rate")[0] == 0.004
    assert chosen(made, "model.encoder.dropout")[0] == 0.2
    mixed = recipe(ENGLISH, GREEK, pairs=29_000, model={"decoder": "lstm"})
    assert chosen(mixed, "train.rate")[0] == 0.002


def test_a_wide_transformer_learns_slowly() -> None:
    made = recipe(ENGLISH, GREEK, pairs=5_000_000)
    assert chosen(made, "train.rate") == (0.0007, "a wide Transformer")
    assert chosen(made, "model.embedding") == (512, "the model's width")


def test_the_more_data_the_larger_the_model_and_the_longer_the_training() -> None:
    made = [recipe(ENGLISH, GREEK, pairs=pairs) for pairs in (800, 29_000, 500_000, 5_000_000)]
    found = [resolved(one) for one in made]
    assert len(set(map(str, found))) == 4
    for key in ("tokens", "width", "vocabulary"):
        numbers = [_amounts(settings, one)[key] for settings, one in zip(found, made, strict=True)]
        assert numbers == sorted(numbers), (key, numbers)


def _amounts(settings: config.Settings, made: Recipe) -> dict[str, float]:
    encoder, tokeniser = settings.model.encoder, settings.source.tokeniser
    assert encoder is not None
    assert isinstance(tokeniser, config.Sentencepiece)
    updates = int(re.sub(r"\D", "", chosen(made, "train.epochs")[1]))
    return {
        "tokens": updates * (settings.train.batch_tokens or 0),
        "width": encoder.width if isinstance(encoder, config.Transformer) else 0,
        "vocabulary": tokeniser.vocabulary or 0,
    }


def test_the_mixed_model_has_an_embedding_that_its_decoder_can_share() -> None:
    made = recipe(ENGLISH, GREEK, model={"encoder": "lstm", "decoder": "transformer"})
    width = chosen(made, "model.decoder.width")[0]
    assert chosen(made, "model.embedding") == (width, "the decoder's width")


def test_a_width_that_heads_cannot_share_has_one_attention() -> None:
    assert chosen(recipe(ENGLISH, GREEK), "model.decoder.attention")[0] == "multihead"
    for sizes in ({"width": 350}, {"heads": 5}):
        made = recipe(ENGLISH, GREEK, model={"decoder": {"kind": "lstm", **sizes}})
        assert not [choice for choice in made.choices if choice.key == "model.decoder.attention"]


def test_an_embedding_that_does_not_fit_a_transformer_is_not_shared() -> None:
    made = recipe(ENGLISH, GREEK, model={"family": "transformer", "embedding": 96})
    assert chosen(made, "model.share_embeddings") == ("none", "the decoder is not as wide as the embedding")


def test_one_vocabulary_is_not_for_sides_that_the_user_cuts_differently() -> None:
    made = recipe(ENGLISH, ENGLISH[::-1], source={"tokeniser": {"sampling": 0.1}})
    assert chosen(made, "joint_vocabulary") == (False, "the sides are cut in different ways")


def test_a_small_transformer_sees_words_cut_anew_each_time_and_for_longer() -> None:
    keys = [f"{name}.tokeniser.sampling" for name in ("source", "target")]
    made, plain = recipe(ENGLISH, GREEK, pairs=20_000), recipe(ENGLISH, SPLIT, pairs=20_000)
    assert {chosen(made, key) for key in keys} == {(0.1, "few pairs: words are cut anew each time (Kudo 2018)")}
    assert [choice.key for choice in plain.choices if choice.key in keys] == keys[:1]  # symbols are what they are
    assert chosen(made, "train.epochs")[1] == chosen(plain, "train.epochs")[1] == "about 9,100 updates"
    own = {name: {"tokeniser": {"kind": "sentencepiece", "sampling": 0.0}} for name in ("source", "target")}
    assert chosen(recipe(ENGLISH, GREEK, pairs=20_000, **own), "train.epochs")[1] == "about 7,000 updates"
    for others in (recipe(ENGLISH, GREEK, pairs=5_000), recipe(ENGLISH, GREEK, pairs=5_000_000)):
        assert not [choice for choice in others.choices if choice.key in keys]


def test_the_length_of_training_follows_what_the_user_says_of_it() -> None:
    by_rule = recipe(ENGLISH, GREEK)
    epochs, reason = chosen(by_rule, "train.epochs")
    updates = int(re.sub(r"\D", "", reason))
    warmup = chosen(by_rule, "train.schedule.warmup")[0]
    assert warmup == pytest.approx(updates / 10, rel=0.05)
    assert chosen(by_rule, "train.schedule.warmup")[1] == "a tenth of the updates"
    assert chosen(by_rule, "train.validate_every")[0] == pytest.approx(updates / 25, rel=0.05)  # an epoch is shorter

    own = recipe(ENGLISH, GREEK, train={"updates": 500})
    assert not [choice for choice in own.choices if choice.key == "train.epochs"]
    assert chosen(own, "train.schedule.warmup")[0] == 50
    assert chosen(own, "train.validate_every")[0] < 100

    batch = chosen(by_rule, "train.batch_tokens")[0]
    accumulated = recipe(ENGLISH, GREEK, train={"accumulate": 2})  # the same updates, each of two halves
    assert chosen(accumulated, "train.batch_tokens")[0] == batch // 2
    assert chosen(accumulated, "train.epochs")[0] == pytest.approx(epochs, rel=0.05)
    larger = recipe(ENGLISH, GREEK, train={"accumulate": 2, "batch_tokens": batch})  # half the updates an epoch
    assert chosen(larger, "train.epochs")[0] == pytest.approx(epochs * 2, rel=0.1)
    assert chosen(larger, "train.schedule.warmup")[0] == pytest.approx(warmup, rel=0.1)


def test_another_score_changes_nothing_but_the_score() -> None:
    plain, other = (resolved(recipe(NAMES, PHONEMES, **table)) for table in ({}, {"train": {"score": "wer"}}))
    assert other == plain.model_copy(update={"train": plain.train.model_copy(update={"score": "wer"})})


# ------------------------------------------------------------------------------------------------ the user's word

CORPORA = {
    "translation": (ENGLISH, GREEK, 29_000),
    "one language": (ENGLISH, ENGLISH[::-1], 500_000),
    "transduction": (NAMES, PHONEMES, 5000),
    "Korean": (KOREAN, PHONEMES, 5000),
    "commands": (COMMANDS, ACTIONS, 2000),
}
OTHER = {
    "source.tokeniser.kind": "bytes",
    "target.tokeniser.kind": "bytes",
    "source.normalise": "nfc",
    "target.normalise": "nfc",
    "model.family": "gru",
    "model.encoder.kind": "gru",
    "model.decoder.kind": "gru",
    "model.share_embeddings": "none",
    "train.schedule.kind": "constant",
    "train.score": "cer",
}


def another(key: str, value: Any) -> Any:
    """A value for a setting that the rule did not choose."""
    if isinstance(value, bool):
        return not value
    return OTHER[key] if isinstance(value, str) else value / 2 if isinstance(value, float) else value * 2


def at(table: Any, key: str) -> Any:
    for name in key.split("."):
        table = table.get(name) if isinstance(table, dict) else None
    return table


@pytest.mark.parametrize("corpus", CORPORA)
def test_the_users_setting_always_wins(corpus: str) -> None:
    source, target, pairs = CORPORA[corpus]
    for choice in recipe(source, target, pairs=pairs).choices:
        said = another(choice.key, choice.value)
        forms = [(choice.key, said)]
        if choice.key.endswith(".kind"):
            forms.append((choice.key.removesuffix(".kind"), said))  # in short
        for key, value in forms:
            table: Any = value
            for name in reversed(key.split(".")):
                table = {name: table}
            made = recipe(source, target, pairs=pairs, **table)
            assert choice.key not in [other.key for other in made.choices]
            settings = resolved(made)
            assert at(settings.model_dump(), choice.key) == said


@pytest.mark.parametrize("corpus", CORPORA)
def test_nothing_is_open_any_more(corpus: str) -> None:
    source, target, pairs = CORPORA[corpus]
    made = recipe(source, target, pairs=pairs)
    settings = resolved(made)
    assert config.build(made.resolved(), where="again") == settings
    given = {
        *("source.tokeniser", "source.normalise", "target.tokeniser", "target.normalise", "joint_vocabulary"),
        *("model.family", "model.encoder", "model.decoder", "model.embedding", "model.share_embeddings"),
        *("train.batch_tokens", "train.epochs", "train.rate", "train.schedule", "train.label_smoothing"),
        *("train.average", "train.validate_every", "train.early_stop", "train.score", "search.beam"),
    }
    assert [key for key in sorted(given) if at(settings.model_dump(), key) is None] == []


@pytest.mark.parametrize("encoder", ["lstm", "transformer"])
@pytest.mark.parametrize("decoder", ["gru", "transformer"])
@pytest.mark.parametrize("source", [PHONEMES, NAMES], ids=["joint", "apart"])
def test_whatever_kinds_the_user_mixes_a_model_can_be_built(encoder: str, decoder: str, source: list[str]) -> None:
    for embedding in ({}, {"embedding": 96}):
        made = recipe(source, PHONEMES[::-1], model={"encoder": encoder, "decoder": decoder, **embedding})
        settings = resolved(made)
        model = build_model(settings.model, source_size=20, target_size=20)
        assert model is not None
        assert settings.joint_vocabulary == (source is PHONEMES)


def test_a_tokeniser_of_which_something_is_set_is_one_that_has_it() -> None:
    found = recipe(NAMES, NAMES, target={"tokeniser": {"sampling": 0.1}})
    assert found.value("source.tokeniser.kind") == "characters"
    assert found.value("target.tokeniser.kind") == "sentencepiece"
    assert "target.tokeniser.kind=sentencepiece  (it has sampling, which is set)" in lines(found)
    assert resolved(found).target.tokeniser.sampling == 0.1


def test_a_setting_that_does_not_exist_is_still_refused() -> None:
    with pytest.raises(UserError, match=r"unknown setting `train\.ratee`"):
        resolved(recipe(NAMES, PHONEMES, train={"ratee": 0.1}))


# ------------------------------------------------------------------------------------------------ telling


def test_every_choice_is_told_once_and_those_with_one_reason_together() -> None:
    made = recipe(ENGLISH, GREEK)
    told = list(lines(made))
    for choice in made.choices:
        assert sum(f"{choice.key}={choice.value}" in re.split(r", |  \(", line) for line in told) == 1
        assert any(choice.key in line and line.endswith(f"({choice.reason})") for line in told)
    assert len(told) == len({choice.reason for choice in made.choices}) < len(made.choices)


# ------------------------------------------------------------------------------------------------ lengths of answers


@given(
    lengths=st.lists(st.tuples(st.integers(1, 60), st.integers(1, 200)), min_size=1, max_size=50),
    extra=st.integers(1, 20),
)
def test_an_answer_may_be_as_long_as_nearly_all_targets_are(lengths: list[tuple[int, int]], extra: int) -> None:
    source, target = np.array(lengths, np.int32).T
    ratio = longest_ratio(source, target, extra=extra)
    assert ratio >= 1.0
    allowed = longest_answers(source.tolist(), config.Search(longest_ratio=ratio, longest_extra=extra))
    assert (np.array(allowed) >= target).mean() >= 1 - 1 / len(lengths)


def test_one_absurd_pair_in_many_does_not_lengthen_all_answers() -> None:
    source, target = np.full(10_000, 10, np.int32), np.full(10_000, 12, np.int32)
    target[0] = 5000
    assert longest_ratio(source, target, extra=10) == 1.0
