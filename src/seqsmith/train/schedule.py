"""The learning rate as a pure function of the update."""

from __future__ import annotations

import math
from typing import assert_never

from seqsmith import config


def learning_rate(
    update: int, *, peak: float, schedule: config.Schedule, total_updates: int, shrinks: int = 0
) -> float:
    """The rate of update 1, 2, ...; it first rises linearly over `warmup` updates.

    `shrinks` is how often a plateau schedule has been told to shrink. Sources: inverse square root, Vaswani et al.
    2017, equation 3, with the peak at the end of the warm-up; cosine, Loshchilov & Hutter 2017, equation 5, without
    restarts.
    """
    if update <= schedule.warmup:
        return peak * update / schedule.warmup
    match schedule:
        case config.InverseSqrt():
            return peak * math.sqrt(max(schedule.warmup, 1) / update)
        case config.Cosine():
            share = min(1.0, (update - schedule.warmup) / max(1, total_updates - schedule.warmup))
            return peak * (schedule.final + (1 - schedule.final) * 0.5 * (1 + math.cos(math.pi * share)))
        case config.Plateau():
            return peak * schedule.factor**shrinks
        case config.Constant():
            return peak
    assert_never(schedule)
