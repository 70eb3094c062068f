"""Several models as one: their probabilities are averaged at every step (Sutskever et al. 2014, section 3.6)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from seqsmith.batch import State, Step, exact


def ensemble(steps: Sequence[Step]) -> Step:
    """The step of all models together: its logits are the logarithm of their mean probability."""

    def step(id_N: Tensor, state: State) -> tuple[Tensor, State]:
        logits, rows, sources = [], [], []
        for one, row, source in zip(steps, state.row, state.source, strict=True):
            logit_NV, after = one(id_N, State(row, source))
            logits.append(exact(logit_NV).log_softmax(1))
            rows.append(after.row)
            sources.append(after.source)
        return torch.stack(logits).logsumexp(0) - math.log(len(steps)), State(tuple(rows), tuple(sources))

    return step


def joined(states: Sequence[State]) -> State:
    """The state of the ensemble from the states of its models, in the order of their steps."""
    return State(tuple(state.row for state in states), tuple(state.source for state in states))
