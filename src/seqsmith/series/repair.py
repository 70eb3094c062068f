"""What is done about trouble in a table: rows out of order, twice or left out, numbers that are missing or constant.

Each trouble has a setting that says what to do, and each thing done is counted (`Findings`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from seqsmith import config
from seqsmith.data.counts import Counts, Tally, told
from seqsmith.data.printable import printable
from seqsmith.errors import UserError
from seqsmith.series.clock import DAY, MINUTE, Clock, Times, find_clock, places

MOST_FILLED = 20
"""A series may grow by filled gaps to so many times its rows; more is a wrong time stamp."""

Numbers = NDArray[np.float64]
Raw = Mapping[str, tuple[list[int], list[int], list[int], list[list[float]]]]
"""By group: lines, times, minutes from UTC (0 where the table says none), and a list of numbers for each row."""


@dataclass
class Findings:
    """What was met in a table, with its first places."""

    missing: Tally = field(default_factory=Tally)
    not_finite: Tally = field(default_factory=Tally)
    huge: Tally = field(default_factory=Tally)
    unordered: Tally = field(default_factory=Tally)
    duplicates: Tally = field(default_factory=Tally)
    gaps: Tally = field(default_factory=Tally)
    irregular: Tally = field(default_factory=Tally)
    offsets: Tally = field(default_factory=Tally)
    local_days: Tally = field(default_factory=Tally)
    constant: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)  # columns
    lines: Counts = field(default_factory=Counts)  # what was odd in the text of the file

    def sentences(self, settings: config.Series) -> Iterator[str]:
        """One sentence for each thing that was met."""
        masked = "which count nowhere" if settings.missing == "mask" else "filled on a line between their neighbours"
        fill = (
            "filled with missing numbers"
            if settings.gaps == "fill"
            else "passed over, so that times to come are whole steps after the last"
        )
        tallies = (
            (self.not_finite, "Numbers that are not finite, taken as missing"),
            (self.huge, "Numbers beyond 1e30, taken as missing"),
            (self.missing, f"Missing numbers, {masked}"),
            (self.unordered, "Rows that stand after a later time, sorted"),
            (self.duplicates, f"Rows whose time is there already, of which the {settings.duplicates} is kept"),
            (self.gaps, f"Times left out by the table, {fill}"),
            (self.irregular, "Series with times between the steps, whose rows are taken one after the other"),
            (self.offsets, "Time stamps of several offsets, all taken to UTC, beginning with another one"),
            (self.local_days, "Time stamps of several offsets at one hour of the day, taken as the dates they name"),
        )
        yield from self.lines.sentences()
        yield from told(tallies)
        if self.unused:
            count, first = len(self.unused), printable(self.unused[0])
            yield f"Columns that are neither time, group nor numbers, left out: {count:,}, the first is {first}."
        if self.constant:
            yield f"Columns that never change in a series: {len(self.constant):,}, the first is {self.constant[0]}."


def mend(
    raw: Raw,
    *,
    path: str,
    settings: config.Series,
    offsets: Mapping[int | None, str],
    timed: bool,
    names: Sequence[str],
    findings: Findings,
    known: Clock | None = None,
    past: int = 0,
) -> tuple[Clock | None, dict[str, tuple[Times, Numbers]]]:
    """The clock of the table, and each group's times and numbers, mended as the settings say.

    Rows at a series' end that have none of the first `past` columns are times to come, and no holes.
    """
    groups, lines, local = {}, {}, {}
    for name, (line, time_us, minutes, number) in raw.items():
        lines[name] = np.array(line)
        groups[name] = (np.array(time_us, np.int64), np.array(number, np.float64).reshape(len(line), len(names)))
        local[name] = groups[name][0] + MINUTE * np.array(minutes, np.int64)
    clock = None
    if timed:
        offset = _one_offset(offsets, settings, findings)
        if findings.offsets.count and all((times % DAY == times[0] % DAY).all() for times in local.values()):
            offset = None  # days that begin at midnight, summer and winter
            groups = {name: (local[name], numbers) for name, (_, numbers) in groups.items()}
            findings.local_days, findings.offsets = findings.offsets, Tally()
        for name, (times, numbers) in groups.items():
            times, numbers, lines[name] = _in_order(times, numbers, lines[name], path, settings, findings)
            groups[name] = times, numbers
        clock = find_clock([times for times, _ in groups.values()], offset, known=known)
        if clock is not None:
            groups = {
                name: _without_gaps(name, times, numbers, lines[name], clock, path, settings, findings)
                for name, (times, numbers) in groups.items()
            }
    for name, (times, numbers) in groups.items():
        had = numbers[: _end_of_past(numbers[:, :past])] if past else numbers
        place = (times if clock else lines[name])[: len(had)]
        _look_at_numbers(name, place, had, path, clock, names, settings, findings)
        if settings.missing == "interpolate":
            groups[name] = times, np.concatenate([_interpolated(had), numbers[len(had) :]])
    return clock, groups


def _end_of_past(x_LC: Numbers) -> int:
    """How many rows there are up to the last that has a number."""
    seen = np.flatnonzero(~np.isnan(x_LC).all(1))
    return int(seen[-1]) + 1 if len(seen) else len(x_LC)


def _one_offset(offsets: Mapping[int | None, str], settings: config.Series, findings: Findings) -> int | None:
    if len(offsets) == 1:
        return next(iter(offsets))
    first, second = list(offsets.values())[:2]
    if None in offsets:
        raise UserError(
            f"{second}: some time stamps name an offset from UTC and others do not (the first kind is at {first}). "
            "Give all of them one, or none."
        )
    if settings.offsets == "error":
        raise UserError(
            f"{second}: the offset from UTC differs from that at {first}. Write all times in UTC, or set "
            "series.offsets = 'utc'."
        )
    findings.offsets.count, findings.offsets.places = len(offsets), [second]
    return 0


def _in_order(
    time_L: Times, x_LC: Numbers, line_L: NDArray[np.int64], path: str, settings: config.Series, findings: Findings
) -> tuple[Times, Numbers, NDArray[np.int64]]:
    backwards = np.flatnonzero(np.diff(time_L) < 0) + 1
    if len(backwards):
        if settings.unordered == "error":
            raise UserError(
                f"{path}:{line_L[backwards[0]]}: this row is earlier than the one before it. Sort the table by time, "
                "or set series.unordered = 'sort'."
            )
        findings.unordered.add(path, line_L[backwards].tolist())
        order = np.argsort(time_L, kind="stable")
        time_L, x_LC, line_L = time_L[order], x_LC[order], line_L[order]
    again = np.flatnonzero(np.diff(time_L) == 0) + 1
    if not len(again):
        return time_L, x_LC, line_L
    if settings.duplicates == "error":
        raise UserError(
            f"{path}:{line_L[again[0]]}: this time is there already (line {line_L[again[0] - 1]}). Does the table hold "
            "several series? Name their column with series.group; or set series.duplicates = 'first'."
        )
    findings.duplicates.add(path, line_L[again].tolist())
    unique, first = np.unique(time_L, return_index=True)
    last = np.append(first[1:], len(time_L)) - 1
    match settings.duplicates:
        case "first":
            return unique, x_LC[first], line_L[first]
        case "last":
            return unique, x_LC[last], line_L[last]
    seen_LC = ~np.isnan(x_LC)
    total = np.add.reduceat(np.where(seen_LC, x_LC, 0.0), first)
    count = np.add.reduceat(seen_LC, first, dtype=np.int64)
    return unique, np.where(count > 0, total / np.maximum(count, 1), np.nan), line_L[first]


def _without_gaps(
    name: str,
    time_L: Times,
    x_LC: Numbers,
    line_L: NDArray[np.int64],
    clock: Clock,
    path: str,
    settings: config.Series,
    findings: Findings,
) -> tuple[Times, Numbers]:
    place = places(time_L, clock)
    if place is None:
        between = bisect_left(range(len(time_L)), True, key=lambda row: places(time_L[: row + 1], clock) is None)
        if settings.irregular == "error":
            raise UserError(
                f"{path}:{line_L[between]}: the times of {called(name)} up to here do not follow each other by "
                f"{clock}. Bring them to one step, or set series.irregular = 'keep' to take rows one after the other."
            )
        findings.irregular.add(path, [int(line_L[between])])
        return time_L, x_LC
    steps = int(place[-1]) + 1
    if steps == len(time_L) or settings.gaps == "keep":
        findings.gaps.count += steps - len(time_L)
        findings.gaps.places += (
            [f"{_first_hole(time_L, place, clock)} of {called(name)}"] if steps > len(time_L) else []
        )
        return time_L, x_LC
    hole = _first_hole(time_L, place, clock)
    left_out = np.diff(place) - 1
    if settings.gaps == "error":
        raise UserError(
            f"{path}:{line_L[int((left_out > 0).argmax()) + 1]}: before it, {called(name)} has no row for {hole}, and "
            f"steps of {clock} elsewhere. Add the rows, or set series.gaps = 'fill' to have them filled with missing "
            "numbers."
        )
    if steps > MOST_FILLED * len(time_L) + 1000:
        raise UserError(
            f"{path}:{line_L[int(left_out.argmax()) + 1]}: {called(name)} has {len(time_L):,} rows over {steps:,} "
            f"steps of {clock}. Is a time stamp wrong? Mend it, or set series.gaps = 'keep'."
        )
    findings.gaps.count += steps - len(time_L)
    findings.gaps.places.append(f"{hole} of {called(name)}")
    full = np.full((steps, x_LC.shape[1]), np.nan)
    full[place] = x_LC
    return np.concatenate([time_L[:1], clock.after(int(time_L[0]), steps - 1, like=time_L)]), full


def _first_hole(time_L: Times, place: NDArray[np.int64], clock: Clock) -> str:
    """The first time stamp that has no row."""
    steps = int(np.flatnonzero(np.diff(place) > 1)[0]) + 1
    return clock.written(clock.after(int(time_L[0]), steps, like=time_L)[-1])


def _look_at_numbers(
    name: str,
    place_L: NDArray[np.int64],
    x_LC: Numbers,
    path: str,
    clock: Clock | None,
    names: Sequence[str],
    settings: config.Series,
    findings: Findings,
) -> None:
    """Find holes and columns that never change. The places are times where there is a clock, else lines of the file."""
    missing_LC = np.isnan(x_LC)
    for column, title in enumerate(names):
        holes = np.flatnonzero(missing_LC[:, column])
        if len(holes):
            first = int(place_L[holes[0]])
            place = f"{f'line {first}' if clock is None else clock.written(first)} of {called(name)}"
            place += f", column {printable(title)}"
            if settings.missing == "error":
                raise UserError(
                    f"{path}: {place} is missing. Fill it, or set series.missing = 'mask' or 'interpolate'."
                )
            findings.missing.count += len(holes)
            findings.missing.places.append(place)
        seen = x_LC[~missing_LC[:, column], column]
        if len(seen) > 1 and (seen == seen[0]).all():
            if settings.constant == "error":
                raise UserError(
                    f"{path}: the column `{printable(title)}` of {called(name)} never changes. Leave it out, or set "
                    "series.constant = 'keep'."
                )
            findings.constant.append(f"{printable(title)} of {called(name)}")


def _interpolated(x_LC: Numbers) -> Numbers:
    """Holes filled on a line between their neighbours, and with the nearest number at the ends."""
    filled_LC = x_LC.copy()
    steps = np.arange(len(x_LC))
    for column in range(x_LC.shape[1]):
        seen = ~np.isnan(x_LC[:, column])
        if seen.any():
            filled_LC[:, column] = np.interp(steps, steps[seen], x_LC[seen, column])
    return filled_LC


def called(name: str) -> str:
    """A series as messages call it."""
    return f"the series {printable(name)}" if name else "the table"
