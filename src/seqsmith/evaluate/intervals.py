"""How sure a score is: bootstrap intervals, and paired tests of two systems on the same segments.

Intervals: percentiles of the scores of resampled corpora (Efron 1979; for machine translation Koehn 2004, "Statistical
significance tests for machine translation evaluation"). The p-value is by approximate randomisation (Noreen 1989;
Riezler & Maxwell 2005), which assumes less than a bootstrap test: if the systems were alike, their outputs could be
swapped in any segment. Both work on sums of statistics, so a thousand resamples cost one matrix product.

Axes: E segments, Q quantities, Z resamples, Y resamples of one block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqsmith.evaluate.statistics import Array, Statistics

BLOCK = 1 << 22  # draws at a time: 32 MB each, for any number of segments
LEVEL = 95  # per cent


@dataclass(frozen=True)
class Comparison:
    difference: float  # first - second
    low: float
    high: float
    p_value: float  # of a difference as large as this between systems that are alike; two-sided
    wins: float  # share of resamples in which the first is better, ties halved (Koehn 2004)


def bootstrap(several: list[Statistics], *, resamples: int, seed: int) -> list[Array]:
    """value_Z of each of `several` scores of the same segments, all on the same `resamples` corpora."""
    row_EQ = np.hstack([statistics.row_EQ for statistics in several])
    total_ZQ = _resampled(row_EQ, resamples=resamples, generator=np.random.default_rng(seed))
    ends = np.cumsum([statistics.row_EQ.shape[1] for statistics in several])
    parts = np.split(total_ZQ, ends[:-1], axis=1)
    return [statistics.value(part_ZQ) for statistics, part_ZQ in zip(several, parts, strict=True)]


def interval(value: float, value_Z: Array) -> tuple[float, float]:
    """The middle 95 % of value_Z, widened to hold `value` where so few segments would leave it outside."""
    tail = (1 - LEVEL / 100) / 2
    low, high = np.quantile(value_Z, [tail, 1 - tail])
    return min(float(low), value), max(float(high), value)


def compare(first: Statistics, second: Statistics, *, resamples: int, seed: int) -> Comparison:
    """Test two systems' statistics of the same score on the same segments, in the same order."""
    total_1Q, other_1Q = first.total_1Q, second.total_1Q
    difference = float(first.value(total_1Q)[0] - second.value(other_1Q)[0])

    value_Z, other_Z = bootstrap([first, second], resamples=resamples, seed=seed)
    low, high = interval(difference, value_Z - other_Z)
    lead_Z = np.sign(value_Z - other_Z) * (1 if first.better == "higher" else -1)

    generator = np.random.default_rng([seed, 1])
    moved_ZQ = _swapped(second.row_EQ - first.row_EQ, resamples=resamples, generator=generator)
    chance_Z = first.value(total_1Q + moved_ZQ) - second.value(other_1Q - moved_ZQ)
    as_large = int((np.abs(chance_Z) >= abs(difference) - 1e-9).sum())  # sums of fractions round
    p_value = (as_large + 1) / (resamples + 1)  # the observed assignment is one of the possible ones
    return Comparison(difference, low, high, p_value, wins=float((lead_Z.mean() + 1) / 2))


def _resampled(row_EQ: Array, *, resamples: int, generator: np.random.Generator) -> Array:
    """Sums of as many rows as there are, drawn with replacement."""
    size = len(row_EQ)
    total_ZQ = np.empty((resamples, row_EQ.shape[1]))
    for start, stop in _blocks(resamples, size):
        drawn_YE = generator.integers(size, size=(stop - start, size))
        drawn_YE += size * np.arange(stop - start)[:, None]
        times_YE = np.bincount(drawn_YE.ravel(), minlength=drawn_YE.size).reshape(drawn_YE.shape)
        total_ZQ[start:stop] = times_YE.astype(np.float64) @ row_EQ
    return total_ZQ


def _swapped(change_EQ: Array, *, resamples: int, generator: np.random.Generator) -> Array:
    """Sums of the changes in segments chosen by the toss of a coin."""
    size = len(change_EQ)
    total_ZQ = np.empty((resamples, change_EQ.shape[1]))
    for start, stop in _blocks(resamples, size):
        heads_YE = generator.integers(2, size=(stop - start, size))
        total_ZQ[start:stop] = heads_YE.astype(np.float64) @ change_EQ
    return total_ZQ


def _blocks(resamples: int, size: int) -> list[tuple[int, int]]:
    step = max(1, BLOCK // size)
    return [(start, min(start + step, resamples)) for start in range(0, resamples, step)]
