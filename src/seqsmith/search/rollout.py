"""Forecasts of an autoregressive model: the roll-out of its means, and paths that are drawn from what it says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from seqsmith import config
from seqsmith.batch import State
from seqsmith.objective.rollout import Step, roll
from seqsmith.objective.value import point, sample
from seqsmith.search.step import select


def mean_rollout(step: Step, state: State, *, begin_BMC: Tensor, known_BLE: Tensor, kind: config.ValueLoss) -> Tensor:
    """Each step fed the forecasts before it -> number_BLCQ."""
    return roll(step, state, begin_NMC=begin_BMC, known_NLE=known_BLE, feed=lambda number: point(number, kind))[0]


def sample_paths(
    step: Step, state: State, *, begin_BMC: Tensor, known_BLE: Tensor, kind: config.ValueLoss, paths: int, seed: int
) -> Tensor:
    """Each step fed a draw from what was said before it; the same for the same seed, alone or beside others
    -> path_BWLC."""
    rows = len(begin_BMC)
    row_N = torch.arange(rows, device=begin_BMC.device).repeat_interleave(paths)
    with seeded(seed, begin_BMC.device):
        _, fed_NLC = roll(
            step,
            select(state, row_N=row_N),
            begin_NMC=begin_BMC[row_N],
            known_NLE=known_BLE[row_N],
            feed=lambda number: sample(torch.unflatten(number, 0, (rows, paths)), kind).flatten(0, 1),
        )
    return torch.unflatten(fed_NLC, 0, (rows, paths))


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Draws by this seed, which leave the generators of all others as they were."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def draw(step: Step, state: State, *, begin_BMC: Tensor, known_BLE: Tensor, kind: config.ValueLoss) -> Tensor:
    """A path of each row, drawn without regard to those of other rows -> path_BLC."""
    return roll(step, state, begin_NMC=begin_BMC, known_NLE=known_BLE, feed=lambda said: sample(said[None], kind)[0])[1]


def path_quantiles(path_BWLC: Tensor, levels: tuple[float, ...]) -> Tensor:
    """The empirical quantiles of paths, in the last axis -> value_BLCQ."""
    level_Q = torch.tensor(levels, dtype=path_BWLC.dtype, device=path_BWLC.device)
    value_QBLC = torch.quantile(path_BWLC, level_Q, dim=1)
    return value_QBLC.movedim(0, -1)
