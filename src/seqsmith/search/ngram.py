"""A language model of n-grams as a `Step`: what of the target side alone tells which token comes next.

Witten-Bell smoothing (Witten and Bell 1991; Chen and Goodman 1998, section 2.6): for a context h with c(h) followers of
t(h) kinds, p(w | h) = (c(h, w) + t(h) p(w | h')) / (c(h) + t(h)), where h' is h without its first token. Below the
empty context all ids are equally likely. Contexts are known by 64-bit hashes and found by bisection in sorted arrays.

Axes: X distinct contexts, G distinct pairs of context and follower, K tokens of the longest context.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqsmith.batch import State
from seqsmith.special import BEGIN, UNKNOWN

_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio, odd: spreads neighbours far apart


@dataclass(frozen=True, eq=False)
class _Followers:
    """What follows the contexts of one length."""

    context_X: NDArray[np.uint64]  # hashes, ascending
    starts: NDArray[np.int64]  # where the followers of each context start; one more at the end
    id_G: NDArray[np.int64]
    count_G: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NGrams:
    """Counts of all n-grams up to an order, over target ids."""

    size: int  # of the vocabulary
    tables: tuple[_Followers, ...]  # by the length of the context, from 0
    device: str | torch.device  # of the search; the counts stay in main memory

    @property
    def order(self) -> int:
        return len(self.tables)

    @classmethod
    def learn(
        cls, texts: Iterable[Sequence[int]], *, order: int, size: int, device: str | torch.device = "cpu"
    ) -> NGrams:
        """From ids that carry their END. Before its first token a text has nothing but BEGIN."""
        assert order >= 1
        begin = [BEGIN] * (order - 1)
        id_L = np.array([number for ids in texts for number in (*begin, *ids)], np.int64)
        real = np.flatnonzero(id_L != BEGIN)
        follower = id_L[real]
        hashes = np.zeros(len(real), np.uint64)
        tables = [_followers(hashes, follower)]
        for back in range(1, order):
            hashes = _longer(hashes, id_L[real - back])
            tables.append(_followers(hashes, follower))
        return cls(size, tuple(tables), device)

    def start(self, sources: int) -> State:
        """The state before the first token of so many sources."""
        return State({"last_NK": torch.full((sources, self.order - 1), BEGIN, device=self.device)}, {})

    def step(self, id_N: Tensor, state: State) -> tuple[Tensor, State]:
        """Take in one token for each row -> (log_p_NV, state), in float64."""
        last_NK = state.row["last_NK"]
        if self.order > 1:
            known_N = id_N.where(id_N < self.size, UNKNOWN)
            last_NK = torch.cat([last_NK[:, 1:], known_N[:, None]], dim=1)
        log_p_NV = torch.from_numpy(np.log(self.probability(last_NK.cpu().numpy())))
        return log_p_NV.to(id_N.device), State({"last_NK": last_NK}, state.source)

    def probability(self, last_NK: NDArray[np.int64]) -> NDArray[np.float64]:
        """Of each id after these contexts -> p_NV."""
        p_NV = np.full((len(last_NK), self.size), 1.0 / self.size)
        hashes = np.zeros(len(last_NK), np.uint64)
        for back, table in enumerate(self.tables):
            if back:
                hashes = _longer(hashes, last_NK[:, -back])
            if not len(table.context_X):
                break
            place_N = np.searchsorted(table.context_X, hashes).clip(max=len(table.context_X) - 1)
            for row in np.flatnonzero(table.context_X[place_N] == hashes):
                start, end = table.starts[place_N[row] : place_N[row] + 2]
                count, kinds = table.count_G[start:end], end - start
                p_NV[row] *= kinds / (count.sum() + kinds)
                p_NV[row, table.id_G[start:end]] += count / (count.sum() + kinds)
        return p_NV


def _longer(hashes: NDArray[np.uint64], id_before: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The hash of each context with one token more before it."""
    mixed = (hashes ^ (id_before + 1).astype(np.uint64)) * _FACTOR
    return mixed ^ (mixed >> np.uint64(29))


def _followers(hashes: NDArray[np.uint64], follower: NDArray[np.int64]) -> _Followers:
    order = np.lexsort((follower, hashes))
    context, ids = hashes[order], follower[order]
    new_context = np.ones(len(order), bool)
    new_context[1:] = context[1:] != context[:-1]
    new = new_context.copy()
    new[1:] |= ids[1:] != ids[:-1]
    first_G = np.flatnonzero(new)
    count_G = np.diff(first_G, append=len(order)).astype(np.float64)
    starts = np.flatnonzero(new_context[first_G])
    return _Followers(context[first_G][starts], np.append(starts, len(first_G)), ids[first_G], count_G)
