"""Which target ids a source id is likely to become, learnt from pairs: IBM model 1 (Brown et al. 1993, section 4.2).

Every target token of a pair comes from one of the source's tokens, all of them equally likely beforehand; expectation
maximisation finds which, and so p(target id | source id). Differs from the paper: the source's END is the empty word,
the target's END is not modelled, and pairs are drawn evenly from a corpus that is too large.

Axes: X a target token beside a source token of its pair, Y the kinds of these (target id beside source id), Z some of
them, P target tokens, I source ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqsmith.data.ragged import Ragged, runs

MOST_CELLS = 16_000_000
"""Tokens beside tokens that are looked at: some 70,000 pairs of sentences, 700 MB of memory, ten seconds."""

_ROUNDS = 5

Integers = NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Lexicon:
    """The kinds that were seen together: source id after source id, the likeliest target id of each first."""

    source_Y: NDArray[np.int64]
    target_Y: NDArray[np.int64]
    probability_Y: NDArray[np.float32]  # of the target id, given the source id

    def best(self, most: int, *, beside_V: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The likeliest `most` target ids of each source id, not counting those `beside_V`, and these source ids."""
        others_Y = ~beside_V[self.target_Y]
        source_Z, target_Z = self.source_Y[others_Y], self.target_Y[others_Y]
        kept_Z = np.arange(len(source_Z)) - np.searchsorted(source_Z, source_Z) < most
        return source_Z[kept_Z], target_Z[kept_Z]


def learn_lexicon(source: Ragged, target: Ragged, *, most_cells: int = MOST_CELLS) -> Lexicon:
    """The lexicon of these pairs, whose ids end with END."""
    rows = _drawn(source.lengths, target.lengths - 1, most_cells)
    source_X, target_X, first_P = _cells(source, target, rows)
    size = int(target_X.max(initial=0)) + 1
    kind_Y, kind_X = np.unique(source_X.astype(np.int64) * size + target_X, return_inverse=True)
    source_Y, target_Y = kind_Y // size, kind_Y % size
    kind_X = kind_X.astype(np.int32)
    cells_P = np.diff(np.append(first_P, len(kind_X)))
    probability_Y = np.ones(len(kind_Y), np.float32)
    for _ in range(_ROUNDS if len(kind_Y) else 0):
        share_X = probability_Y[kind_X]
        share_X /= np.repeat(np.add.reduceat(share_X, first_P), cells_P)
        count_Y = np.bincount(kind_X, share_X, len(kind_Y))
        count_I = np.bincount(source_Y, count_Y)
        probability_Y = (count_Y / count_I[source_Y]).astype(np.float32)
    order_Y = np.lexsort((-probability_Y, source_Y))
    return Lexicon(source_Y[order_Y], target_Y[order_Y], probability_Y[order_Y])


def _drawn(source_length: Integers, target_length: Integers, most_cells: int) -> NDArray[np.int64]:
    """Every row, or every second, third, ... row, so that their cells are few enough."""
    cells = source_length.astype(np.int64) * target_length
    return np.arange(0, len(cells), max(1, -(-int(cells.sum()) // most_cells)))


def _cells(source: Ragged, target: Ragged, rows: NDArray[np.int64]) -> tuple[Integers, Integers, NDArray[np.int64]]:
    """The ids of each cell, target token after target token, and where those of each target token begin."""
    target_length = target.lengths[rows] - 1
    token_P = target.value[runs(target.offset[rows], target_length)]
    cells_P = np.repeat(source.lengths[rows], target_length)
    source_X = source.value[runs(np.repeat(source.offset[rows], target_length), cells_P)]
    return source_X, np.repeat(token_P, cells_P), np.cumsum(cells_P) - cells_P
