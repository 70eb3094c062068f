"""What every forecast must beat: the last value again, the last season again, and a linear model of the context.

The linear model has a weight for each pair of a step of the context and a step of the horizon, shared by all columns,
on what is left when the last value is taken off (NLinear, Zeng et al. 2023), by ridge regression on training windows.

Axes: E windows, C columns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float32]

_RIDGE = 1e-3  # of the mean square of a context's number, for each training window


def repeat_last(context_ESC: Numbers, horizon: int) -> Numbers:
    """The last number seen, again and again; 0, which is the mean, where none was -> x_ETC."""
    last_E1C = filled(context_ESC)[:, -1:]
    return np.repeat(last_E1C, horizon, axis=1)


def repeat_season(context_ESC: Numbers, horizon: int, season: int) -> Numbers:
    """The last season, again and again; the last number seen where the context holds no whole season -> x_ETC."""
    if season > context_ESC.shape[1]:
        return repeat_last(context_ESC, horizon)
    cycle = filled(context_ESC)[:, -season:]
    return cycle[:, np.arange(horizon) % season]


def filled(context_ESC: Numbers) -> Numbers:
    """Missing numbers as the last one seen before them, else the first one seen after, else 0."""
    seen_ESC = ~np.isnan(context_ESC)
    if seen_ESC.all():
        return context_ESC
    steps = context_ESC.shape[1]
    step_1S1 = np.arange(steps)[None, :, None]
    before = np.maximum.accumulate(np.where(seen_ESC, step_1S1, -1), axis=1)
    first = np.where(seen_ESC.any(1, keepdims=True), seen_ESC.argmax(1, keepdims=True), 0)
    index = np.where(before < 0, first, before)
    return np.nan_to_num(np.take_along_axis(context_ESC, index, axis=1))


@dataclass(frozen=True)
class Linear:
    """Horizon = last value + (context - last value) @ weight."""

    weight_ST: NDArray[np.float32]

    @classmethod
    def fit(cls, blocks: Iterable[tuple[Numbers, Numbers]]) -> Self:
        """From blocks of (context_ESC, truth_ETC).

        Pairs with a missing number in the horizon are left out, unless all have some: then it is the last one before.
        """
        whole, holed = _Squares(), _Squares()
        for context_ESC, truth_ETC in blocks:
            context = filled(context_ESC)
            last = context[:, -1:, : truth_ETC.shape[2]]
            held = filled(np.concatenate([last, truth_ETC], axis=1))[:, 1:]
            rows = _rows(context - context[:, -1:])
            images = _rows(held - last)
            seen = _rows(~np.isnan(truth_ETC))
            whole.add(rows, images, np.all(seen, axis=1))
            holed.add(rows, images, np.any(seen, axis=1))
        return cls((whole if whole.count else holed).solved().astype(np.float32))

    def forecast(self, context_ESC: Numbers) -> Numbers:
        """-> x_ETC"""
        context = filled(context_ESC)
        last_E1C = context[:, -1:]
        change: Numbers = np.einsum("esc,st->etc", context - last_E1C, self.weight_ST, optimize=True)
        return last_E1C + change


@dataclass
class _Squares:
    """The sums of a linear regression."""

    gram: NDArray[np.float64] | float = 0.0
    image: NDArray[np.float64] | float = 0.0
    count: int = 0

    def add(self, rows: NDArray[Any], images: NDArray[Any], chosen: NDArray[Any]) -> None:
        rows, images = rows[chosen].astype(np.float64), images[chosen].astype(np.float64)
        self.gram = self.gram + rows.T @ rows
        self.image = self.image + rows.T @ images
        self.count += len(rows)

    def solved(self) -> NDArray[np.float64]:
        """The weights, by ridge regression."""
        gram, count = np.asarray(self.gram), max(self.count, 1)
        ridge = _RIDGE * count * max(float(np.trace(gram)) / (len(gram) * count), 1e-9)
        return np.asarray(np.linalg.solve(gram + ridge * np.eye(len(gram)), self.image), np.float64)


def _rows(x_ETC: NDArray[Any]) -> NDArray[Any]:
    """Each column of each window as a row."""
    return x_ETC.transpose(0, 2, 1).reshape(-1, x_ETC.shape[1])
