"""Scores of output texts against references, each with a signature and a bootstrap interval; paired tests.

All values are on a scale of 0 to 100. What each name means stands where it is computed: `bleu`, `chrf` (chrF++) and
`ter` in translation.py; `exact_match`, `ser`, `wer`, `cer` and `per` in edits.py; `rouge_1`, `rouge_2` and `rouge_l` in
rouge.py.
"""

from __future__ import annotations

import itertools
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from seqsmith.errors import UserError, nearest
from seqsmith.evaluate.edits import error_rate, exact_match, sequence_error_rate
from seqsmith.evaluate.intervals import LEVEL, bootstrap, compare, interval
from seqsmith.evaluate.rouge import rouge
from seqsmith.evaluate.statistics import References, Statistics, Texts
from seqsmith.evaluate.translation import bleu, chrf, ter
from seqsmith.evaluate.words import RougeWords, Tokenize, fitting_rouge_words, fitting_tokenize

Name = Literal["bleu", "chrf", "ter", "exact_match", "ser", "wer", "cer", "per", "rouge_1", "rouge_2", "rouge_l"]
NAMES: tuple[str, ...] = typing.get_args(Name)


@dataclass(frozen=True)
class Score:
    """A score of a corpus. `counts` are the sums it was computed from, `interval` how low and high were found."""

    name: str
    value: float
    low: float
    high: float
    signature: str
    unit: Literal["percent", "points"]
    better: Literal["higher", "lower"]
    counts: Mapping[str, float]
    interval: str


@dataclass(frozen=True)
class Paired:
    """The difference a - b of two systems in one score. Low and high are of the difference; `wins` is a's share."""

    name: str
    value_a: float
    value_b: float
    difference: float
    low: float
    high: float
    p_value: float
    wins: float
    signature: str
    better: Literal["higher", "lower"]
    interval: str


def score_texts(
    outputs: Texts,
    references: Sequence[str] | Sequence[Sequence[str]],
    names: Sequence[str],
    *,
    tokenize: Tokenize | None = None,
    rouge_words: RougeWords | None = None,
    seed: int = 1,
    resamples: int = 1000,
) -> list[Score]:
    """Score `outputs` by each of `names`.

    references[i] is the reference of outputs[i], or a list of its references. `tokenize` is BLEU's tokeniser (and tells
    TER of Asian text): "none" for text that is already split, None to choose it from the script of the references; so
    is `rouge_words`. With resamples=0 there is no interval: low and high are the value.
    """
    paired = _pair(outputs, references)
    several = [_statistics(name, outputs, paired, tokenize, rouge_words) for name in names]
    values = [float(statistics.value(statistics.total_1Q)[0]) for statistics in several]
    bounds = [(value, value) for value in values]
    if resamples and several:
        drawn = bootstrap(several, resamples=resamples, seed=seed)
        bounds = [interval(value, value_Z) for value, value_Z in zip(values, drawn, strict=True)]
    return [
        Score(
            name=name,
            value=value,
            low=low,
            high=high,
            signature=statistics.signature,
            unit=statistics.unit,
            better=statistics.better,
            counts=dict(zip(statistics.quantities, map(_plain, statistics.total_1Q[0]), strict=True)),
            interval=_provenance("percentile", resamples, seed),
        )
        for name, statistics, value, (low, high) in zip(names, several, values, bounds, strict=True)
    ]


def paired_test(
    outputs_a: Texts,
    outputs_b: Texts,
    references: Sequence[str] | Sequence[Sequence[str]],
    name: str,
    *,
    tokenize: Tokenize | None = None,
    rouge_words: RougeWords | None = None,
    seed: int = 1,
    resamples: int = 1000,
) -> Paired:
    """Whether systems a and b differ in score `name`: interval by paired bootstrap, p by approximate randomisation."""
    a, b = (
        _statistics(name, outputs, _pair(outputs, references), tokenize, rouge_words)
        for outputs in (outputs_a, outputs_b)
    )
    found = compare(a, b, resamples=resamples, seed=seed)
    return Paired(
        name=name,
        value_a=float(a.value(a.total_1Q)[0]),
        value_b=float(b.value(b.total_1Q)[0]),
        difference=found.difference,
        low=found.low,
        high=found.high,
        p_value=found.p_value,
        wins=found.wins,
        signature=a.signature,
        better=a.better,
        interval=_provenance("paired+randomisation", resamples, seed),
    )


def _pair(outputs: Texts, references: Sequence[str] | Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    if len(outputs) != len(references):
        raise UserError(
            f"Found {len(outputs)} outputs and {len(references)} references: expected one entry of references for "
            "each output. Is a line missing in one of them? Several references of an output go into one list."
        )
    if not outputs:
        raise UserError("Found no outputs and no references: expected at least one of each to score.")
    several = [(entry,) if isinstance(entry, str) else tuple(entry) for entry in references]
    if () in several:
        raise UserError(f"Output {several.index(()) + 1} has an empty list of references: expected at least one.")
    return several


def _statistics(
    name: str,
    outputs: Texts,
    references: References,
    tokenize: Tokenize | None,
    rouge_words: RougeWords | None,
) -> Statistics:
    match name:
        case "bleu":
            return bleu(outputs, references, tokenize=_tokenize(tokenize, references))
        case "chrf":
            return chrf(outputs, references)
        case "ter":
            return ter(outputs, references, tokenize=_tokenize(tokenize, references))
        case "exact_match":
            return exact_match(outputs, references)
        case "ser":
            return sequence_error_rate(outputs, references)
        case "wer":
            return error_rate(outputs, references, unit="word")
        case "per":
            return error_rate(outputs, references, unit="symbol")
        case "cer":
            return error_rate(outputs, references, unit="character")
        case "rouge_1":
            return rouge(outputs, references, kind=1, words=_rouge_words(rouge_words, references))
        case "rouge_2":
            return rouge(outputs, references, kind=2, words=_rouge_words(rouge_words, references))
        case "rouge_l":
            return rouge(outputs, references, kind="L", words=_rouge_words(rouge_words, references))
    raise UserError(f"Unknown score `{name}`.{nearest(name, NAMES)}")


def _tokenize(wanted: Tokenize | None, references: References) -> Tokenize:
    known = typing.get_args(Tokenize)
    if wanted is not None and wanted not in known:
        raise UserError(f"Unknown BLEU tokeniser `{wanted}`.{nearest(wanted, known)}")
    return wanted or fitting_tokenize(itertools.chain.from_iterable(references))


def _rouge_words(wanted: RougeWords | None, references: References) -> RougeWords:
    known = typing.get_args(RougeWords)
    if wanted is not None and wanted not in known:
        raise UserError(f"Unknown words for ROUGE `{wanted}`.{nearest(wanted, known)}")
    return wanted or fitting_rouge_words(itertools.chain.from_iterable(references))


def _provenance(method: str, resamples: int, seed: int) -> str:
    return f"bootstrap:{method}|level:{LEVEL}|resamples:{resamples}|seed:{seed}" if resamples else "none"


def _plain(number: float) -> float:
    """A count as an int, which JSON and tables show without `.0`; sums of fractions stay what they are."""
    return int(number) if number == int(number) else float(number)
