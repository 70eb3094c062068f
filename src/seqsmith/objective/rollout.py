"""Roll-outs: the decoder is fed its own forecasts, step after step, as it will be when it is used."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from seqsmith import config
from seqsmith.batch import Future, State
from seqsmith.objective.token import Loss
from seqsmith.objective.value import point, value_loss

Step = Callable[[Tensor, Tensor, State], tuple[Tensor, State]]
"""step(previous_NMC, known_NME, state) -> (number_NMCQ, state): what is said of the next M steps of each row."""


def roll(
    step: Step, state: State, *, begin_NMC: Tensor, known_NLE: Tensor, feed: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """All steps of the known future, each fed what `feed` makes of the one before -> (number_NLCQ, fed_NLC)."""
    patch = begin_NMC.shape[1]
    previous_NMC, said, fed = begin_NMC, [], []
    for known_NME in torch.split(known_NLE, patch, dim=1):
        number_NMCQ, state = step(previous_NMC, known_NME, state)
        previous_NMC = feed(number_NMCQ).to(begin_NMC.dtype)
        said.append(number_NMCQ)
        fed.append(previous_NMC)
    return torch.cat(said, dim=1), torch.cat(fed, dim=1)


def rolled_out(step: Step, state: State, target: Future, kind: config.ValueLoss) -> Loss:
    """The loss of a roll-out of the model's own forecasts."""
    number_BLCQ, _ = roll(
        step,
        state,
        begin_NMC=target.begin_BMC,
        known_NLE=target.known_BLE,
        feed=lambda number: point(number, kind),
    )
    return value_loss(number_BLCQ, target, kind)
