"""Tables of measurements: a time column, columns of numbers, and many series in one file if a column tells them apart.

CSV, TSV (also .gz) and Parquet are read by the readers of `data`; every number is checked, and what is wrong is named
by file and line or treated as the settings say, and counted (`repair.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from seqsmith import config
from seqsmith.data.kinds import MISSING
from seqsmith.data.printable import printable
from seqsmith.errors import UserError, nearest
from seqsmith.series.clock import Clock, Stamp, Times, parse
from seqsmith.series.columns import Layout, read_cells
from seqsmith.series.repair import Findings, mend

LARGEST = 1e30
"""Numbers beyond are no measurements; their squares would overflow in single precision."""
_INFINITE = frozenset(("inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"))


@dataclass(frozen=True)
class Group:
    """One series of a table. NaN is missing."""

    name: str  # what the group column says; empty where there is none
    time_L: Times  # microseconds, or steps where there is no time column
    value_LC: NDArray[np.float64]
    known_LE: NDArray[np.float64]  # covariates that are known for the future as well

    def __len__(self) -> int:
        return len(self.time_L)


@dataclass(frozen=True)
class Table:
    """The series of a file, each in order of time, one step after the other."""

    path: str
    groups: tuple[Group, ...]
    columns: tuple[str, ...]  # of value_LC, targets first
    targets: int  # how many of them
    covariates: tuple[str, ...]  # of known_LE
    clock: Clock | None  # None: no time column
    layout: Layout
    findings: Findings

    @property
    def rows(self) -> int:
        return sum(map(len, self.groups))


@dataclass
class _Rows:
    """The rows of one group as they stand in the file."""

    line: list[int] = field(default_factory=list)
    time_us: list[int] = field(default_factory=list)
    offset_minutes: list[int] = field(default_factory=list)
    number: list[list[float]] = field(default_factory=list)


def read_table(
    path: str,
    settings: config.Series,
    reading: config.Data | None = None,
    *,
    as_history: bool = False,
    known: Clock | None = None,
) -> Table:
    """Read and mend a table. Raises UserError with file and line where the settings do not say what else to do.

    A history to go on from may lack the column of groups, and is one series without it; it may end with rows of
    covariates alone. `known` is the clock that it should have, which few rows do not show for sure.
    """
    findings = Findings()
    layout, blocks = read_cells(path, settings, reading or config.Data(), findings.lines, may_lack_group=as_history)
    findings.unused += layout.unused
    reader = _Reader(layout, settings, findings)
    for lines, cells in blocks:
        reader.take(layout.where, lines, cells)
    clock, groups = mend(
        {name: (one.line, one.time_us, one.offset_minutes, one.number) for name, one in reader.groups.items()},
        path=layout.where,
        settings=settings,
        offsets=reader.offsets,
        timed=layout.time is not None,
        names=(*layout.values, *layout.covariates),
        findings=findings,
        known=known,
        past=len(layout.values) if as_history and layout.covariates else 0,
    )
    width = len(layout.values)
    return Table(
        layout.where,
        tuple(Group(name, time_L, x[:, :width], x[:, width:]) for name, (time_L, x) in groups.items()),
        layout.values,
        layout.targets,
        layout.covariates,
        clock,
        layout,
        findings,
    )


@dataclass
class _Reader:
    """Cells to numbers, row by row."""

    layout: Layout
    settings: config.Series
    findings: Findings
    groups: dict[str, _Rows] = field(default_factory=dict)
    offsets: dict[int | None, str] = field(default_factory=dict)  # and where each was met first

    def take(self, path: str, lines: Sequence[int], cells: dict[str, list[str]]) -> None:
        layout = self.layout
        names = (*layout.values, *layout.covariates)
        columns = [self._numbers(path, lines, name, cells[name]) for name in names]
        stamps = None if layout.time is None else self._stamps(path, lines, cells[layout.time])
        groups = [""] * len(lines) if layout.group is None else cells[layout.group]
        for row, line in enumerate(lines):
            if layout.group is not None and not groups[row].strip():
                raise UserError(
                    f"{path}:{line}: the column `{layout.group}` is empty: it must name the series of every row. "
                    "Name it, leave the row out, or set series.group = '' if the column tells no series apart."
                )
            rows = self.groups.setdefault(groups[row].strip(), _Rows())
            rows.line.append(line)
            rows.time_us.append(len(rows.time_us) if stamps is None else stamps[row].time_us)
            rows.offset_minutes.append((stamps and stamps[row].offset_minutes) or 0)
            rows.number.append([column[row] for column in columns])

    def _numbers(self, path: str, lines: Sequence[int], name: str, texts: list[str]) -> list[float]:
        try:
            numbers = [float(text) for text in texts]
            plain = all("_" not in text and text.isascii() for text in texts)
            if plain and all(-LARGEST < number < LARGEST for number in numbers):
                return numbers
        except ValueError:
            pass
        return [self._number(path, line, name, text.strip()) for line, text in zip(lines, texts, strict=True)]

    def _number(self, path: str, line: int, name: str, text: str) -> float:
        lower = text.lower()
        if lower in MISSING:
            return math.nan
        where = f"{path}:{line}"
        if lower in _INFINITE:
            if self.settings.not_finite == "error":
                raise UserError(
                    f"{where}: `{printable(name)}` is {printable(text)}; expected a finite number. "
                    "Mend it, or set series.not_finite = 'missing'."
                )
            self.findings.not_finite.add(path, [line])
            return math.nan
        number = _strict(text)
        if number is None:
            hint = " Write decimals with a point." if "," in text else ""
            raise UserError(
                f"{where}: `{printable(name)}` is {printable(repr(text))}; expected a number, or nothing where it is "
                f"missing.{hint} Columns that are no numbers can be left out with series.targets."
            )
        if not -LARGEST < number < LARGEST:
            if self.settings.huge == "error":
                raise UserError(
                    f"{where}: `{printable(name)}` is {printable(text)}; expected a number within ±{LARGEST:g}. "
                    "Mend it, or set series.huge = 'missing'."
                )
            self.findings.huge.add(path, [line])
            return math.nan
        return number

    def _stamps(self, path: str, lines: Sequence[int], texts: list[str]) -> list[Stamp]:
        stamps = []
        for line, text in zip(lines, texts, strict=True):
            stamp = parse(text)
            if stamp is None:
                raise UserError(
                    f"{path}:{line}: the time is {printable(repr(text))}; expected a date such as 2016-07-01 or "
                    "2016-07-01 13:00:00, with or without an offset such as +02:00."
                )
            self.offsets.setdefault(stamp.offset_minutes, f"{path}:{line}")
            stamps.append(stamp)
        return stamps


def _strict(text: str) -> float | None:
    """A number in plain ASCII; Python would also take 1_000 and digits of other scripts."""
    if "_" in text or not text.isascii():
        return None
    try:
        return float(text)
    except ValueError:
        return None


def check_same_columns(table: Table, *, columns: tuple[str, ...], covariates: tuple[str, ...]) -> None:
    """Raise UserError unless the table has just what a model was trained on."""
    for wanted, found, what in ((columns, table.columns, "column"), (covariates, table.covariates, "covariate")):
        for name in wanted:
            if name not in found:
                raise UserError(
                    f"{table.path}: there is no {what} `{name}`, which the model needs.{nearest(name, found)}"
                )
