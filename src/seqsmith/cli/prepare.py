"""The data's way from files to encoded examples, with every open setting resolved on the way."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seqsmith import config, runtime
from seqsmith.bundle import Bundle
from seqsmith.cli.kind import kind_of
from seqsmith.cli.meaningless import settled
from seqsmith.cli.program import Say
from seqsmith.data.files import shown
from seqsmith.data.prepare import Encoded, Gathered, NoneShort, encode, gather
from seqsmith.data.split import Hashes, default_dev_pairs, hash_texts, split_dev
from seqsmith.errors import UserError
from seqsmith.featurise import Featuriser, roles
from seqsmith.objective.alignment import fewest_steps, steps_of
from seqsmith.speech.codec import learn_codec, recordings_digest
from seqsmith.speech.survey import some_of, survey, tell_rates
from seqsmith.text.codec import train_codec
from seqsmith.text.normalise import Form, normalise
from seqsmith.text.tokenise import train_tokeniser
from seqsmith.train.recipe import Side, choose, longest_ratio
from seqsmith.train.recipe import lines as recipe_lines
from seqsmith.train.speech_recipe import choose_speech

_SAMPLE = 20_000  # texts that the rules look at
_CLASSES = 0.1  # different texts of a side for each pair: fewer are classes more than texts
_HASHES = 1 << 20  # hashes that are looked up at once
_BLOCK = 10_000  # texts in memory at once


@dataclass(frozen=True)
class Pairs:
    """Texts of the training and the dev set."""

    train: Gathered
    train_rows: NDArray[np.int64]
    dev: Gathered
    dev_rows: NDArray[np.int64]

    def train_sample(self, role: str) -> list[str]:
        """Texts from all over the training set, for the rules to look at."""
        every = -(-len(self.train_rows) // _SAMPLE)  # rounded up: the end of the set is not left out
        return self.train.text[role].texts(self.train_rows[:: max(1, every)])

    def train_texts(self, role: str) -> Iterator[str]:
        """All texts of the training set, a block in memory at a time; none where there is no such column."""
        column = self.train.text.get(role)
        for start in range(0, 0 if column is None else len(self.train_rows), _BLOCK):
            assert column is not None
            yield from column.texts(self.train_rows[start : start + _BLOCK])

    def dev_texts(self, role: str, most: int | None = None) -> list[str]:
        """All texts of the dev set, or so many from all over it, since a file may be sorted."""
        column, count = self.dev.text.get(role), len(self.dev_rows)
        rows = self.dev_rows if most is None or most >= count else self.dev_rows[np.arange(most) * count // most]
        return [] if column is None else column.texts(rows)


@dataclass(frozen=True)
class Prepared:
    """All that a run needs of the data."""

    settings: config.Settings  # nothing is open any more
    pairs: Pairs
    featuriser: Featuriser
    train: Encoded
    dev: Encoded


def read_pairs(settings: config.Settings, *, say: Say) -> Pairs:
    """Read train and dev, or split dev off."""
    cache, data, seed = runtime.cache_folder(), settings.data, settings.seed
    train = gather(data.train, roles(settings), data, cache)
    _tell_counts(train, "training", say)
    if data.dev:
        dev = gather(data.dev, roles(settings), data, cache)
        _tell_counts(dev, "dev", say)
        if ("features" in train.text) != ("features" in dev.text):
            raise UserError("data.features: found in only one of the training and the dev set; give it to both.")
        _tell_overlap(train, dev, say)
        if data.dev_pairs is not None:
            say("  data.dev_pairs is not used: a dev set is given, so that none is split off.")
        return Pairs(train, np.arange(len(train)), dev, np.arange(len(dev)))
    count = data.dev_pairs or default_dev_pairs(len(train))
    if data.dev_pairs is not None and 2 * count > len(train):
        raise UserError(f"data.dev_pairs: found {count:,} of {len(train):,} pairs, expected half of them at most.")
    target = _hashes(train, "target", settings.target)
    if isinstance(settings.source, config.TextSource):
        source = _hashes(train, "source", settings.source)
        shared, kept_apart = target, "source or target"
    else:  # different recordings may well say the same
        shared = source = train.source_hash
        kept_apart = "recording"
    try:
        train_rows, dev_rows = split_dev(source, shared, count, seed)
    except UserError:
        if _repeats(target):
            own, kept_apart = source, "source (the targets are a few that repeat)"
        elif _repeats(source):
            own, kept_apart = target, "target (the sources are a few that repeat)"
        else:
            raise
        train_rows, dev_rows = split_dev(own, own, count, seed)
    say(
        f"No dev set given: split off {len(dev_rows):,} of the {len(train):,} pairs (seed {seed}); "
        f"no {kept_apart} of theirs is left in training."
    )
    if settings.train.start_from is not None:
        say("  If the model that is gone on from was trained on these pairs, dev is not new to it: give --dev then.")
    return Pairs(train, train_rows, train, dev_rows)


def _hashes(train: Gathered, role: Literal["source", "target"], side: config.TextSource | config.TextTarget) -> Hashes:
    """The hashes of one side's texts as the model sees them, so that what it takes for the same is not split.

    What is one text to Unicode is always held for the same: the recipe may yet choose so.
    """
    form: Form = "nfkc" if side.normalise in ("nfkc", "nfkd") else "nfc"
    found = train.source_hash if role == "source" else train.target_hash
    if all(_stays(letter, form, lowercase=side.lowercase) for letter in train.statistics[role].alphabet):
        return found
    found = np.array(found)
    for start in range(0, len(found), _BLOCK):
        texts = train.text[role].texts(np.arange(start, min(start + _BLOCK, len(found))))
        seen = {row: normalise(text, form, lowercase=side.lowercase) for row, text in enumerate(texts, start)}
        changed = [row for row, text in enumerate(texts, start) if seen[row] != text]
        found[changed] = hash_texts([seen[row] for row in changed])
    return found


def _stays(letter: str, form: Form, *, lowercase: bool) -> bool:
    """Whether a letter is itself in this form, and joins no letter before it, as marks and Jamo do."""
    joins = unicodedata.category(letter).startswith("M") or "\u1160" <= letter <= "\u11ff"
    return not joins and normalise(letter, form, lowercase=lowercase) == letter


def _repeats(hashes: Hashes) -> bool:
    return len(np.unique(hashes)) <= _CLASSES * len(hashes)


def _tell_overlap(train: Gathered, dev: Gathered, say: Say) -> None:
    """Warn of dev pairs that are training pairs too; a few are usual, as greetings are."""
    dev_keys, train_keys = dev.pair_hash, train.pair_hash
    blocks = (train_keys[start : start + _HASHES] for start in range(0, len(train_keys), _HASHES))
    known = np.unique(np.concatenate([block[np.isin(block, dev_keys)] for block in blocks]))
    seen = int(np.isin(dev_keys, known).sum())
    if seen > 0.05 * len(dev):
        say(
            f"  warning: {seen:,} of the {len(dev):,} dev pairs are training pairs too: dev scores will say little "
            "about what is new (`seqsmith inspect` shows which)."
        )


def places(pairs: Pairs) -> Iterator[tuple[str, str]]:
    """The source of each pair, and its file and line."""
    for gathered in (pairs.train, pairs.dev):
        for row in range(len(gathered)):
            yield gathered.text["source"].text(row), gathered.where(row)


def _tell_counts(gathered: Gathered, name: str, say: Say) -> None:
    count, files = len(gathered), ", ".join(shown(corpus.path) for corpus in gathered.corpora)
    say(f"Read {count:,} {name} pair{'s' * (count != 1)} from {files}.")
    for sentence in gathered.counts.sentences():
        say(f"  {sentence}")


def resolve(table: Mapping[str, Any], pairs: Pairs, say: Say) -> config.Settings:
    """Fill every open setting by the recipe and say why."""
    target = Side(pairs.train.statistics["target"], pairs.train_sample("target"))
    if kind_of(table) == "speech":
        found = survey(pairs.train_sample("source"))
        recipe = choose_speech(replace(found, recordings=len(pairs.train_rows)), target, table=table)
    else:
        source = Side(pairs.train.statistics["source"], pairs.train_sample("source"))
        recipe = choose(source, target, pairs=len(pairs.train_rows), table=table)
    for line in recipe_lines(recipe):
        say(f"  {line}")
    return settled(recipe.resolved())


def learn_codecs(settings: config.Settings, pairs: Pairs) -> Featuriser:
    """Learn the vocabularies from the training set."""
    source, target = settings.source, settings.target
    if isinstance(source, config.SpeechSource):
        return Featuriser(learn_codec(pairs.train_sample("source"), source),
                          train_codec(pairs.train_texts("target"), target))  # fmt: skip
    assert isinstance(source, config.TextSource)
    features = pairs.train_texts("features")
    texts = [pairs.train_texts(role) for role in ("source", "target")]
    separator = settings.data.features_separator
    if not settings.joint_vocabulary:
        return Featuriser(
            train_codec(texts[0], source, features=features, separator=separator),
            train_codec(texts[1], target, separator=separator),
        )
    if source.tokeniser != target.tokeniser:
        raise UserError(
            "joint_vocabulary: one vocabulary needs one tokeniser, found different source.tokeniser and "
            "target.tokeniser. Make them equal, or set joint_vocabulary = false."
        )
    assert source.tokeniser is not None
    normal = (
        normalise(text, side.normalise or "none", lowercase=side.lowercase)
        for side, column in ((source, texts[0]), (target, texts[1]))
        for text in column
    )
    tokeniser = train_tokeniser(normal, source.tokeniser)
    return Featuriser(
        train_codec([], source, features=features, separator=separator, tokeniser=tokeniser),
        train_codec([], target, separator=separator, tokeniser=tokeniser),
    )


def grow_codecs(older: Bundle, pairs: Pairs, *, separator: str = ";") -> Featuriser:
    """The vocabularies of a model that is trained on, with new symbols for what its data did not have.

    `separator` stands between the features of the new data, whatever stood between those of the older.
    """
    target = replace(older.featuriser.target, separator=separator)
    if older.featuriser.channels is not None:
        return Featuriser(older.featuriser.source, target.grown(pairs.train_texts("target")))
    source = replace(older.featuriser.text_source, separator=separator)
    source = source.grown(pairs.train_texts("source"), pairs.train_texts("features"))
    if not older.settings.joint_vocabulary:
        return Featuriser(source, target.grown(pairs.train_texts("target")))
    target = replace(target, tokeniser=source.tokeniser).grown(pairs.train_texts("target"))
    return Featuriser(replace(source, tokeniser=target.tokeniser), target)


def encode_pairs(settings: config.Settings, pairs: Pairs, featuriser: Featuriser, say: Say) -> tuple[Encoded, Encoded]:
    """Train and dev as ids, on disk."""
    key = featuriser.digest()
    columns = featuriser.columns(settings.data)
    if isinstance(settings.source, config.SpeechSource):
        some = some_of([*pairs.train_sample("source"), *pairs.dev_texts("source")])
        tell_rates(some, settings.source, lambda sentence: say(f"  Of those looked at, {sentence}"))
    encoded = []
    for name, gathered, rows in (("training", pairs.train, pairs.train_rows), ("dev", pairs.dev, pairs.dev_rows)):
        try:
            digest = key + _recordings(settings, gathered)
            encoded.append(encode(gathered, rows, columns, key=digest, cache=runtime.cache_folder()))
        except NoneShort as error:
            raise UserError(f"of the {len(rows):,} {name} pairs {error}") from None
    for name, column in (("training", encoded[0]), ("dev", encoded[1])):
        for side, tally in column.counts.items():
            if tally.count:
                left_out = f"{name} pair left out: its" if tally.count == 1 else f"{name} pairs left out: their"
                say(
                    f"  {tally.count:,} {left_out} {side} is over {columns[side].longest:,} "
                    f"{'frames' if columns[side].channels else 'tokens'} (data.longest_{side}), "
                    f"the first at {tally.places[0]}."
                )
    _tell_small(settings, featuriser, say)
    amounts = [int(side.lengths.sum()) for side in (encoded[0].source, encoded[0].target)]
    if featuriser.channels is None:
        known = f"{featuriser.text_source.size:,} source and {featuriser.target.size:,} target symbols"
        say(f"Vocabulary: {known}; {amounts[0]:,} source and {amounts[1]:,} target tokens.")
    else:
        known = f"{featuriser.target.size:,} target symbols, {featuriser.channels} channels a frame"
        say(f"Vocabulary: {known}; {amounts[0]:,} source frames and {amounts[1]:,} target tokens.")
    return encoded[0], encoded[1]


def _tell_small(settings: config.Settings, featuriser: Featuriser, say: Say) -> None:
    """Say where texts hold fewer pieces than a vocabulary was to have."""
    codecs = {"target": (settings.target.tokeniser, featuriser.target.tokeniser)}
    if isinstance(settings.source, config.TextSource):
        codecs["source"] = (settings.source.tokeniser, featuriser.text_source.tokeniser)
    for side, (wanted, learnt) in codecs.items():
        if isinstance(wanted, config.Sentencepiece) and learnt.size < (wanted.vocabulary or 0):
            say(f"  {side}.tokeniser.vocabulary: {wanted.vocabulary:,} wanted; the texts give {learnt.size:,} pieces.")


def _recordings(settings: config.Settings, gathered: Gathered) -> str:
    """What the files that a manifest names were like; nothing where sources are texts."""
    if isinstance(settings.source, config.TextSource):
        return ""
    return recordings_digest(gathered.text["source"].texts(np.arange(len(gathered))))


def tell_impossible(settings: config.Settings, train: Encoded, say: Say) -> None:
    """Say how many targets need more steps of the encoder than their recordings give, so that CTC leaves them out."""
    if not settings.model.ctc:
        return
    steps = steps_of(train.source.lengths, settings.model)
    short = np.flatnonzero(steps < fewest_steps(train.target))
    if len(short):
        say(
            f"  {len(short):,} of {len(train):,} training targets are longer than their recordings after subsampling, "
            f"the first at {train.gathered.where(int(train.row[short[0]]), 'target')}: CTC learns nothing from these. "
            "Are transcripts and recordings mixed up? If not, lower model.subsample."
        )


def with_answer_length(settings: config.Settings, train: Encoded) -> config.Settings:
    """Settle how long answers may be, and pieces of recordings, which only the encoded lengths tell."""
    speech = isinstance(settings.source, config.SpeechSource)
    if isinstance(settings.source, config.SpeechSource) and settings.source.longest_piece is None:
        slowest = 1.0 - settings.source.augment.tempo  # what training hears is stretched
        longest = max(200, int(train.source.lengths.max() / slowest))
        source = settings.source.model_copy(update={"longest_piece": longest})
        settings = settings.model_copy(update={"source": source})
    if settings.search.longest is not None or settings.search.longest_ratio is not None:
        return settings
    least = 0.01 if speech else 1.0
    extra = settings.search.longest_extra
    ratio = longest_ratio(train.source.lengths, train.target.lengths, extra=extra, least=least)
    search = settings.search.model_copy(update={"longest_ratio": ratio})
    return settings.model_copy(update={"search": search})
