"""Time stamps and the step between them.

A time is a whole number of microseconds since 1970, in UTC where the table names offsets, else as the table has it.
Months have no fixed length and weekends may be left out, so a step is a number of microseconds, of months, or a day
from Monday to Friday.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND
_EPOCH = datetime(1970, 1, 1)
_STAMP = re.compile(
    r"(\d{4})[-/](\d{1,2})(?:[-/](\d{1,2}))?"
    r"(?:[ T](\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?\s*(Z|[+-]\d{2}(?::?\d{2})?)?"
)


@dataclass(frozen=True)
class Stamp:
    """A time stamp as it was read: microseconds since 1970 (UTC if it has an offset), and the offset in minutes."""

    time_us: int
    offset_minutes: int | None


def parse(text: str) -> Stamp | None:
    """ISO 8601 and its usual relatives: 2016-07-01, 2016/7/1 0:00, 2016-07-01T00:00:00.5+02:00. None for other text."""
    match = _STAMP.fullmatch(text.strip())
    if match is None:
        return None
    parts = zip(match.group(1, 2, 3, 4, 5, 6), (0, 0, 1, 0, 0, 0), strict=True)
    year, month, day, hour, minute, second = (int(part or default) for part, default in parts)
    try:
        time = datetime(year, month, day, hour, minute, second)
    except ValueError:
        return None
    micros = (time - _EPOCH) // timedelta(microseconds=1) + int((match[7] or "")[:6].ljust(6, "0"))
    if match[8] is None:
        return Stamp(micros, None)
    offset = 0 if match[8] == "Z" else _minutes(match[8])
    if offset is None or (len(match[8]) == 3 and match[4] is None):  # 2016-07-01-05 may be an hour
        return None
    return Stamp(micros - offset * MINUTE, offset)


def _minutes(text: str) -> int | None:
    """Of an offset from UTC, which is less than a day."""
    hours, minutes = int(text[1:3]), int(text[3:].lstrip(":") or 0)
    return (-1 if text[0] == "-" else 1) * (hours * 60 + minutes) if hours < 24 and minutes < 60 else None


@dataclass(frozen=True)
class Clock:
    """How the steps of a table follow each other."""

    unit: Literal["microsecond", "month", "business day"]
    count: int  # 1 for business days
    offset_minutes: int | None = None  # of the time stamps as they are written; None: they name no offset

    def after(self, last_us: int, steps: int, *, like: Times | None = None) -> Times:
        """The times of the next `steps` steps. Of months, times of the same series tell the day, or else the last."""
        if self.unit == "microsecond":
            return last_us + self.count * np.arange(1, steps + 1, dtype=np.int64)
        if self.unit == "business day":
            return _plus_business_days(last_us, np.arange(1, steps + 1), self.offset_minutes)
        day = _day_of_month(np.array([last_us]) if like is None else like, self.offset_minutes)
        date, rest_us = _local_days(np.array([last_us]), self.offset_minutes)
        month = date.astype("datetime64[M]") + self.count * np.arange(1, steps + 1)
        first, following = month.astype("datetime64[D]"), (month + 1).astype("datetime64[D]")
        return _in_utc(np.minimum(first + (day or 31) - 1, following - 1), rest_us, self.offset_minutes)

    def same_step(self, other: Clock) -> bool:
        return (self.unit, self.count) == (other.unit, other.count)

    def written(self, time_us: int) -> str:
        """The time stamp as ISO 8601: the date alone where steps are whole days at midnight."""
        local = _EPOCH + timedelta(microseconds=int(time_us), minutes=self.offset_minutes or 0)
        if self.offset_minutes is not None:
            return local.replace(tzinfo=timezone(timedelta(minutes=self.offset_minutes))).isoformat(" ")
        whole_days = self.unit != "microsecond" or self.count % DAY == 0
        return local.date().isoformat() if whole_days and local.time() == local.min.time() else local.isoformat(" ")

    @property
    def season(self) -> int:
        """The steps of the cycle that data of this step mostly has: a day, else a week, else a year."""
        if self.unit != "microsecond":
            return max(1, 12 // self.count) if self.unit == "month" else 5
        for cycle in (DAY, 7 * DAY):
            if self.count < cycle and cycle % self.count == 0:
                return cycle // self.count
        return 52 if self.count == 7 * DAY else 1

    @property
    def length_us(self) -> int:
        """About how long a step is, in microseconds."""
        return self.count * {"microsecond": 1, "month": 30 * DAY, "business day": 7 * DAY // 5}[self.unit]

    def __str__(self) -> str:
        if self.unit != "microsecond":
            return f"a {self.unit}" if self.count == 1 else f"{self.count} {self.unit}s"
        for size, name in ((7 * DAY, "week"), (DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (SECOND, "second")):
            if self.count % size == 0:
                number = self.count // size
                return f"{'an' if name == 'hour' else 'a'} {name}" if number == 1 else f"{number} {name}s"
        return f"{self.count / SECOND:g} seconds"


def find_clock(
    groups: Sequence[Times], offset_minutes: int | None = None, *, known: Clock | None = None
) -> Clock | None:
    """The step that most neighbouring times of the same group have; None where no group has two times.

    Times must rise. Where the steps are months (28 days and more, on the same day of the month, or on its last where it
    is shorter), the step is counted in months. Days of which none is a Saturday or a Sunday, though a weekend went by,
    are business days; what a model knows already (`known`) decides where days could be either.
    """
    steps = np.concatenate([np.diff(times) for times in groups] or [np.zeros(0, np.int64)])
    if not len(steps):
        return None
    value, number = np.unique(steps, return_counts=True)
    common = int(value[number.argmax()])
    business_day = Clock("business day", 1, offset_minutes)
    place = [places(times, business_day) for times in groups]
    fits = all(at is not None for at in place)
    weekend = any(at is not None and np.ptp(times) > DAY * at[-1] for times, at in zip(groups, place, strict=True))
    if fits and ((common == DAY and weekend) if known is None else known.same_step(business_day)):
        return business_day
    if common >= 28 * DAY:
        months = np.concatenate([np.diff(_months(times, offset_minutes)) for times in groups])
        value, number = np.unique(months, return_counts=True)
        if value[number.argmax()] > 0 and all(_day_of_month(times, offset_minutes) for times in groups):
            return Clock("month", int(value[number.argmax()]), offset_minutes)
    return Clock("microsecond", common, offset_minutes)


def places(times: Times, clock: Clock) -> Times | None:
    """How many steps each time is after the first; None where a time falls between the steps."""
    if clock.unit == "month":
        month = _months(times, clock.offset_minutes)
        passed = month - month[:1]
        return passed // clock.count if (passed % clock.count == 0).all() else None
    if clock.unit == "business day":
        days, rest_us = _local_days(times, clock.offset_minutes)
        at_work = np.is_busday(days).all() and (rest_us == rest_us[:1]).all()
        return np.busday_count(days[:1], days).astype(np.int64) if at_work else None
    passed = times - times[:1]
    return passed // clock.count if (passed % clock.count == 0).all() else None


def _local_days(times: Times, offset_minutes: int | None) -> tuple[NDArray[np.datetime64], Times]:
    """The dates where the table was written, and the microseconds since their midnight."""
    local_us = times + (offset_minutes or 0) * MINUTE
    return (local_us // DAY).astype("datetime64[D]"), local_us % DAY


def _plus_business_days(last_us: int, steps: Times, offset_minutes: int | None) -> Times:
    day, rest_us = _local_days(np.array([last_us]), offset_minutes)
    return _in_utc(np.busday_offset(day, steps, roll="backward"), rest_us, offset_minutes)


def _in_utc(days: NDArray[np.datetime64], rest_us: Times, offset_minutes: int | None) -> Times:
    """The inverse of `_local_days`."""
    return days.astype(np.int64) * DAY + rest_us - (offset_minutes or 0) * MINUTE


def _months(times: Times, offset_minutes: int | None) -> Times:
    days, _ = _local_days(times, offset_minutes)
    return days.astype("datetime64[M]").astype(np.int64)


def _day_of_month(times: Times, offset_minutes: int | None) -> int | None:
    """The day that all times fall on, in shorter months their last; 31: always the last. None: there is no such day."""
    days, _ = _local_days(times, offset_minutes)
    month = days.astype("datetime64[M]")
    day = (days - month.astype("datetime64[D]")).astype(np.int64) + 1
    length = ((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.int64)
    wanted = 31 if (day == length).all() else int(day.max())
    return wanted if (day == np.minimum(wanted, length)).all() else None
