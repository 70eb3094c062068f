"""Windows over series: so many steps of context, then so many of horizon. A pure function of lengths.

A window is told by its series and the step at which its horizon begins. No window crosses series; the horizon never
leaves its part of the split, while the context of a later part may reach back into an earlier one, as it will when the
model is used (and as the published protocols have it).

Axes: E windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Windows:
    """Where the horizons begin."""

    series_E: NDArray[np.int64]
    start_E: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.start_E)

    def only(self, keep_E: NDArray[np.bool_]) -> Windows:
        return Windows(self.series_E[keep_E], self.start_E[keep_E])


def windows(
    parts: Sequence[tuple[int, int]],
    *,
    context: int,
    horizon: int,
    stride: int = 1,
    shortest_context: int | None = None,
) -> Windows:
    """All windows whose horizon lies in the steps [begin, end) of its series.

    parts[i] is the (begin, end) of series i. There are at least `shortest_context` steps before the horizon (if left
    out, the whole context).
    """
    least = context if shortest_context is None else shortest_context
    starts = [np.arange(max(begin, least), end - horizon + 1, stride, dtype=np.int64) for begin, end in parts]
    numbers = [np.full(len(start), index, np.int64) for index, start in enumerate(starts)]
    empty = np.zeros(0, np.int64)
    return Windows(np.concatenate([empty, *numbers]), np.concatenate([empty, *starts]))


def whole_batches(count: int, batch: int) -> int:
    """How many of `count` windows are left where the last incomplete batch is dropped, as much published code does."""
    return count // batch * batch if batch else count
