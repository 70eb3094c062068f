"""ROUGE-1, ROUGE-2 and ROUGE-L: the F-measure of shared n-grams or of the longest common subsequence (Lin 2004).

The score of a corpus is the mean of its segments' F (precision and recall weigh the same, no stemming), as in Google's
rouge_score, whose values `words="latin"` reproduces. A segment without words on either side has F = 0. Differs from
rouge_score: `words="unicode"` takes in every script.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal

import numpy as np
from rapidfuzz.distance import LCSseq

from seqsmith.evaluate.edits import numbered
from seqsmith.evaluate.statistics import References, Statistics, Texts, signature
from seqsmith.evaluate.words import RougeWords, latin_words, unicode_words

Kind = Literal[1, 2, "L"]
Match = tuple[float, int, int, int]  # F, units shared, units of the output, units of the reference


def rouge(outputs: Texts, references: References, *, kind: Kind, words: RougeWords) -> Statistics:
    """Of several references the one with the highest F counts."""
    cut = latin_words if words == "latin" else unicode_words
    rows = []
    for output, several in zip(outputs, references, strict=True):
        output_words = cut(output)
        best = max((_match(output_words, cut(reference), kind) for reference in several), key=lambda match: match[0])
        rows.append((*best, 1))
    unit = "words" if kind == "L" else f"{kind}_grams"
    return Statistics(
        row_EQ=np.array(rows, dtype=np.float64),
        quantities=("sum_of_f", f"matched_{unit}", f"output_{unit}", f"reference_{unit}", "segments"),
        value=lambda total_ZQ: 100 * total_ZQ[:, 0] / total_ZQ[:, 4],
        signature=signature(references, case="lc", tok=words, stem="no", measure="f1", average="segments"),
        unit="points",
        better="higher",
    )


def _match(output: list[str], reference: list[str], kind: Kind) -> Match:
    if kind == "L":
        shared = LCSseq.similarity(*numbered(output, reference))
        lengths = len(output), len(reference)
    else:
        output_grams, reference_grams = _grams(output, kind), _grams(reference, kind)
        shared = (output_grams & reference_grams).total()
        lengths = output_grams.total(), reference_grams.total()
    return (2 * shared / sum(lengths) if shared else 0.0, shared, *lengths)


def _grams(words: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[start:] for start in range(n)), strict=False))
