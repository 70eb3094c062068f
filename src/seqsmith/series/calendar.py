"""Where a time stands in the cycles of the calendar, as numbers in [-0.5, 0.5] (as in Informer, Zhou et al. 2021).

Differs from the paper, which always tells all of them: a cycle is told only if the training data has seen it at least
twice, so that no month stands for the one year in which it was seen, and if the context does not show it already.
"""

from __future__ import annotations

from typing import Literal, assert_never

import numpy as np
from numpy.typing import NDArray

from seqsmith.series.clock import DAY, HOUR, MINUTE, Clock, Times

Cycle = Literal["minute", "hour", "weekday", "day", "month"]
"""The minute of the hour, the hour of the day, the day of the week, the day of the month, the month of the year."""

_CYCLES: tuple[tuple[Cycle, int], ...] = (
    ("minute", HOUR),
    ("hour", DAY),
    ("weekday", 7 * DAY),
    ("day", 31 * DAY),
    ("month", 366 * DAY),
)


def fitting_cycles(clock: Clock | None, *, span_us: int, context: int) -> tuple[Cycle, ...]:
    """The cycles of which the training data holds two and the context does not; the day of the month is not among them,
    since little follows it."""
    if clock is None:
        return ()
    step = clock.length_us
    return tuple(
        name
        for name, whole in _CYCLES
        if name != "day" and step < whole and span_us >= 2 * whole and context * step < 2 * whole
    )


def calendar(times: Times, cycles: tuple[Cycle, ...]) -> NDArray[np.float32]:
    """The features of these times -> known_LE."""
    columns = [_feature(times, cycle) for cycle in cycles]
    return np.stack(columns, axis=1).astype(np.float32) if columns else np.zeros((len(times), 0), np.float32)


def _feature(times: Times, cycle: Cycle) -> NDArray[np.float64]:
    match cycle:
        case "minute":
            return times % HOUR // MINUTE / 59 - 0.5
        case "hour":
            return times % DAY // HOUR / 23 - 0.5
        case "weekday":
            return (times // DAY + 3) % 7 / 6 - 0.5  # the first of January 1970 was a Thursday
        case "day":
            dates = times.astype("datetime64[us]").astype("datetime64[D]")
            since_first: NDArray[np.int64] = (dates - dates.astype("datetime64[M]")).astype(np.int64)
            return since_first / 30 - 0.5
        case "month":
            months = times.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
            return months % 12 / 11 - 0.5
    assert_never(cycle)
