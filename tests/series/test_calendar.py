"""Calendar features: within their bounds, of the cycle they name, and only of cycles that were seen twice."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seqsmith.series.calendar import calendar, fitting_cycles
from seqsmith.series.clock import DAY, HOUR, MINUTE, Clock, parse

EVERY = ("minute", "hour", "weekday", "day", "month")


@given(st.lists(st.integers(-(10**15), 4 * 10**15), min_size=1, max_size=5))
def test_features_lie_within_half_a_unit(times):
    known_LE = calendar(np.array(times, np.int64), EVERY)
    assert known_LE.shape == (len(times), 5)
    assert (np.abs(known_LE) <= 0.5).all()


def test_features_are_those_of_the_day():
    times = np.array([parse("2024-02-29 23:59").time_us, parse("2023-01-01").time_us])
    expected = np.array([[59 / 59, 23 / 23, 3 / 6, 28 / 30, 1 / 11], [0, 0, 6 / 6, 0, 0]]) - 0.5
    np.testing.assert_allclose(calendar(times, EVERY), expected, rtol=1e-6)


def test_a_cycle_is_told_only_if_it_was_seen_twice_and_the_context_does_not_show_it():
    hour = Clock("microsecond", HOUR)
    assert fitting_cycles(hour, span_us=365 * DAY, context=12) == ("hour", "weekday")
    assert fitting_cycles(hour, span_us=365 * DAY, context=48) == ("weekday",)
    assert fitting_cycles(hour, span_us=365 * DAY, context=336) == ()
    assert fitting_cycles(hour, span_us=10 * DAY, context=12) == ("hour",)
    assert fitting_cycles(Clock("microsecond", MINUTE), span_us=DAY, context=60) == ("minute",)
    assert fitting_cycles(Clock("microsecond", DAY), span_us=1000 * DAY, context=14) == ("month",)
    assert fitting_cycles(Clock("month", 1), span_us=1000 * DAY, context=6) == ("month",)
    assert fitting_cycles(Clock("month", 12), span_us=10_000 * DAY, context=6) == ()
    assert fitting_cycles(None, span_us=10**15, context=6) == ()
    assert calendar(np.arange(3), ()).shape == (3, 0)
