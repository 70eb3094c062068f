"""Time stamps, the step between them, and what comes after the last."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqsmith.series.clock import DAY, HOUR, MINUTE, Clock, Stamp, find_clock, parse, places

moments = st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2100, 1, 1))


@given(moments)
def test_a_time_stamp_that_is_written_is_read_again(moment):
    stamp = parse(moment.isoformat(" "))
    assert stamp == Stamp((moment - datetime(1970, 1, 1)) // timedelta(microseconds=1), None)
    assert parse(Clock("microsecond", HOUR).written(stamp.time_us)) == stamp


@given(moments, st.integers(-12 * 60, 14 * 60))
def test_an_offset_is_taken_off_and_written_again(moment, minutes):
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    stamp = parse(f"{moment.isoformat()}{sign}{hours:02}:{rest:02}")
    assert stamp.offset_minutes == minutes
    assert stamp.time_us == parse(moment.isoformat()).time_us - minutes * MINUTE
    assert parse(Clock("microsecond", HOUR, minutes).written(stamp.time_us)) == stamp


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2016/7/1 0:00", "2016-07-01 00:00:00"),
        ("2016-07", "2016-07-01 00:00:00"),
        ("2016-07-01T05:06:07.25Z", "2016-07-01 05:06:07.250000+00:00"),
        ("2016-07-01 00:00:00+00", "2016-07-01 00:00:00+00:00"),
        ("2016-07-01 00:00:00-05", "2016-07-01 00:00:00-05:00"),
    ],
)
def test_the_relatives_of_iso_8601_are_read(text, iso):
    assert parse(text).time_us == parse(iso).time_us


@pytest.mark.parametrize(
    "text", ["", "1.5", "2016", "01.02.2016", "2016-13-01", "2016-02-30", "2016-01-01 25:00", "x", "2016-07-01-05"]
)
def test_what_is_no_time_stamp_is_none(text):
    assert parse(text) is None


@given(st.integers(1, 10_000), st.integers(3, 30), moments)
def test_a_regular_step_is_found_and_continued(seconds, length, moment):
    clock = Clock("microsecond", seconds * 1_000_000)
    start = parse(moment.isoformat()).time_us
    every = np.concatenate([[start], clock.after(start, length)])
    assert find_clock([every]) == clock
    np.testing.assert_array_equal(places(every, clock), np.arange(length + 1))


@pytest.mark.parametrize(
    ("first", "months"), [("2019-01-31", 1), ("2019-02-28", 1), ("2016-02-01", 3), ("2010-05-15", 12)]
)
def test_months_are_counted_as_months(first, months):
    clock = Clock("month", months)
    start = parse(first).time_us
    every = np.concatenate([[start], clock.after(start, 30)])
    assert find_clock([every]) == clock
    np.testing.assert_array_equal(places(every, clock), np.arange(31))


def test_the_last_day_of_a_month_stays_the_last():
    after = Clock("month", 1).after(parse("2019-01-31").time_us, 3)
    assert [Clock("month", 1).written(time) for time in after] == ["2019-02-28", "2019-03-31", "2019-04-30"]


@pytest.mark.parametrize("offset", ["", "+02:00", "-05:00"])
@pytest.mark.parametrize(
    ("dates", "following"),
    [
        (["2016-12-28", "2017-01-28", "2017-02-28"], ["2017-03-28", "2017-04-28"]),  # though that is February's last
        (["2018-01-30", "2018-02-28", "2018-03-30"], ["2018-04-30", "2018-05-30"]),
        (["2018-11-30", "2018-12-31", "2019-01-31"], ["2019-02-28", "2019-03-31"]),
        (["2019-02-28", "2019-04-30", "2019-06-30"], ["2019-08-31", "2019-10-31"]),
        (["2015-02-28", "2016-02-28", "2017-02-28"], ["2018-02-28", "2019-02-28"]),
    ],
)
def test_all_dates_of_a_series_tell_its_day_of_the_month(dates, following, offset):
    stamps = [parse(f"{date} 00:00{offset}") for date in dates]
    times = np.array([stamp.time_us for stamp in stamps])
    clock = find_clock([times], stamps[0].offset_minutes)
    assert clock.unit == "month"
    np.testing.assert_array_equal(places(times, clock), [0, 1, 2])
    after = clock.after(int(times[-1]), 2, like=times)
    assert [clock.written(time)[:10] for time in after] == following
    np.testing.assert_array_equal(clock.after(int(times[0]), 2, like=times), times[1:])


def test_most_steps_decide_though_some_rows_are_left_out():
    time = np.delete(np.arange(50) * HOUR, [7, 8, 30])
    clock = find_clock([time])
    assert clock == Clock("microsecond", HOUR)
    assert places(time, clock)[-1] == 49
    assert places(np.array([0, HOUR, HOUR + 5]), clock) is None


@pytest.mark.parametrize(
    ("clock", "season", "name"),
    [
        (Clock("microsecond", HOUR), 24, "an hour"),
        (Clock("microsecond", 15 * MINUTE), 96, "15 minutes"),
        (Clock("microsecond", DAY), 7, "a day"),
        (Clock("microsecond", 7 * DAY), 52, "a week"),
        (Clock("month", 1), 12, "a month"),
        (Clock("month", 3), 4, "3 months"),
        (Clock("microsecond", 5 * HOUR), 1, "5 hours"),
        (Clock("business day", 1), 5, "a business day"),
    ],
)
def test_the_season_and_the_name_of_a_step(clock, season, name):
    assert (clock.season, str(clock)) == (season, name)


def test_a_series_of_one_time_has_no_clock():
    assert find_clock([np.array([5])]) is None


@given(moments, st.integers(-12 * 60, 14 * 60), st.integers(6, 40), st.data())
def test_business_days_are_found_and_continued_without_weekends(moment, minutes, length, data):
    local = moment + timedelta(days=(7 - moment.weekday()) % 7 if moment.weekday() >= 5 else 0)
    start = parse(local.isoformat()).time_us - minutes * MINUTE
    clock = Clock("business day", 1, minutes)
    every = np.concatenate([[start], clock.after(start, length)])
    written = [datetime.fromisoformat(clock.written(time)) for time in every]
    assert all(time.weekday() < 5 and time.time() == local.time() for time in written)
    assert find_clock([every], minutes) == clock
    np.testing.assert_array_equal(places(every, clock), np.arange(length + 1))
    holiday = data.draw(st.integers(1, length - 1))
    assert places(np.delete(every, holiday), clock)[-1] == length


def test_a_week_of_days_may_be_business_days_and_what_is_known_decides():
    week = parse("2024-01-01").time_us + DAY * np.arange(5)  # Monday to Friday
    daily, business = Clock("microsecond", DAY), Clock("business day", 1)
    assert find_clock([week]) == daily
    assert find_clock([week], known=business) == business
    month = np.concatenate([week, week + 7 * DAY, week + 14 * DAY])
    assert find_clock([month]) == business
    assert find_clock([month], known=daily) == daily
    assert find_clock([month, np.arange(10) * DAY]) == daily
    assert find_clock([np.arange(10) * DAY], known=business) == daily
    assert find_clock([week[[4]], month[4:6]], known=business) == business
    assert Clock("business day", 1).after(int(week[-1]), 1)[0] == week[0] + 7 * DAY
    assert places(np.append(week, week[-1] + DAY), business) is None
    assert places(np.array([week[0], week[1] + HOUR]), business) is None


@pytest.mark.parametrize("offset", ["+25:00", "-99:99", "+05:60"])
def test_an_offset_of_a_day_or_more_is_none(offset):
    assert parse(f"2024-01-01 00:00{offset}") is None


def test_a_time_before_year_1_in_utc_is_written_as_it_was_read():
    stamp = parse("0001-01-01 00:00:00+14:00")
    assert Clock("microsecond", DAY, stamp.offset_minutes).written(stamp.time_us) == "0001-01-01 00:00:00+14:00"
