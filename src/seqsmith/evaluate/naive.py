"""What every forecast must beat: the last value again, the last season again, and a linear model of the context.

The linear model has a weight for each pair of a step of the context and a step of the horizon, shared by all columns,
on what is left when the last value is taken off (NLinear, Zeng et al. 2023), by ridge regression on training windows.

Axes: E windows, C columns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

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
        """From blocks of (context_ESC, truth_ETC); pairs with a missing number in the horizon are left out."""
        gram, image, count = None, None, 0
        for context_ESC, truth_ETC in blocks:
            context = filled(context_ESC)
            last = context[:, -1:]
            rows = (context - last).transpose(0, 2, 1).reshape(-1, context.shape[1]).astype(np.float64)
            images = (truth_ETC - last[..., : truth_ETC.shape[2]]).transpose(0, 2, 1)
            images = images.reshape(-1, truth_ETC.shape[1]).astype(np.float64)
            whole = ~np.isnan(images).any(1)
            rows, images = rows[whole], images[whole]
            gram = rows.T @ rows + (0.0 if gram is None else gram)
            image = rows.T @ images + (0.0 if image is None else image)
            count += len(rows)
        assert gram is not None
        assert image is not None
        ridge = _RIDGE * max(count, 1) * max(float(np.trace(gram)) / max(gram.size**0.5 * count, 1), 1e-9)
        weight = np.linalg.solve(gram + ridge * np.eye(len(gram)), image)
        return cls(weight.astype(np.float32))

    def forecast(self, context_ESC: Numbers) -> Numbers:
        """-> x_ETC"""
        context = filled(context_ESC)
        last_E1C = context[:, -1:]
        change: Numbers = np.einsum("esc,st->etc", context - last_E1C, self.weight_ST, optimize=True)
        return last_E1C + change
