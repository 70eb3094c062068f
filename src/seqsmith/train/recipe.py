"""What the user leaves out, chosen from the data: every rule of thumb there is, each with its reason.

A rule sets only what the user's settings leave open. The numbers come from the experiments in `docs/experiments.md`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seqsmith import config
from seqsmith.data.statistics import TextStatistics
from seqsmith.text.normalise import normalise
from seqsmith.text.scripts import mostly_unspaced
from seqsmith.train.sizes import TRANSDUCTION, TRANSLATION, Size, size_for

Kind = Literal["sentencepiece", "characters", "bytes", "words", "symbols"]
LAYER_NORM = "steps of one scale are learnt from sooner"
_FEW_WORDS = 300


@dataclass(frozen=True)
class Choice:
    """One setting that a rule chose."""

    key: str
    value: Any
    reason: str


@dataclass(frozen=True)
class Side:
    """What the rules know of one side."""

    statistics: TextStatistics
    sample: Sequence[str]

    @cached_property
    def words(self) -> Counter[str]:
        """White-space separated words of the sample."""
        return Counter(word for text in self.sample for word in text.split())

    @property
    def is_split(self) -> bool:
        """Whether single spaces already cut the text into its symbols: phonemes, actions, subwords with their marks."""
        if self.statistics.spaced < 0.5 or any("  " in text for text in self.sample):
            return False
        total = self.words.total()
        marked = sum(count for word, count in self.words.items() if word.endswith("@@") or word.startswith("▁"))
        few = len(self.words) <= _FEW_WORDS and total >= 10 * len(self.words)
        return marked > 0.01 * total or few

    @property
    def tokeniser(self) -> tuple[Kind, str]:
        characters, words = self.statistics.characters.typical, self.statistics.words.typical
        alphabet = len(self.statistics.alphabet)
        if self.is_split:
            return "symbols", f"{len(self.words):,} different words, already split by spaces"
        if characters <= 40 and words <= 4:
            return "characters", f"short texts of {characters:.0f} characters in {words:.1f} words"
        if self.statistics.spaced < 0.2 and alphabet > 1000:
            return "characters", f"an alphabet of {alphabet:,} signs and no spaces between words"
        return "sentencepiece", f"running text of {words:.0f} words a line"

    @property
    def is_unspaced(self) -> bool:
        """Whether the words of its script have no spaces between them."""
        return self.statistics.spaced < 0.2 and mostly_unspaced(self.statistics.alphabet)

    @property
    def is_running(self) -> bool:
        """Whether its texts are sentences, as far as their length tells."""
        return self.statistics.words.typical > 4 or (self.is_unspaced and self.statistics.characters.typical > 10)

    def answering(self, source: Kind) -> tuple[Kind, str]:
        """The tokeniser of a target, where the source has its own: a headline is short, and yet it is made of words."""
        kind, reason = self.tokeniser
        in_words = self.statistics.spaced >= 0.5 and len(self.words) > _FEW_WORDS
        if source == "sentencepiece" and kind == "characters" and in_words:
            return "sentencepiece", f"{len(self.words):,} different words in answers to running text"
        return kind, reason

    def tokens(self, kind: Kind) -> float:
        """Roughly how many tokens a text has."""
        words, characters = self.statistics.words.typical, self.statistics.characters.typical
        rough = {"characters": characters, "bytes": characters * 1.2, "symbols": words, "words": words * 1.2}
        return 1 + rough.get(kind, min(words * 1.3, characters))


@dataclass
class Recipe:
    """Choices made so far over what the user said."""

    table: Mapping[str, Any]
    choices: list[Choice] = field(default_factory=list)

    def said(self, key: str) -> Any:
        """What the user set at this key, or None."""
        value: Any = self.table
        for name in key.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        return value

    def value(self, key: str) -> Any:
        """What holds at this key: what the user set, else what a rule chose before."""
        said = self.said(key)
        return next(choice.value for choice in self.choices if choice.key == key) if said is None else said

    def options(self, side: str) -> dict[str, Any]:
        """What the user set of a side's tokeniser beside its kind."""
        value = self.said(f"{side}.tokeniser")
        return {key: option for key, option in value.items() if key != "kind"} if isinstance(value, Mapping) else {}

    def take(self, key: str, value: Any, reason: str) -> Any:
        """Choose, unless the user did; returns what holds."""
        said = self.said(key)
        if said is not None:
            return said
        self.choices.append(Choice(key, value, reason))
        return value

    def resolved(self) -> dict[str, Any]:
        """The user's table over the choices."""
        tables = (config.nested(choice.key, choice.value) for choice in self.choices)
        return config.merge(reduce(config.merge, tables, {}), self.table)


