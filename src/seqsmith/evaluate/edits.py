"""Edit distance (Levenshtein 1966), the error rates made of it (WER, CER, PER), and outputs that match exactly.

Texts are compared in Unicode's NFC form, without the space around them, case and punctuation as they are.

Two things are called WER. In speech recognition it is this module's `wer`: edits per reference word over the corpus. In
grapheme-to-phoneme conversion (SIGMORPHON) it is the share of words whose transcription is not right as a whole: that
is `ser`, the sequence error rate, 100 - `exact_match`. The edits per phoneme are `per` there.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np
from rapidfuzz.distance import Levenshtein

from seqsmith.evaluate.statistics import Array, References, Statistics, Texts, signature

Unit = Literal["word", "symbol", "character"]


@dataclass(frozen=True)
class Edits:
    """The fewest edits that turn a reference into an output. Where several ways are as short, one is taken."""

    substitutions: int
    insertions: int
    deletions: int
    reference: int  # its length

    @property
    def total(self) -> int:
        return self.substitutions + self.insertions + self.deletions


def edits(output: str, reference: str, *, unit: Unit) -> Edits:
    """Words and symbols are what whitespace separates; characters are code points, inner spaces included."""
    output_id, reference_id = numbered(_cut(output, unit), _cut(reference, unit))
    count = Counter(edit.tag for edit in Levenshtein.editops(reference_id, output_id))
    return Edits(count["replace"], count["insert"], count["delete"], len(reference_id))


def error_rate(outputs: Texts, references: References, *, unit: Unit) -> Statistics:
    """Edits per 100 units of the references, over the corpus; above 100 where outputs are long.

    Of several references the one with the fewest edits counts. References without any unit give 0 where the outputs
    have none either, else 100 (as in sacreBLEU's TER).
    """
    rows = []
    for output, several in zip(outputs, references, strict=True):
        nearest = min((edits(output, reference, unit=unit) for reference in several), key=lambda edit: edit.total)
        rows.append((nearest.substitutions, nearest.insertions, nearest.deletions, nearest.reference))
    cut = "codepoint" if unit == "character" else "whitespace"
    return Statistics(
        row_EQ=np.array(rows, dtype=np.float64),
        quantities=("substitutions", "insertions", "deletions", f"reference_{unit}s"),
        value=_rate,
        signature=signature(references, case="mixed", norm="nfc", tok=cut),
        unit="percent",
        better="lower",
    )


def exact_match(outputs: Texts, references: References) -> Statistics:
    """The share of outputs that equal one of their references."""
    return Statistics(
        row_EQ=_outcomes(outputs, references),
        quantities=("exact", "wrong"),
        value=lambda total_ZQ: 100 * total_ZQ[:, 0] / total_ZQ.sum(1),
        signature=signature(references, case="mixed", norm="nfc"),
        unit="percent",
        better="higher",
    )


def sequence_error_rate(outputs: Texts, references: References) -> Statistics:
    """The share of outputs that equal none of their references."""
    return Statistics(
        row_EQ=_outcomes(outputs, references),
        quantities=("exact", "wrong"),
        value=lambda total_ZQ: 100 * total_ZQ[:, 1] / total_ZQ.sum(1),
        signature=signature(references, case="mixed", norm="nfc"),
        unit="percent",
        better="lower",
    )


def numbered(*sequences: list[str]) -> list[list[int]]:
    """The sequences with equal items as equal numbers: rapidfuzz compares numbers exactly, strings by their hash."""
    number: dict[str, int] = {}
    return [[number.setdefault(item, len(number)) for item in sequence] for sequence in sequences]


def _rate(total_ZQ: Array) -> Array:
    edits_Z, length_Z = total_ZQ[:, :3].sum(1), total_ZQ[:, 3]
    rate_Z: Array = np.where(length_Z > 0, 100 * edits_Z / np.maximum(length_Z, 1), 100.0 * (edits_Z > 0))
    return rate_Z


def _outcomes(outputs: Texts, references: References) -> Array:
    rows = []
    for output, several in zip(outputs, references, strict=True):
        exact = _normal(output) in {_normal(reference) for reference in several}
        rows.append((exact, not exact))
    return np.array(rows, dtype=np.float64)


def _cut(text: str, unit: Unit) -> list[str]:
    text = _normal(text)
    return list(text) if unit == "character" else text.split()


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()
