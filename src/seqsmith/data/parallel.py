"""Where two files of parallel lines fall apart, guessed from the lengths of their lines.

Translations are about as long as their sources (Gale & Church 1993, "A program for aligning sentences in bilingual
corpora"), so a place where lines are missing is one before which the files fit as they lie, and after which they fit
when one of them is moved by as many lines as it has more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def falls_apart(left: Sequence[int], right: Sequence[int]) -> int | None:
    """The number of the line, from 1, around which files with lines of such lengths no longer belong together.

    None where their lengths do not tell.
    """
    if not left or not right:
        return None
    longer, shorter = (np.log1p(np.array(lengths, np.float64)) for lengths in sorted((left, right), key=len)[::-1])
    return _break(longer, shorter) or _odd_window(np.expm1(longer[: len(shorter)]), np.expm1(shorter))


def _break(longer: Array, shorter: Array) -> int | None:
    """After the line where moving the rest makes them fit best, if it makes them fit much better."""
    more = len(longer) - len(shorter)
    ratio = np.median(longer) - np.median(shorter)
    as_they_lie, moved = (
        np.concatenate([[0.0], np.cumsum(np.abs(part - shorter - ratio))])
        for part in (longer[: len(shorter)], longer[more:])
    )
    cost = as_they_lie + moved[-1] - moved  # of a break after so many lines
    lines = len(cost) - 1 - int(np.argmin(cost[::-1]))  # the last of equals
    return lines + 1 if cost[lines] < 0.8 * max(cost[0], cost[-1]) else None


def _odd_window(left: Array, right: Array) -> int | None:
    """The first line with one side empty, or the first of 20 lines with quite another ratio of lengths."""
    window, factor = 20, 4.0
    starts = np.arange(0, len(left), window)
    ratio = np.log((np.add.reduceat(left, starts) + 1) / (np.add.reduceat(right, starts) + 1))
    off = np.abs(ratio - np.log((left.sum() + 1) / (right.sum() + 1))) > np.log(factor)
    suspects = np.concatenate([np.flatnonzero((left == 0) != (right == 0)), starts[off]])
    return int(suspects.min()) + 1 if len(suspects) else None
