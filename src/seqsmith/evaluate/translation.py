"""BLEU, chrF++ and TER through sacreBLEU, with its own signatures (Post 2018, "A call for clarity").

BLEU: Papineni et al. 2002. chrF++: Popovic 2017, character 6-grams and word 2-grams. TER: Snover et al. 2006.
BLEU counts 4-grams: a corpus without a sentence of four tokens scores 0 even where every output is right.
"""

from __future__ import annotations

import itertools

import numpy as np
from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from seqsmith.evaluate.statistics import Array, References, Statistics, Texts
from seqsmith.evaluate.words import Tokenize

BLEU_QUANTITIES = (
    "output_words",
    "reference_words",
    *(f"matched_{n}_grams" for n in range(1, 5)),
    *(f"output_{n}_grams" for n in range(1, 5)),
)
CHRF_QUANTITIES = tuple(
    f"{side}_{n}_{unit}_grams"
    for unit, longest in (("character", 6), ("word", 2))
    for n in range(1, longest + 1)
    for side in ("output", "reference", "matched")
)


def bleu(outputs: Texts, references: References, *, tokenize: Tokenize) -> Statistics:
    # `force` only silences the warning about text that looks tokenised.
    return _statistics(BLEU(tokenize=tokenize, force=True), BLEU_QUANTITIES, outputs, references)


def chrf(outputs: Texts, references: References) -> Statistics:
    return _statistics(CHRF(word_order=2), CHRF_QUANTITIES, outputs, references)


def ter(outputs: Texts, references: References, *, tokenize: Tokenize) -> Statistics:
    """Case does not count, as in Tercom. For `zh` and `char` the words are Tercom's Asian ones: Han one by one."""
    asian = tokenize in ("zh", "char")
    metric = TER(normalized=asian, asian_support=asian)
    return _statistics(metric, ("edits", "reference_words"), outputs, references)


def _statistics(metric: Metric, quantities: tuple[str, ...], outputs: Texts, references: References) -> Statistics:
    # sacreBLEU keeps these two methods to itself, and builds its own paired tests on them (2.6).
    streams = list(itertools.zip_longest(*references))
    rows = metric._extract_corpus_statistics(outputs, streams)

    def value(total_ZQ: Array) -> Array:
        return np.array([metric._compute_score_from_stats(total).score for total in total_ZQ.tolist()])

    return Statistics(
        row_EQ=np.array(rows, dtype=np.float64),
        quantities=quantities,
        value=value,
        signature=metric.get_signature().format(),
        unit="points",
        better="lower" if isinstance(metric, TER) else "higher",
    )
