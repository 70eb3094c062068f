"""Signs that something is wrong with answers, whatever their score: copies of the source, repetition, nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

_SHARE = 0.05  # of the answers, beyond what the references show
_SHORT = 200  # characters
_RUN = re.compile(r"(.{1,50}?)\1{3,}", re.DOTALL)


def symptoms(sources: Sequence[str], outputs: Sequence[str], references: Sequence[str]) -> Iterator[str]:
    """A sentence for each sign that more than one answer in twenty shows without its reference doing so."""
    rows = [row for row in zip(sources, outputs, references, strict=True) if row[2].strip()]
    for sign, advice in (
        (_is_empty, "are empty: trained too little, or search.shortest could be raised"),
        (_is_copy, "copy their source: is source and target the same text in part of the training data?"),
        (_repeats, "repeat themselves: trained too little, or at too high a rate"),
    ):
        count = sum(sign(source, output) and not sign(source, reference) for source, output, reference in rows)
        if rows and count > _SHARE * len(rows):
            yield f"{count:,} of {len(rows):,} answers {advice}"


def _is_empty(_source: str, text: str) -> bool:
    return not text.strip()


def _is_copy(source: str, text: str) -> bool:
    return bool(text.strip()) and text.strip() == source.strip()


def _repeats(_source: str, text: str) -> bool:
    """Whether some characters, four times or more on end, make up most of a short text; or one run of three words (of
    six characters, where there are few words) half of any text."""
    text = text.strip()
    if len(text) <= _SHORT and any(len(run[0]) > len(text) / 2 for run in _RUN.finditer(text + " ")):
        return True
    units: Sequence[str] = text.split()
    size = 3
    if len(units) < 9:
        units, size = text, 6
    runs = Counter(tuple(units[i : i + size]) for i in range(len(units) - size + 1))
    return len(units) >= 3 * size and max(runs.values()) * size > len(units) / 2 and max(runs.values()) >= 4
