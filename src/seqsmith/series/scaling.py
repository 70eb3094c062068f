"""Scaling that can be undone: once for all by the training part, and anew for each window.

Per window: the last value seen is taken off (as in NLinear, Zeng et al. 2023), or the mean, with division by the
standard deviation (RevIN, Kim et al. 2022, without its learned affine part). The loss is taken in the globally scaled
units, so that a window counts by what it weighs in the published scores.

Axes: E windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, assert_never

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
WindowScaling = Literal["none", "last", "mean_std"]

_SMALLEST_VARIANCE = 1e-5  # of a window, as in RevIN's code


@dataclass(frozen=True)
class Scaling:
    """x -> (x - mean) / deviation, for each column."""

    mean_C: NDArray[np.float64]
    deviation_C: NDArray[np.float64]

    @classmethod
    def fit(cls, parts: Sequence[Floats], *, fallback: Scaling | None = None) -> Self:
        """From the training parts [steps, C]; missing numbers (NaN) are left out. A constant column is only shifted.

        Columns without any number are scaled by the fallback, if one is given.
        """
        value_LC = np.concatenate(parts)
        seen_LC = ~np.isnan(value_LC)
        count_C = np.maximum(1, seen_LC.sum(0))
        mean_C = np.where(seen_LC, value_LC, 0.0).sum(0) / count_C
        variance_C = (np.where(seen_LC, value_LC - mean_C, 0.0) ** 2).sum(0) / count_C
        deviation_C = np.sqrt(variance_C)
        tiny_C = deviation_C <= 1e-12 * np.abs(mean_C)  # nothing but rounding, or nothing at all
        deviation_C = np.where(tiny_C, 1.0, deviation_C)
        if fallback is not None:
            unseen_C = ~seen_LC.any(0)
            mean_C = np.where(unseen_C, fallback.mean_C, mean_C)
            deviation_C = np.where(unseen_C, fallback.deviation_C, deviation_C)
        return cls(mean_C, deviation_C)

    @classmethod
    def none(cls, columns: int) -> Self:
        return cls(np.zeros(columns), np.ones(columns))

    def scale(self, value: Floats) -> Floats:
        """The columns come last."""
        scaled: Floats = (value - self.mean_C) / self.deviation_C
        return scaled

    def inverse(self, scaled: Floats) -> Floats:
        value: Floats = scaled * self.deviation_C + self.mean_C
        return value

    def columns(self, chosen: Sequence[int]) -> Scaling:
        return Scaling(self.mean_C[list(chosen)], self.deviation_C[list(chosen)])

    def as_dict(self) -> dict[str, list[float]]:
        return {"mean": self.mean_C.tolist(), "deviation": self.deviation_C.tolist()}

    @classmethod
    def from_dict(cls, table: dict[str, list[float]]) -> Self:
        return cls(np.array(table["mean"]), np.array(table["deviation"]))


def differ(parts: Sequence[Floats]) -> bool:
    """Whether some column of some series varies by less than a third of what it does over all of them."""
    if len(parts) == 1:
        return False
    every = Scaling.fit(parts)
    own_GC = np.stack([Scaling.fit([part], fallback=every).deviation_C for part in parts])
    return bool((own_GC < every.deviation_C / 3).any())


@dataclass(frozen=True)
class Levels:
    """What the numbers of each window are scaled by."""

    shift_EC: Floats
    spread_EC: Floats

    def scale(self, value_ELC: Floats) -> Floats:
        scaled: Floats = (value_ELC - self.shift_EC[:, None]) / self.spread_EC[:, None]
        return scaled

    def inverse(self, scaled_ELC: Floats) -> Floats:
        value: Floats = scaled_ELC * self.spread_EC[:, None] + self.shift_EC[:, None]
        return value


def levels(context_ESC: Floats, kind: WindowScaling) -> Levels:
    """The levels of windows from their contexts, in which NaN is missing; a context without a number has level 0."""
    seen_ESC = ~np.isnan(context_ESC)
    filled_ESC = np.where(seen_ESC, context_ESC, 0.0)
    one_EC = np.ones_like(filled_ESC[:, 0])
    match kind:
        case "none":
            return Levels(np.zeros_like(one_EC), one_EC)
        case "last":
            last_EC = last_seen(seen_ESC)
            shift_EC = np.take_along_axis(filled_ESC, np.maximum(last_EC, 0)[:, None], axis=1)[:, 0]
            return Levels(shift_EC, one_EC)
        case "mean_std":
            count_EC = np.maximum(1, seen_ESC.sum(1))
            mean_EC = filled_ESC.sum(1) / count_EC
            square_EC = (np.where(seen_ESC, context_ESC - mean_EC[:, None], 0.0) ** 2).sum(1) / count_EC
            return Levels(mean_EC.astype(one_EC.dtype), np.sqrt(square_EC + _SMALLEST_VARIANCE).astype(one_EC.dtype))
    assert_never(kind)


def last_seen(seen_ESC: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The last step at which each column was seen, -1 where it never was -> last_EC."""
    steps = seen_ESC.shape[1]
    last: NDArray[np.int64] = np.where(seen_ESC.any(1), steps - 1 - seen_ESC[:, ::-1].argmax(1), -1)
    return last
