"""Language models, and what one says of prefixes that grow at different times, as those of prefix beam search do.

It has seen no source, so all rows are of one source to it. Rows of one length are taken a step further together.

Axes: M rows of one length that grow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, Protocol

import torch
from torch import Tensor

from seqsmith.batch import State, exact, tree_map
from seqsmith.special import BEGIN

_LEAST = -1e4  # of a log-probability, so that a weight of 0 makes nothing of it


class LanguageModel(Protocol):
    """Whatever says which token comes next, over a model's target vocabulary, without having seen a source."""

    def start(self, sources: int) -> State: ...
    def step(self, id_N: Tensor, state: State) -> tuple[Tensor, State]: ...


@dataclass(frozen=True)
class Said:
    """What a language model says of N prefixes, its log-probabilities times its weight."""

    model: LanguageModel
    weight: float
    log_p_N: Tensor  # of each prefix
    next_NV: Tensor  # of each token after it
    states: Sequence[State]  # of each prefix: one row, one source

    @classmethod
    def of_nothing(cls, model: LanguageModel, *, weight: float, rows: int, device: torch.device) -> Said:
        """So many empty prefixes."""
        zero_N = torch.zeros(rows, dtype=torch.float64, device=device)
        logit_1V, state = model.step(torch.full((1,), BEGIN, device=device), model.start(1))
        return cls(model, weight, zero_N, _weighted(logit_1V, weight).expand(rows, -1), [state] * rows)

    def moved(self, from_N: Tensor, *, grows_N: Tensor, id_N: Tensor, length_N: Tensor) -> Said:
        """Row i is what row `from_N[i]` was; where it grows, with the token `id_N[i]`, it has `length_N[i]` of them."""
        states = [self.states[row] for row in from_N.tolist()]
        next_NV = self.next_NV[from_N]
        added_N = next_NV.gather(1, id_N[:, None])[:, 0].where(grows_N, 0.0)
        for length in sorted(set(length_N[grows_N].tolist())):
            row_M = (grows_N & (length_N == length)).nonzero()[:, 0]
            rows = row_M.tolist()
            logit_MV, after = self.model.step(id_N[row_M], _together([states[row] for row in rows]))
            next_NV = next_NV.index_copy(0, row_M, _weighted(logit_MV, self.weight))
            for place, row in enumerate(rows):
                states[row] = State(tree_map(itemgetter(slice(place, place + 1)), after.row), after.source)
        return replace(self, log_p_N=self.log_p_N[from_N] + added_N, next_NV=next_NV, states=states)


def _weighted(logit_NV: Tensor, weight: float) -> Tensor:
    return weight * exact(logit_NV).double().log_softmax(1).clamp_min(_LEAST)


def _together(states: Sequence[State]) -> State:
    """States of one row each as rows of one; they have the same shapes, as those after as many tokens do."""
    leaves = [_leaves(state.row) for state in states]
    joined = (torch.cat(same) for same in zip(*leaves, strict=True))
    return State(tree_map(lambda _: next(joined), states[0].row), states[0].source)


def _leaves(tree: Any) -> list[Tensor]:
    found: list[Tensor] = []

    def take(leaf: Tensor) -> Tensor:
        found.append(leaf)
        return leaf

    tree_map(take, tree)
    return found
