"""Answers come in the order and number of the inputs, and each as if it were alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import reversal
import seqsmith
from seqsmith import config
from seqsmith.bundle import Bundle
from seqsmith.engine.answering import answer_all
from seqsmith.engine.pytorch import TorchEngine
from seqsmith.errors import UserError
from seqsmith.predictor import Candidate, Prediction, Predictor, _best_first, _spoken
from seqsmith.search.answer import Answer
from seqsmith.special import END

KINDS = ("lstm", "gru", "transformer")
TEXTS = [source for source, _ in reversal.pairs(20, longest=9)]


@cache
def taught(kind: str, seed: int, features: str) -> Bundle:
    """A model that has begun to learn: its answers differ, and end."""
    return reversal.bundle(kind, seed=seed, features=features, updates=40)


def predictor(kind: str = "lstm", *, seeds: Sequence[int] = (1,), features: str = "", **changes: Any) -> Predictor:
    """A model, or several; changes are settings that hold in use."""
    made = [taught(kind, seed, features) for seed in seeds]
    engine = TorchEngine(tuple(bundle.model for bundle in made), torch.device("cpu"))
    return Predictor(engine, made[0].featuriser, reversal.settings(kind, **changes))


def alike(one: Sequence[Prediction], other: Sequence[Prediction]) -> bool:
    """Equal but for the last digits of the scores, which depend on the company in a batch."""
    return len(one) == len(other) and all(
        (a.source, a.cut_source, a.unknown_share) == (b.source, b.cut_source, b.unknown_share)
        and [candidate.text for candidate in a.nbest] == [candidate.text for candidate in b.nbest]
        and [candidate.score for candidate in a.nbest] == pytest.approx([c.score for c in b.nbest], abs=1e-4)
        for a, b in zip(one, other, strict=True)
    )


def error_of(call: Any, *arguments: Any, **keywords: Any) -> str:
    with pytest.raises(UserError) as error:
        call(*arguments, **keywords)
    return str(error.value)


# ------------------------------------------------------------------------------------------------ order and company


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beam", [1, 4])
def test_a_batch_answers_as_one_by_one(kind: str, beam: int) -> None:
    model = predictor(kind)
    whole = model.predict(TEXTS, beam=beam)
    assert [prediction.source for prediction in whole] == TEXTS
    assert alike(whole, [model.predict([text], beam=beam)[0] for text in TEXTS])
    assert alike(whole, model.predict(TEXTS, beam=beam, batch_tokens=15))
    assert len({prediction.text for prediction in whole}) > 5


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
@given(texts=st.lists(st.sampled_from(["", " ", "\t", "0", "123", "98765", "?"]), max_size=8))
def test_order_and_number_are_kept_with_empty_texts_in_place(texts: list[str]) -> None:
    model = predictor()
    found = model.predict(texts, beam=1)
    assert [prediction.source for prediction in found] == texts
    for text, prediction in zip(texts, found, strict=True):
        if not text.strip():
            assert prediction == Prediction(text, (Candidate("", 0.0, 0.0, True),))
    assert alike([p for p in found if p.source.strip()], model.predict([t for t in texts if t.strip()], beam=1))


def test_the_answer_is_the_first_of_the_nbest() -> None:
    found = predictor().predict(TEXTS[:3], nbest=3)[0]
    assert (found.text, found.score) == (found.nbest[0].text, found.nbest[0].score)


def test_no_texts_have_no_answers() -> None:
    assert predictor().predict([]) == []
    assert predictor().score([], []) == []
    assert list(predictor().stream([])) == []


# ------------------------------------------------------------------------------------------------ stream


def test_a_stream_answers_as_a_list_does() -> None:
    model = predictor()
    texts = [*TEXTS[:5], "", *TEXTS[5:9]]
    for window in (1, 3, 100):
        streamed = list(model.stream(((text, None) for text in texts), window=window, beam=2))
        assert alike(streamed, model.predict(texts, beam=2))


def test_a_stream_of_texts_alone_is_told() -> None:
    for rows in (["12", "21"], [("12",)]):
        assert error_of(list, predictor().stream(rows)) == (  # type: ignore[arg-type]  # that is what is wrong
            "stream takes pairs (text, features), with None for a model that has no features."
        )


def test_a_stream_holds_no_more_than_its_window() -> None:
    taken = itertools.count()
    rows: Iterator[tuple[str, None]] = (("1", None) for _ in iter(lambda: next(taken) >= 0, False))
    answers = predictor().stream(rows, window=4)
    for _ in range(6):
        next(answers)
    assert next(taken) == 8


def test_a_stream_loses_no_features() -> None:
    model = predictor(features="NV")
    rows = [("12", None), ("12", "N"), ("12", "V"), ("12", None)]
    expected = model.predict(["12"] * 4, features=["", "N", "V", ""])
    assert alike(list(model.stream(rows)), expected)
    assert len({prediction.score for prediction in expected}) == 3


# ------------------------------------------------------------------------------------------------ what is remarked


def test_a_source_that_is_too_long_is_cut_and_says_so() -> None:
    model = predictor(data={"longest_source": 5})  # END is one of them
    whole, cut = model.predict(["1234", "1234567"])
    assert (whole.cut_source, cut.cut_source) == (False, True)
    assert cut.source == "1234567"
    assert cut.text == whole.text
    assert cut.score == pytest.approx(whole.score, abs=1e-4)


def test_sources_may_be_cut_elsewhere_than_in_training() -> None:
    model = predictor(data={"longest_source": 5})
    longer = model.with_longest({"longest_source": 8})
    assert not longer.predict(["1234567"])[0].cut_source
    assert longer.predict(["1234567"])[0].text == predictor().predict(["1234567"])[0].text
    assert model.with_longest({"empty": "skip"}) is model
    told = error_of(model.with_longest, {"longest_source": 0})
    assert told == "settings: data.longest_source: found 0, expected more than 0."


def test_learned_positions_have_an_end() -> None:
    encoder = {"kind": "transformer", "position": "learned", "longest": 50}
    table = {"data": {"longest_source": 50}, "model": {"encoder": encoder}}
    model = replace(predictor(), settings=config.build(table, where="test"))
    assert model.with_longest({"longest_source": 10}).settings.data.longest_source == 10
    told = error_of(model.with_longest, {"longest_source": 51})
    assert told == (
        "settings: data.longest_source: found 51, but the learned positions of the encoder end at 50 "
        "(model.encoder.longest): change one of them."
    )


def test_an_answer_that_does_not_end_says_so() -> None:
    found = [prediction.nbest[0] for prediction in predictor().predict(TEXTS, longest=3, beam=1)]
    assert {candidate.ended for candidate in found} == {True, False}
    assert all(len(candidate.text) <= 3 for candidate in found if candidate.ended)
    found = [prediction.nbest[0] for prediction in predictor().predict(TEXTS, shortest=4, beam=1)]
    assert all(len(candidate.text) >= 4 for candidate in found)


def test_what_was_never_seen_is_counted() -> None:
    shares = [prediction.unknown_share for prediction in predictor().predict(["12", "1x", "xyz", "1x2y"])]
    assert shares == [0.0, 0.5, 1.0, 0.5]


# ------------------------------------------------------------------------------------------------ scores


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [1, 3])
def test_the_score_of_a_pair_is_the_log_probability_that_the_search_found(kind: str, number: int) -> None:
    model = predictor(kind, seeds=range(1, number + 1))
    candidates = [
        (prediction.source, candidate)
        for prediction in model.predict(TEXTS, nbest=3, beam=4)
        for candidate in prediction.nbest
        if candidate.ended
    ]
    assert len(candidates) > 30
    sources, found = zip(*candidates, strict=True)
    scores = model.score(sources, [candidate.text for candidate in found])
    assert scores == pytest.approx([candidate.log_prob for candidate in found], abs=1e-4)


def test_scores_of_pairs_do_not_depend_on_their_company() -> None:
    model = predictor("transformer", search={"batch_tokens": 30})
    targets = [text[::-1] for text in TEXTS]
    alone = [model.score([source], [target])[0] for source, target in zip(TEXTS, targets, strict=True)]
    assert model.score(TEXTS, targets) == pytest.approx(alone, abs=1e-4)


def test_all_short_answers_together_have_no_more_than_all_probability() -> None:
    model = predictor()
    targets = ["", *reversal.DIGITS, *("".join(pair) for pair in itertools.product(reversal.DIGITS, repeat=2))]
    total = sum(math.exp(score) for score in model.score(["123"] * len(targets), targets))
    assert 0.1 < total < 1.0


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_the_nbest_are_different_answers_and_the_best_comes_first(penalty: float) -> None:
    for prediction in predictor().predict(TEXTS[:6], nbest=5, length_penalty=penalty):
        scores = [candidate.score for candidate in prediction.nbest]
        assert len(scores) == 5 == len({candidate.text for candidate in prediction.nbest})
        assert scores == sorted(scores, reverse=True)
        if penalty == 0.0:
            assert scores == [candidate.log_prob for candidate in prediction.nbest]


# ------------------------------------------------------------------------------------------------ attention


@pytest.mark.parametrize("kind", KINDS)
def test_attention_says_for_each_target_piece_where_the_model_looked(kind: str) -> None:
    found = predictor(kind).attention("1234", "43")
    assert found.source == ("1", "2", "3", "4", "⏎")
    assert found.target == ("4", "3", "⏎")
    assert found.weight_TS.shape == (3, 5)
    assert (found.weight_TS >= 0).all()
    np.testing.assert_allclose(found.weight_TS.sum(1), 1.0, atol=1e-5)


def test_attention_shows_features() -> None:
    assert predictor(features="NV").attention("12", "21", features="V").source == ("V", "1", "2", "⏎")


def test_attention_takes_features_as_predict_does_and_texts_have_no_times() -> None:
    model = predictor(features="NV")
    assert model.attention("12", "21", features=["V"]).source == ("V", "1", "2", "⏎")
    assert error_of(model.attention, "12", "21", features=["V", "N"]) == (
        "1 texts, but 2 rows of features: each text needs one."
    )
    [answer] = model.predict(["12"], features=["V"])
    assert error_of(model.times, answer) == "only the words of a recording have times, and this model takes texts."


# ------------------------------------------------------------------------------------------------ ensembles


def saved(folder: Path, **changes: Any) -> Path:
    reversal.bundle(updates=10, **changes).save(folder, card="")
    return folder


def test_an_ensemble_of_one_model_twice_is_that_model(tmp_path: Path) -> None:
    one = saved(tmp_path / "one")
    assert alike(Predictor.open(one, one).predict(TEXTS), Predictor.open(one).predict(TEXTS))


def test_an_ensemble_says_the_mean_of_probabilities(tmp_path: Path) -> None:
    folders = [saved(tmp_path / str(seed), seed=seed, kind=kind) for seed, kind in enumerate(KINDS)]
    empty = [""] * len(TEXTS)
    alone = np.array([Predictor.open(folder).score(TEXTS, empty) for folder in folders])
    mean = np.log(np.exp(alone).mean(0))  # of a single token, END
    assert Predictor.open(*folders).score(TEXTS, empty) == pytest.approx(mean.tolist(), abs=1e-5)


def test_models_of_other_vocabularies_are_no_ensemble(tmp_path: Path) -> None:
    one, other = saved(tmp_path / "one"), saved(tmp_path / "other", digits="9876543210x")
    assert error_of(Predictor.open, one, other) == (
        f"{other}: its vocabularies differ from those of {one}, so their answers cannot be averaged. "
        "Train the models of an ensemble on the same data and settings, with other seeds."
    )


def test_a_model_is_opened_by_its_folder(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    expected = Predictor.open(folder).predict(TEXTS)
    assert seqsmith.load(folder).predict(TEXTS) == expected
    assert seqsmith.load(str(folder)).predict(TEXTS) == expected
    assert error_of(Predictor.open) == "no model folder given."
    assert error_of(Predictor.open, folder, device="gpu") == ("device: found 'gpu', expected 'auto', 'cpu' or 'cuda'.")


# ------------------------------------------------------------------------------------------------ settings


def test_settings_of_the_search_hold_for_one_call_or_for_all() -> None:
    model = predictor(search={"beam": 2})
    wide = model.predict(TEXTS, beam=5)
    assert alike(model.with_search(beam=5).predict(TEXTS), wide)
    assert alike(model.predict(TEXTS, beam=None), model.predict(TEXTS, beam=2))
    assert alike(model.predict(TEXTS, nbest=None), model.predict(TEXTS, beam=2))


def test_a_longer_list_widens_the_beam_unless_that_is_given() -> None:
    model = predictor(search={"beam": 2})
    assert [len(prediction.nbest) for prediction in model.predict(TEXTS[:2], nbest=6)] == [6, 6]
    assert error_of(model.predict, TEXTS, nbest=6, beam=3) == (
        "settings: search: nbest 6 needs a beam at least as wide, found beam 3."
    )


def test_a_ratio_given_now_is_above_a_length_given_before() -> None:
    model = predictor(search={"longest": 1})
    assert max(len(prediction.text) for prediction in model.predict(TEXTS, longest_ratio=2.0)) > 1


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"beams": 3}, "settings: unknown setting `search.beams`. Did you mean `beam`?"),
        ({"beam": 0}, "settings: search.beam: found 0, expected more than 0."),
        ({"nbest": "3"}, "settings: search.nbest: found '3', expected a whole number."),
    ],
)
def test_a_wrong_setting_is_named(search: dict[str, Any], message: str) -> None:
    assert error_of(predictor().predict, TEXTS, **search) == message


# ------------------------------------------------------------------------------------------------ features


def test_features_change_the_answer() -> None:
    model = predictor(features="NV")
    nouns, verbs = (model.predict(TEXTS, features=[letter] * len(TEXTS)) for letter in "NV")
    assert not alike(nouns, verbs)
    both = model.predict(TEXTS * 2, features=["N"] * len(TEXTS) + ["V"] * len(TEXTS))
    assert alike(both, [*nouns, *verbs])


def test_features_must_be_there_when_and_only_when_the_model_knows_some() -> None:
    with_features, without = predictor(features="NV"), predictor()
    missing = (
        "this model was trained with a column of features, and the input has none. "
        "Give them as features=[...], or name their column with --set data.features=..."
    )
    assert error_of(with_features.predict, ["12"]) == missing
    assert error_of(with_features.score, ["12"], ["21"]) == missing
    assert error_of(with_features.attention, "12", "21") == missing
    needless = "this model was trained without features, and the input has some: leave them out."
    assert error_of(without.predict, ["12", "3"], features=["", "N"]) == needless
    assert error_of(without.attention, "12", "21", features="N") == needless
    assert alike(without.predict(["12"], features=[""]), without.predict(["12"]))


def test_rows_must_agree() -> None:
    model = predictor(features="NV")
    assert error_of(model.predict, ["1", "2"], features=["N"]) == (
        "2 texts, but 1 rows of features: each text needs one."
    )
    assert error_of(model.score, ["1", "2"], ["1"]) == "2 sources, but 1 targets: each source needs one."


def test_texts_may_come_from_anything_with_an_order() -> None:
    model = predictor()
    assert alike(model.predict(text for text in ["1", "23"]), model.predict(["1", "23"]))
    assert error_of(model.predict, {"1"}) == "expected a list of texts, found set."
    assert error_of(model.predict, None) == "expected a list of texts, found NoneType."
    assert error_of(model.score, ["1"], [3]) == "expected a list of texts, but number 1 is of type int."
    assert error_of(model.attention, ["1"], "1") == "attention takes one source and one target, each a text."
    assert error_of(list, model.stream([("1", None)], window=0)) == "window: found 0, expected one row at least."


def test_room_for_answers_that_may_be_long_is_counted_as_well() -> None:
    class Counting:
        name, workers = "counting", 1

        def answer(self, sources: Sequence[Any], _settings: config.Search) -> list[list[Answer]]:
            sizes.append(len(sources))
            return [[] for _ in sources]

    found = []
    for longest in (None, 20, 400):
        sizes: list[int] = []
        answer_all(Counting(), [[5, 6, END]] * 40, config.Search(beam=1, batch_tokens=120, longest=longest))
        found.append(max(sizes))
    assert found == [30, 24, 1]  # 3, 20 / 4 and 400 / 4 steps each
    for beam, rows in ((1, [512, 512, 76]), (4, [128] * 8 + [76])):
        sizes = []
        answer_all(Counting(), [[5, END]] * 1100, config.Search(beam=beam, batch_tokens=100_000))
        assert sizes == rows


def test_a_single_text_is_not_a_list() -> None:
    expected = "expected a list of texts, found one string: write [text]."
    assert error_of(predictor().predict, "123") == expected
    expected = "expected a list of texts, but number 2 is of type int."
    assert error_of(predictor().predict, ["1", 23]) == expected


# ------------------------------------------------------------------------------------------------ language models


def test_the_ngrams_of_a_file_have_a_say(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("777\n" * 20 + "\n77\n")
    told = {"language_model": str(tmp_path / "texts.txt"), "language_weight": 50.0, "shortest": 1}
    answers = predictor().predict(TEXTS, beam=3, **told)
    assert all(set(answer.text) == {"7"} for answer in answers)
    unheard = predictor().predict(TEXTS, beam=3, **{**told, "language_weight": 0.0})
    assert [answer.text for answer in unheard] == [
        answer.text for answer in predictor().predict(TEXTS, beam=3, shortest=1)
    ]


def test_a_language_model_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    model = predictor()
    (tmp_path / "empty.txt").write_text("\n \n")
    assert error_of(model.predict, ["1"], language_model=str(tmp_path / "empty.txt")) == (
        f"search.language_model: {tmp_path}/empty.txt has no text to learn from: every line is empty."
    )
    assert error_of(model.predict, ["1"], language_model=str(tmp_path / "none.txt")).startswith(
        f"{tmp_path}/none.txt: "
    )
    assert error_of(model.predict, ["1"], language_model="any", shortlist=True) == (
        "settings: search: language_model speaks of the whole vocabulary, not with shortlist: leave one out."
    )

    class Other:
        name, workers = "onnx", 1

    other = Predictor(Other(), model.featuriser, model.settings, asked=True)  # type: ignore[arg-type]  # does not answer
    assert error_of(other.predict, ["1"], language_model="any") == (
        "search.language_model: onnx cannot, torch alone can. Take --engine torch."
    )
    assert error_of(other.predict, ["1"], sample=True) == (
        "search.sample: onnx cannot, torch alone can. Take --engine torch."
    )


@pytest.mark.parametrize("kind", KINDS)
def test_draws_are_the_same_one_by_one_and_have_the_probability_that_scoring_gives(kind: str) -> None:
    model = predictor(kind, seeds=(1, 2))
    together = model.predict(TEXTS, sample=True, nbest=3)
    assert alike(together, [model.predict([text], sample=True, nbest=3)[0] for text in TEXTS])
    assert [p.text for p in together] != [p.text for p in model.predict(TEXTS, sample=True, nbest=3, seed=2)]
    ended = [(p.source, c) for p in together for c in p.nbest if c.ended and c.text.strip()]
    assert len(ended) > len(TEXTS)
    assert [c.log_prob for _, c in ended] == pytest.approx(
        model.score([source for source, _ in ended], [c.text for _, c in ended]), abs=1e-4
    )
    cold = model.predict(TEXTS, sample=True, temperature=1e-5)
    assert alike(cold, model.predict(TEXTS, beam=1))


def test_what_a_model_said_of_its_search_does_not_keep_it_from_drawing() -> None:
    model = predictor(search={"beam": 4, "language_model": "any", "language_weight": 0.5})
    plain = predictor()
    drawn = model.predict(TEXTS, sample=True, nbest=5)
    assert drawn == plain.predict(TEXTS, sample=True, nbest=5)
    assert all(p.score == max(candidate.score for candidate in p.nbest) for p in drawn)
    assert predictor(search={"shortlist": True}).predict(TEXTS, sample=True, nbest=5) == drawn


def test_draws_for_the_pieces_of_a_recording_stay_together() -> None:
    pieces = [
        [Candidate(name, score, score, True) for name, score in piece]
        for piece in ((("a", -3.0), ("b", -1.0)), (("c", -1.0), ("d", -4.0)))
    ]
    assert [(c.text, c.score) for c in _spoken(_best_first(pieces))] == [("a c", -4.0), ("b d", -5.0)]


def test_what_cannot_be_drawn_is_told() -> None:
    model = predictor(search={"beam": 4})
    assert error_of(model.predict, ["1"], sample=True, language_model="any").startswith("search.language_model: has no")
    assert error_of(model.predict, ["1"], sample=True, ctc=0.5) == (
        "search.ctc: has no say in what is drawn (search.sample). Take one of the two."
    )
    assert len(model.predict(["1"], sample=True, nbest=6)[0].nbest) == 6
    assert error_of(model.predict, ["1"], sample=True, beam=2) == (
        "search.beam: has no say in what is drawn (search.sample). Take one of the two."
    )
    assert error_of(model.predict, ["1"], temperature=0.5) == (
        "settings: search: temperature means nothing without sample, which draws answers."
    )
    assert error_of(model.predict, ["1"], sample=True, shortlist=True) == (
        "search.shortlist: has no say in what is drawn (search.sample). Take one of the two."
    )
    assert error_of(model.predict, ["1"], sample=True, temperature=0.0).startswith(
        "settings: search.temperature: found 0.0, expected"
    )


def test_numbers_and_texts_of_numpy_are_taken_and_half_a_sign_is_told():
    model = predictor()
    assert [p.text for p in model.predict(np.array(["12", "3"]), beam=np.int64(2))] == [
        p.text for p in model.predict(["12", "3"], beam=2)
    ]
    assert [p.text for p in model.predict(np.array("12"))] == [p.text for p in model.predict(["12"])]
    assert error_of(model.predict, ["1", "\ud800"]) == (
        "text 2: holds half a surrogate pair, which is no character. Decode it strictly."
    )
