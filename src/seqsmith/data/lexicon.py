"""Which target ids a source id is likely to become, learnt from pairs: IBM model 1 (Brown et al. 1993, section 4.2).

Every target token of a pair comes from one of the source's tokens, all of them equally likely beforehand; expectation
maximisation finds which, and so p(target id | source id). Differs from the paper: the source's END is the empty word,
the target's END is not modelled, and pairs are drawn evenly from a corpus that is too large.

A cell is a target token beside a source token of its pair. Cells are counted through some at a time, and of each only
the number of its kind is kept: 4 bytes.

Axes: X cells, Y their kinds (a target id beside a source id), Z some of these, P target tokens, I source ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqsmith.data.ragged import Ragged, runs

MOST_CELLS = 16_000_000
"""Tokens beside tokens that are looked at: some 70,000 pairs of sentences, 200 MB of memory, ten seconds."""

_ROUNDS = 5
_AT_ONCE = 1_000_000  # cells

Integers = NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Lexicon:
    """The kinds that were seen together: source id after source id, the likeliest target id of each first."""

    source_Y: NDArray[np.int32]
    target_Y: NDArray[np.int32]
    probability_Y: NDArray[np.float32]  # of the target id, given the source id

    def best(self, most: int, *, beside_V: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Source ids, and beside each one of its likeliest `most` target ids, not counting those `beside_V`."""
        others_Y = ~beside_V[self.target_Y]
        source_Z, target_Z = self.source_Y[others_Y], self.target_Y[others_Y]
        kept_Z = np.arange(len(source_Z)) - np.searchsorted(source_Z, source_Z) < most
        return source_Z[kept_Z], target_Z[kept_Z]


@dataclass(frozen=True, eq=False)
class _Part:
    """Neighbouring cells, target token after target token."""

    kind_X: NDArray[np.int32]
    cells_P: Integers  # of each target token

    def add_to(self, count_Y: NDArray[np.float64], probability_Y: NDArray[np.float32]) -> None:
        """Share each target token out among the source tokens of its pair, as likely as they are."""
        share_X = probability_Y[self.kind_X]
        share_X /= np.repeat(np.add.reduceat(share_X, np.cumsum(self.cells_P) - self.cells_P), self.cells_P)
        np.add.at(count_Y, self.kind_X, share_X.astype(np.float64))


def learn_lexicon(source: Ragged, target: Ragged, *, most_cells: int = MOST_CELLS) -> Lexicon:
    """The lexicon of these pairs, whose ids end with END."""
    size = int(target.value.max(initial=0)) + 1
    parts, key_Y = _kinds(source, target, _drawn(source.lengths, target.lengths - 1, most_cells), size)
    source_Y, target_Y = (key_Y // size).astype(np.int32), (key_Y % size).astype(np.int32)
    del key_Y
    probability_Y = np.ones(len(source_Y), np.float32)
    blocks = _blocks(source_Y)
    for _ in range(_ROUNDS):
        count_Y = np.zeros(len(source_Y))
        for part in parts:
            part.add_to(count_Y, probability_Y)
        for block in blocks:
            count_I = np.bincount(source_Y[block], count_Y[block])
            probability_Y[block] = count_Y[block] / count_I[source_Y[block]]
    for block in blocks:
        order_Y = np.lexsort((-probability_Y[block], source_Y[block]))
        target_Y[block], probability_Y[block] = target_Y[block][order_Y], probability_Y[block][order_Y]
    return Lexicon(source_Y, target_Y, probability_Y)


def _blocks(source_Y: NDArray[np.int32]) -> list[slice]:
    """Kinds of neighbouring source ids, about so many as are looked at together."""
    first = np.flatnonzero(np.diff(source_Y, prepend=-1))  # of each source id
    starts = first[np.diff(first // _AT_ONCE, prepend=-1) > 0].tolist()
    return [slice(*bounds) for bounds in pairwise([*starts, len(source_Y)])]


def _drawn(source_length: Integers, target_length: Integers, most_cells: int) -> NDArray[np.int64]:
    """Every row, or every second, third, ... row, so that their cells are few enough."""
    cells = source_length.astype(np.int64) * target_length
    return np.arange(0, len(cells), max(1, -(-int(cells.sum()) // most_cells)))


def _kinds(source: Ragged, target: Ragged, rows: NDArray[np.int64], size: int) -> tuple[list[_Part], Integers]:
    """All cells of these rows, and the kinds there are: source id * `size` + target id, ascending."""
    # in 32 bits where these are enough, which halves what follows
    dtype = np.dtype(np.uint32 if (int(source.value.max(initial=0)) + 1) * size <= 2**32 else np.int64)
    cells = source.lengths[rows].astype(np.int64) * (target.lengths[rows] - 1)
    found: list[tuple[Integers, _Part]] = []
    for some in np.split(rows, np.flatnonzero(np.diff(np.cumsum(cells) // _AT_ONCE)) + 1):
        source_X, target_X, cells_P = _cells(source, target, some)
        key_X: Integers = source_X.astype(dtype)
        key_X *= size
        key_X += target_X.astype(dtype)
        seen, kind_X = np.unique(key_X, return_inverse=True)
        if len(seen):
            found.append((seen, _Part(kind_X.astype(np.int32), cells_P)))
    key_Y = np.concatenate([np.zeros(0, dtype), *(seen for seen, _ in found)])
    key_Y.sort()  # where np.unique would build a table of 40 bytes a key
    key_Y = key_Y[np.diff(key_Y, prepend=key_Y[:1] + dtype.type(1)) != 0]
    for seen, part in found:
        part.kind_X[:] = np.searchsorted(key_Y, seen)[part.kind_X]
    return [part for _, part in found], key_Y


def _cells(source: Ragged, target: Ragged, rows: NDArray[np.int64]) -> tuple[Integers, Integers, Integers]:
    """The ids of each cell, target token after target token, and how many cells each target token has."""
    target_length = target.lengths[rows] - 1
    token_P = target.value[runs(target.offset[rows], target_length)]
    cells_P = np.repeat(source.lengths[rows], target_length)
    source_X = source.value[runs(np.repeat(source.offset[rows], target_length), cells_P)]
    return source_X, np.repeat(token_P, cells_P), cells_P
