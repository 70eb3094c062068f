"""Losses of forecasts: squared, absolute, Huber (1964), Gaussian and Student-t likelihoods, quantiles.

Quantiles are learned by the pinball loss (Koenker & Bassett 1978), doubled so that its median's is the absolute error.
Sums are over the numbers that were seen; missing ones and padding are no terms and get no gradient.

What a model says of a number is Q numbers: the forecast itself; mean and scale; location, scale and degrees of freedom;
or one number a level. They are scaled by window; `spread_BC` brings them to the units of the scores first, so that a
window counts by what it weighs there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import assert_never

import torch
from torch import Tensor
from torch.nn import functional as F

from seqsmith import config
from seqsmith.batch import Future, SeriesBatch
from seqsmith.objective.token import Loss

Forward = Callable[[SeriesBatch, Tensor | None], Tensor]
"""(batch, what the decoder is fed or None for the true numbers) -> number_BLCQ."""

_SMALLEST_SCALE = 1e-4
_LEAST_FREEDOM = 2.0  # of a Student-t distribution, whose variance is infinite below


def value_loss(number_BLCQ: Tensor, target: Future, kind: config.ValueLoss) -> Loss:
    """The loss of what was said, where the truth was seen."""
    total = value_terms(number_BLCQ, target, kind).sum()
    return Loss(total, total.detach(), target.count)


def value_terms(number_BLCQ: Tensor, target: Future, kind: config.ValueLoss) -> Tensor:
    """The loss of each number, 0 where the truth was not seen -> term_BLC."""
    spread_B1C = target.spread_BC[:, None]
    truth_BLC = torch.where(target.seen_BLC, target.x_BLC, 0.0) * spread_B1C
    return torch.where(target.seen_BLC, _terms(number_BLCQ, truth_BLC, spread_B1C, kind), 0.0)


def _terms(number_BLCQ: Tensor, truth_BLC: Tensor, spread_B1C: Tensor, kind: config.ValueLoss) -> Tensor:
    match kind:
        case config.SquaredError():
            return (number_BLCQ[..., 0] * spread_B1C - truth_BLC) ** 2
        case config.AbsoluteError():
            return (number_BLCQ[..., 0] * spread_B1C - truth_BLC).abs()
        case config.HuberError():
            return F.huber_loss(number_BLCQ[..., 0] * spread_B1C, truth_BLC, reduction="none", delta=kind.threshold)
        case config.Gaussian():
            mean_BLC, scale_BLC = number_BLCQ[..., 0] * spread_B1C, scale_of(number_BLCQ) * spread_B1C
            z_BLC = (truth_BLC - mean_BLC) / scale_BLC
            return 0.5 * z_BLC**2 + scale_BLC.log() + 0.5 * math.log(2 * math.pi)
        case config.StudentT():
            mean_BLC, scale_BLC = number_BLCQ[..., 0] * spread_B1C, scale_of(number_BLCQ) * spread_B1C
            freedom_BLC = freedom_of(number_BLCQ)
            z_BLC = (truth_BLC - mean_BLC) / scale_BLC
            half = (freedom_BLC + 1) / 2
            constant = torch.lgamma(half) - torch.lgamma(freedom_BLC / 2) - 0.5 * (freedom_BLC * math.pi).log()
            return half * torch.log1p(z_BLC**2 / freedom_BLC) - constant + scale_BLC.log()
        case config.Quantiles():
            level_Q = torch.tensor(kind.levels, dtype=number_BLCQ.dtype, device=number_BLCQ.device)
            over_BLCQ = truth_BLC[..., None] - number_BLCQ * spread_B1C[..., None]
            return torch.maximum(level_Q * over_BLCQ, (level_Q - 1) * over_BLCQ).mean(-1) * 2
    assert_never(kind)


def teacher_forced_values(
    forward: Forward, batch: SeriesBatch, kind: config.ValueLoss, *, own_share: float = 0.0
) -> Loss:
    """The loss of a whole horizon, of which a share of `own_share` is fed back as the model would have forecast it.

    Scheduled sampling (Bengio et al. 2015) in two passes (Mihaylova & Martins 2019).
    """
    previous_BLC = own_previous_values(forward, batch, kind, own_share) if own_share > 0.0 else None
    return value_loss(forward(batch, previous_BLC), batch.target, kind)


@torch.no_grad()
def own_previous_values(forward: Forward, batch: SeriesBatch, kind: config.ValueLoss, share: float) -> Tensor:
    """The decoder's input with a share of its numbers replaced by the model's own -> x_BLC."""
    target = batch.target
    begin = target.begin_BMC.shape[1]
    true_BLC, own_BLC = target.previous(), point(forward(batch, None), kind)
    own_BLC = torch.cat([target.begin_BMC, own_BLC[:, : own_BLC.shape[1] - begin].to(true_BLC.dtype)], dim=1)
    return torch.where(torch.rand_like(own_BLC) < share, own_BLC, true_BLC)


# ------------------------------------------------------------------------------------------- what was said


def point(number: Tensor, kind: config.ValueLoss) -> Tensor:
    """The forecast: the mean, or of quantiles the median; numbers said come last."""
    return _in_order(number)[..., kind.levels.index(0.5)] if isinstance(kind, config.Quantiles) else number[..., 0]


def _in_order(number: Tensor) -> Tensor:
    """Quantiles that cross are put in order (Chernozhukov et al. 2010)."""
    return number.sort(-1).values


def scale_of(number: Tensor) -> Tensor:
    """The scale of a Gaussian or Student-t distribution."""
    return F.softplus(number[..., 1]) + _SMALLEST_SCALE


def freedom_of(number: Tensor) -> Tensor:
    """The degrees of freedom of a Student-t distribution."""
    return F.softplus(number[..., 2]) + _LEAST_FREEDOM


def sample(number: Tensor, kind: config.ValueLoss) -> Tensor:
    """A draw from what was said, by torch's seeded generator; where no distribution was said, the forecast itself.

    The rows of the first axis share their noise, so that what is drawn for one does not depend on its neighbours.
    Student-t by the polar method (Bailey 1994), which takes as much noise for any degrees of freedom.
    """
    one_row = number[0, ..., 0]
    match kind:
        case config.Gaussian():
            return number[..., 0] + scale_of(number) * torch.randn_like(one_row)
        case config.StudentT():
            freedom, turn = freedom_of(number), torch.rand_like(one_row)
            radius = (freedom * torch.expm1(-2 / freedom * torch.log1p(-torch.rand_like(one_row)))).sqrt()
            return number[..., 0] + scale_of(number) * radius * torch.cos(2 * math.pi * turn)
        case config.Quantiles():
            level = torch.rand_like(one_row).expand(number.shape[:-1])
            return _between(_in_order(number), kind.levels, level)
    return point(number, kind)


def quantiles(number: Tensor, kind: config.ValueLoss, levels: tuple[float, ...]) -> Tensor | None:
    """What was said, as quantiles in the last axis; None where it was no distribution.

    Of Student-t by the series of Hill (1970, equation 1), within about one part in a hundred between 0.05 and 0.95.
    """
    match kind:
        case config.Gaussian():
            return torch.stack(
                [number[..., 0] + scale_of(number) * NormalDist().inv_cdf(level) for level in levels], dim=-1
            )
        case config.StudentT():
            freedom = freedom_of(number)
            return torch.stack(
                [number[..., 0] + scale_of(number) * _student(level, freedom) for level in levels], dim=-1
            )
        case config.Quantiles():
            ordered = _in_order(number)
            return torch.stack(
                [_between(ordered, kind.levels, torch.full_like(ordered[..., 0], level)) for level in levels], dim=-1
            )
    return None


def _student(level: float, freedom: Tensor) -> Tensor:
    z = NormalDist().inv_cdf(level)
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )


def _between(ordered: Tensor, levels: tuple[float, ...], wanted: Tensor) -> Tensor:
    """The quantile at each wanted level, on lines between those known, flat beyond the outer ones."""
    known = torch.tensor(levels, dtype=ordered.dtype, device=ordered.device)
    upper = torch.searchsorted(known, wanted.contiguous()).clamp(0, len(levels) - 1)
    lower = (upper - 1).clamp_min(0)
    left, right = (ordered.gather(-1, index[..., None])[..., 0] for index in (lower, upper))
    gap = (known[upper] - known[lower]).clamp_min(1e-12)
    share = ((wanted - known[lower]) / gap).clamp(0.0, 1.0)
    return torch.lerp(left, right, share)  # never beyond either, so that order is kept
