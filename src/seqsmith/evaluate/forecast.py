"""Scores of forecasts, as sums that add up over blocks of windows and are divided once.

MSE and MAE are on standardised numbers, as published tables have them, and on the numbers as they are in the table.
MASE (Hyndman & Koehler 2006) is the absolute error over that of the seasonal naive forecast one step ahead on the
training part; sMAPE is that of the M4 competition (0 to 200). CRPS (Gneiting & Raftery 2007) is twice the mean pinball
loss over the levels at hand, on standardised numbers; of a forecast without a distribution it is the absolute error.
Coverage is how often the truth lies within the interval.

Axes: E windows, C columns, Q levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqsmith.series.scaling import Levels

Numbers = NDArray[np.floating[Any]]
NAMES = ("mse", "mae", "mase", "smape", "crps", "coverage", "mse_unscaled", "mae_unscaled")


@dataclass(frozen=True)
class Sums:
    """Sums over the numbers that were seen."""

    count: float = 0.0
    squared: float = 0.0
    absolute: float = 0.0
    absolute_by_naive: float = 0.0
    relative: float = 0.0
    pinball: float = 0.0
    inside: float = 0.0
    with_interval: float = 0.0
    squared_unscaled: float = 0.0
    absolute_unscaled: float = 0.0

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, part.name) + getattr(other, part.name) for part in fields(self)))

    def scores(self) -> dict[str, float]:
        """By the names in NAMES; coverage only where there are intervals."""
        count = max(self.count, 1.0)
        found = {
            "mse": self.squared / count,
            "mae": self.absolute / count,
            "mase": self.absolute_by_naive / count,
            "smape": 100 * self.relative / count,
            "crps": self.pinball / count,
            "mse_unscaled": self.squared_unscaled / count,
            "mae_unscaled": self.absolute_unscaled / count,
        }
        if self.with_interval:
            found["coverage"] = 100 * self.inside / self.with_interval
        return {name: found[name] for name in NAMES if name in found}


@dataclass(frozen=True)
class Yardstick:
    """What the scores of windows are measured by; one row stands for all of them."""

    scaling: Levels  # of the targets
    naive_error_EC: NDArray[np.float64]  # mean absolute error of the seasonal naive forecast on the training part


def score_block(
    truth_ETC: Numbers,
    mean_ETC: Numbers,
    yardstick: Yardstick,
    *,
    value_ETCQ: Numbers | None = None,
    levels: Sequence[float] = (),
    interval: tuple[float, float] | None = None,
) -> Sums:
    """The sums of a block of windows in standard units; NaN in the truth is missing and counts nowhere."""
    seen_ETC = ~np.isnan(truth_ETC)
    truth = np.where(seen_ETC, truth_ETC, 0.0).astype(np.float64)
    mean = np.where(seen_ETC, mean_ETC, 0.0).astype(np.float64)
    error = np.abs(truth - mean)
    truth_raw, mean_raw = yardstick.scaling.inverse(truth), yardstick.scaling.inverse(mean)
    error_raw = error * yardstick.scaling.spread_EC[:, None]
    size = np.abs(truth_raw) + np.abs(mean_raw)
    relative = np.where(size > 0, 2 * error_raw / np.where(size > 0, size, 1.0), 0.0)
    pinball, inside, with_interval = error, 0.0, 0.0
    if value_ETCQ is not None:
        level_Q = np.array(levels)
        over = truth[..., None] - value_ETCQ
        pinball = np.where(seen_ETC, 2 * np.maximum(level_Q * over, (level_Q - 1) * over).mean(-1), 0.0)
        if interval is not None:
            low, high = (at_level(value_ETCQ, levels, level) for level in interval)
            inside = float((seen_ETC & (truth >= low) & (truth <= high)).sum())
            with_interval = float(seen_ETC.sum())
    return Sums(
        count=float(seen_ETC.sum()),
        squared=float((error**2).sum()),
        absolute=float(error.sum()),
        absolute_by_naive=float((error_raw / yardstick.naive_error_EC[:, None]).sum()),
        relative=float(relative[seen_ETC].sum()),
        pinball=float(pinball.sum()),
        inside=inside,
        with_interval=with_interval,
        squared_unscaled=float((error_raw**2).sum()),
        absolute_unscaled=float(error_raw.sum()),
    )


def at_level(value: Numbers, levels: Sequence[float], level: float) -> Numbers:
    """The quantile at `level`, on a line between those at hand (which come last), flat beyond the outer ones."""
    place = float(np.interp(level, levels, np.arange(len(levels))))
    lower, share = int(place), place - int(place)
    upper = min(lower + 1, len(levels) - 1)
    found: Numbers = value[..., lower] * (1 - share) + value[..., upper] * share
    return found


def naive_error(parts: Sequence[Numbers], season: int) -> NDArray[np.float64]:
    """Mean absolute difference of training numbers a season apart -> error_C; 1 where there is none."""
    total, count = 0.0, 0.0
    for x_LC in parts:
        steps = season if season < len(x_LC) else 1
        difference = np.abs(x_LC[steps:] - x_LC[:-steps])
        seen = ~np.isnan(difference)
        total = total + np.where(seen, difference, 0.0).sum(0)
        count = count + seen.sum(0)
    error_C = np.asarray(total / np.maximum(count, 1), np.float64)
    return np.where(error_C > 0, error_C, 1.0)


def render_forecasts(rows: Sequence[tuple[str, dict[str, float]]]) -> str:
    """Scores as a table of plain text, a line for each forecaster."""
    names = [name for name in NAMES if any(name in scores for _, scores in rows)]
    table = [["forecast", *(TITLES[name] for name in names)]]
    table += [[row, *(f"{scores[name]:.4g}" if name in scores else "-" for name in names)] for row, scores in rows]
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if index == 0 else cell.rjust(w)
            for index, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in table
    )


TITLES = {
    "mse": "MSE",
    "mae": "MAE",
    "mase": "MASE",
    "smape": "sMAPE",
    "crps": "CRPS",
    "coverage": "coverage %",
    "mse_unscaled": "MSE unscaled",
    "mae_unscaled": "MAE unscaled",
}