def choose(source: Side, target: Side, *, pairs: int, table: Mapping[str, Any]) -> Recipe:
    """All choices that can be made before the vocabularies are known."""
    recipe = Recipe(spelt_out(table))
    source_kind = _tokeniser(recipe, "source", source.tokeniser, pairs)
    target_kind = _tokeniser(recipe, "target", target.answering(source_kind), pairs)
    joint = _joint(recipe, source, target, source_kind, target_kind)
    _normalise(recipe, source, source_kind, joint=joint)
    score, reason = _score(source, target, target_kind)
    recipe.take("train.score", score, reason)
    recipe.take("search.beam", 5, "usual")
    tokens = pairs * target.tokens(target_kind)
    size = size_for(tokens, one_answer=score == "exact_match")
    amount = f"for about {_rounded(tokens)} target tokens"
    _model(recipe, size, amount=amount, one_answer=score == "exact_match", pairs=pairs, joint=joint)
    sampled = _sample(recipe, size, {"source": source_kind, "target": target_kind})
    steps = pairs * max(source.tokens(source_kind), target.tokens(target_kind))
    _training(recipe, size, steps=steps, amount=amount, sampled=sampled)
    return recipe


def spelt_out(table: Mapping[str, Any]) -> Mapping[str, Any]:
    """The table with `encoder = "gru"` as `encoder = { kind = "gru" }`, so that rules fill in what it leaves open."""
    if isinstance(table.get("source"), str):
        table = config.merge(table, {"source": {"kind": table["source"]}})
    for section, name in config.CHOICES:
        choice = table.get(section, {}).get(name)
        if isinstance(choice, str):
            table = config.merge(table, {section: {name: {"kind": choice}}})
    return table


# ------------------------------------------------------------------------------------------------ text


def _tokeniser(recipe: Recipe, name: str, choice: tuple[Kind, str], pairs: int) -> Kind:
    fitting, set_too = config.kinds_with(name, "tokeniser", recipe.options(name)), ", ".join(recipe.options(name))
    if fitting and choice[0] not in fitting:
        choice = fitting[0], f"it has {set_too}, which {'is' if ',' not in set_too else 'are'} set"  # type: ignore[assignment]
    kind: Kind = recipe.take(f"{name}.tokeniser.kind", *choice)
    if kind == "sentencepiece":
        size = min(32_000, max(400, round(35 * math.sqrt(pairs) / 100) * 100))
        recipe.take(
            f"{name}.tokeniser.vocabulary", size, f"35 times the square root of {pairs:,} pairs, at most 32,000"
        )
    return kind


def _sample(recipe: Recipe, size: Size, kinds: Mapping[str, Kind]) -> bool:
    """Cut words anew each time, where pairs are few for a Transformer -> whether that is done on any side."""
    few = size is TRANSLATION[0] and _kinds(recipe) == {"transformer"}
    rates = [
        recipe.take(f"{side}.tokeniser.sampling", 0.1, "few pairs: words are cut anew each time (Kudo 2018)")
        if few
        else recipe.said(f"{side}.tokeniser.sampling")
        for side, kind in kinds.items()
        if kind == "sentencepiece"
    ]
    return any(rates)


def _joint(recipe: Recipe, source: Side, target: Side, source_kind: Kind, target_kind: Kind) -> bool:
    if source_kind != target_kind or recipe.options("source") != recipe.options("target"):
        return bool(recipe.take("joint_vocabulary", False, "the sides are cut in different ways"))
    if source_kind == "symbols":
        shared, least, what = _overlap(source.words, target.words), 0.2, "words"
    else:
        shared, least, what = _overlap(source.statistics.alphabet, target.statistics.alphabet), 0.8, "characters"
    share = f"{shared:.0%} of the {what} occur on both sides"
    return bool(recipe.take("joint_vocabulary", shared >= least, share))


def _overlap(left: Counter[str], right: Counter[str]) -> float:
    """How much of the text of either side is made of what the other side has too; the smaller of the two shares."""
    both = left.keys() & right.keys()
    return min(sum(side[item] for item in both) / max(1, side.total()) for side in (left, right))


def _normalise(recipe: Recipe, source: Side, kind: Kind, *, joint: bool) -> None:
    """Letters with many composed forms (Hangul, stacked accents) are learned from their parts."""
    alphabet = set(source.statistics.alphabet)
    parts = {part for letter in alphabet for part in normalise(letter, "nfd")}
    if kind == "characters" and not joint and len(parts) <= 0.7 * len(alphabet):
        recipe.take("source.normalise", "nfd", f"{len(alphabet)} letters are made of {len(parts)} parts")
    else:
        recipe.take("source.normalise", "none", "texts are taken as they are")
    recipe.take("target.normalise", "none", "answers are written as in the data")


# ------------------------------------------------------------------------------------------------ model


def _model(recipe: Recipe, size: Size, *, amount: str, one_answer: bool, pairs: int, joint: bool) -> None:
    if one_answer and size in TRANSDUCTION:
        family = recipe.take("model.family", "lstm", "short answers, of which one is right")
    else:
        few = pairs < 10_000
        reason = f"{pairs:,} pairs are " + ("few: an LSTM needs less" if few else "enough for a Transformer")
        family = recipe.take("model.family", "lstm" if few else "transformer", reason)
    for side in ("encoder", "decoder"):
        kind = recipe.said(f"model.{side}.kind") or family
        shape = size.recurrent if kind in ("lstm", "gru") else size.transformer
        recipe.take(f"model.{side}.kind", kind, "the model's family")
        for key, value in shape.items():
            recipe.take(f"model.{side}.{key}", value, LAYER_NORM if key == "layer_norm" else amount)
    kinds = _kinds(recipe)
    recurrent = recipe.value("model.decoder.kind") != "transformer"
    if recurrent and size.recurrent.get("layer_norm") and heads_divide_the_width(recipe):
        recipe.take("model.decoder.attention", "multihead", "scores of one scale, from several places at once")
    widths = [recipe.value(f"model.{side}.width") for side in ("encoder", "decoder")]
    if kinds == {"transformer"} and widths[0] == widths[1]:
        recipe.take("model.embedding", widths[0], "the model's width")
    elif "transformer" in kinds:
        recipe.take("model.embedding", widths[1], "the decoder's width")
    else:
        recipe.take("model.embedding", size.embedding, amount)
    if recipe.value("model.decoder.kind") == "transformer" and recipe.said("model.embedding") not in (None, widths[1]):
        recipe.take("model.share_embeddings", "none", "the decoder is not as wide as the embedding")
    elif joint:
        recipe.take("model.share_embeddings", "all", "one vocabulary for both sides")
    else:
        recipe.take("model.share_embeddings", "target", "what is read and what is written are the same words")


def heads_divide_the_width(recipe: Recipe) -> bool:
    """Whether a recurrent decoder may have several heads."""
    heads = recipe.said("model.decoder.heads") or config.RecurrentDecoder().heads
    divided: bool = recipe.value("model.decoder.width") % heads == 0
    return divided


def _kinds(recipe: Recipe) -> set[str]:
    """The kinds of encoder and decoder."""
    return {recipe.value(f"model.{side}.kind") for side in ("encoder", "decoder")}


# ------------------------------------------------------------------------------------------------ training


def _training(recipe: Recipe, size: Size, *, steps: float, amount: str, sampled: bool) -> None:
    accumulate = recipe.said("train.accumulate") or 1
    kinds = {side: recipe.value(f"model.{side}.kind") for side in ("encoder", "decoder")}
    recurrent = set(kinds.values()) <= {"lstm", "gru"}
    enough, batch_tokens = size.course(recurrent=recurrent)
    enough = round(1.3 * enough) if sampled else enough  # what is cut anew is learnt from for longer
    batch = recipe.take("train.batch_tokens", max(1, batch_tokens // accumulate), amount)
    each = max(1, round(steps * 1.05 / batch / accumulate))
    if recipe.said("train.updates") is None:
        epochs = recipe.take("train.epochs", max(3, round(enough / each)), f"about {enough:,} updates")
        updates = epochs * each
    else:
        updates = recipe.said("train.updates")
    widths = [recipe.value(f"model.{side}.width") for side, kind in kinds.items() if kind == "transformer"]
    if widths and max(widths) >= 512:
        recipe.take("train.rate", 0.0007, "a wide Transformer")
    elif len(widths) == 2 and max(widths) <= 128 and size is TRANSLATION[0]:
        recipe.take("train.rate", 0.004, "a small Transformer, which has many updates to make of few pairs")
    elif recurrent and size is TRANSLATION[0]:
        recipe.take("train.rate", 0.0015, "a recurrent model of few pairs")
    else:
        recipe.take("train.rate", 0.002, "a small model")
    pace(recipe, each=each, updates=updates)
    recipe.take("train.early_stop", 10, "validations without a better score")


def pace(recipe: Recipe, *, each: int, updates: int) -> None:
    """What follows from the updates of an epoch and of the whole run."""
    if recipe.said("train.schedule.kind") is None:
        recipe.take("train.schedule.kind", "cosine", "the number of updates is known")
        recipe.take("train.schedule.warmup", max(1, min(4_000, updates // 10)), "a tenth of the updates")
    recipe.take("train.label_smoothing", 0.1, "usual")
    recipe.take("train.validate_every", max(1, each, updates // 25), "an epoch, or a 25th of the run if that is longer")
    recipe.take("train.average", 5, "the mean of the best five checkpoints is mostly better than the best")


def _score(source: Side, target: Side, kind: Kind) -> tuple[config.Score, str]:
    """The score that suits the data, and why. Of how it is cut, what the text itself suggests counts as well."""
    own = target.answering(source.tokeniser[0])[0]
    if target.is_unspaced and (source.is_running or own == "sentencepiece"):
        return "chrf", "text without spaces between words"
    if own == "sentencepiece" and source.statistics.characters.typical > 6 * target.statistics.characters.typical:
        return "rouge_l", "targets are far shorter than sources: a summary"
    if "sentencepiece" in (kind, own) or kind == "words" or (kind == "symbols" and len(target.words) > 1000):
        return "bleu", "running text"
    return "exact_match", "each source has one right answer"


def longest_ratio(
    source_length: NDArray[np.int32], target_length: NDArray[np.int32], *, extra: int, least: float = 1.0
) -> float:
    """How many target tokens a source token may have: half as much again as all but one in a thousand pairs need."""
    need = np.divide(target_length - np.int32(extra), source_length, dtype=np.float32)
    return round(max(least, 1.5 * float(np.quantile(need, 0.999))), 2)


def _rounded(number: float) -> str:
    digits = max(0, int(math.log10(max(1.0, number))) - 1)
    return f"{round(number / 10**digits) * 10**digits:,}"


def lines(recipe: Recipe) -> Iterator[str]:
    """The choices as they are printed, those with one reason together."""
    by_reason: dict[str, list[str]] = {}
    for choice in recipe.choices:
        by_reason.setdefault(choice.reason, []).append(f"{choice.key}={choice.value}")
    for reason, settings in by_reason.items():
        yield f"{', '.join(settings)}  ({reason})"
