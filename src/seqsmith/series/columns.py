"""Which column of a table of measurements is what: time, group, numbers to forecast, covariates known beforehand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from seqsmith import config
from seqsmith.data.counts import Counts
from seqsmith.data.files import shown, suffix
from seqsmith.data.kinds import MISSING, TIME_NAMES
from seqsmith.data.parquet import read_parquet_cells
from seqsmith.data.printable import printable
from seqsmith.data.separated import read_records
from seqsmith.errors import UserError, nearest
from seqsmith.series.clock import parse

_SAMPLE = 200  # rows that tell the kinds of the columns
_TIME_OF_DAY = re.compile(r"\s*\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?\s*")

Block = tuple[list[int], list[list[str]]]
"""Lines, and the cells of the rows that start there."""


Cells = list[tuple[int, str]]
"""Lines, and what a column has there, where it has something."""


@dataclass(frozen=True)
class Layout:
    """The names of the columns by what they are."""

    where: str  # the file as messages call it
    names: tuple[str, ...]  # of all columns, in order
    time: str | None
    group: str | None
    values: tuple[str, ...]  # targets first, then what is only looked at
    targets: int
    covariates: tuple[str, ...]

    @property
    def unused(self) -> tuple[str, ...]:
        """The columns that are none of these."""
        used = {self.time, self.group, *self.values, *self.covariates}
        return tuple(name for name in self.names if name and name not in used)


def read_cells(
    path: str, settings: config.Series, reading: config.Data, counts: Counts, *, may_lack_group: bool = False
) -> tuple[Layout, Iterator[tuple[list[int], dict[str, list[str]]]]]:
    """The layout, and the rows that are not blank in blocks of columns. Raises UserError where rows differ in width.

    A table that may lack the column of groups is one series without it.
    """
    blocks = _records(path, reading, counts)
    first = next((block for block in blocks if block[0]), None)
    if first is None:
        raise UserError(f"{shown(path)}: there is no row in it; expected a table of numbers.")
    layout, header = _layout(first, path, settings, may_lack_group=may_lack_group)
    return layout, _columns(_all(first, blocks), layout, header)


def _records(path: str, reading: config.Data, counts: Counts) -> Iterator[Block]:
    if suffix(path) in (".jsonl", ".ndjson"):
        raise UserError(
            f"{shown(path)}: found JSON lines, but series are read from CSV, TSV or Parquet. Save it as one of these, "
            "or, if it holds pairs of text, set source.kind=text."
        )
    if suffix(path) == ".parquet":
        blocks = read_parquet_cells(path)
    else:
        blocks = read_records(path, reading, counts, comma=suffix(path) != ".tsv")
    for lines, rows in blocks:
        kept = [index for index, row in enumerate(rows) if any(cell.strip() for cell in row)]
        yield [lines[index] for index in kept], [rows[index] for index in kept]


def _all(first: Block, others: Iterator[Block]) -> Iterator[Block]:
    yield first
    yield from others


def _columns(blocks: Iterator[Block], layout: Layout, header: bool) -> Iterator[tuple[list[int], dict[str, list[str]]]]:
    width = len(layout.names)
    wanted = {*layout.values, *layout.covariates} | {name for name in (layout.time, layout.group) if name is not None}
    for lines, rows in blocks:
        if header:
            lines, rows, header = lines[1:], rows[1:], False
        for line, row in zip(lines, rows, strict=True):
            if len(row) != width:
                raise UserError(
                    f"{layout.where}:{line}: expected {width} columns as in the first row, found {len(row)}."
                )
        cells = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in layout.names]
        yield lines, {name: column for name, column in zip(layout.names, cells, strict=True) if name in wanted}


def _layout(block: Block, path: str, settings: config.Series, *, may_lack_group: bool) -> tuple[Layout, bool]:
    lines, rows = block
    where = shown(path)
    header = settings.header
    if header is None:
        header = not any(_is_number(cell) for cell in rows[0]) and not any(parse(cell) for cell in rows[0])
    names = tuple(cell.strip() for cell in rows[0]) if header else tuple(f"{n + 1}" for n in range(len(rows[0])))
    if len(names) == 1 and ";" in names[0]:
        raise UserError(f"{where}: found one column. Is it separated by semicolons? Save it with commas.")
    if len(set(names)) < len(names):
        twice = next(name for index, name in enumerate(names) if name in names[:index])
        raise UserError(f"{where}:{lines[0]}: two columns are called `{printable(twice)}`. Give each its own name.")
    sample = list(zip(lines, rows, strict=True))[header : header + _SAMPLE]
    if not sample:
        raise UserError(f"{where}: there is no row of numbers in it.")
    cells: dict[str, Cells] = {
        name: [
            (line, row[column])
            for line, row in sample
            if column < len(row) and row[column].strip().lower() not in MISSING
        ]
        for column, name in enumerate(names)
    }
    named_group = "" if may_lack_group and settings.group and settings.group not in names else settings.group
    kinds = {name: _kind([cell for _, cell in filled]) for name, filled in cells.items()}
    _check_there(names, settings.model_copy(update={"group": named_group}), where)
    odd = [name for name in names if name.lower() in TIME_NAMES and kinds[name] == "number"]
    if odd and header and "time" not in kinds.values() and settings.time is None and settings.targets is None:
        raise UserError(
            f"{where}: the column `{printable(odd[0])}` holds numbers; expected time stamps such as "
            "2016-07-01 13:00:00. Write them so, or say with series.targets what is to be forecast."
        )
    time = settings.time or _time([name for name in names if name != named_group], kinds)
    words = {name: cells[name] for name in names if kinds[name] == "words" and name != time}
    group = _group(words, where) if named_group is None else named_group or None
    if group is not None and named_group is None and time is None:
        column = names.index(group)
        every = [(line, row[column]) for line, row in zip(lines, rows, strict=True) if column < len(row)]
        _check_repeats(group, every[header:], where)
    taken = {time, group, *settings.covariates}
    taken |= {name for name in names if not name and time is not None and _counts(cells[name])}  # pandas' row numbers
    numbers = [name for name in names if kinds[name] == "number" and name not in taken]
    targets = settings.targets or tuple(numbers)
    counting = next((name for name in numbers if _counts(cells[name])), None)
    if counting is not None and header and time is None and settings.targets is None:
        raise UserError(
            f"{where}: the column `{printable(counting)}` rises by the same number in each row. Is it a time? Write "
            "times such as 2016-07-01, or say with series.targets what is to be forecast."
        )
    if not targets:
        other = ", ".join(printable(name) for name in names if kinds[name] == "number" and name in taken)
        said = f": {other} is set to be something else. Leave that out" if other else ". Name them with series.targets"
        raise UserError(f"{where}: found no column of numbers to forecast{said}.")
    for name in targets:
        if name in taken:
            raise UserError(f"{where}: the column `{name}` cannot be a target and time, group or covariate as well.")
    others = tuple(name for name in numbers if name not in targets)
    return Layout(where, names, time, group, (*targets, *others), len(targets), settings.covariates), header


def _check_there(names: Sequence[str], settings: config.Series, where: str) -> None:
    """Raise UserError for a column that the settings name and the table has not."""
    for option, chosen in (("targets", settings.targets or ()), ("covariates", settings.covariates),
                           ("time", (settings.time,)), ("group", (settings.group or None,))):  # fmt: skip
        for name in chosen:
            if name is not None and name not in names:
                hint = " Did a shell take the quotes? Put the whole setting in quotes." if name.startswith("[") else ""
                raise UserError(
                    f"{where}: there is no column `{name}` for series.{option}.{hint or nearest(name, names)}"
                )


def _counts(cells: Cells) -> bool:
    """Whether whole numbers rise by one step."""
    texts = [cell.strip() for _, cell in cells]
    if len(texts) < 4 or not all(text.isascii() and text.isdecimal() and len(text) < 20 for text in texts):
        return False
    numbers = [int(text) for text in texts]
    steps = {after - before for before, after in pairwise(numbers)}
    return len(steps) == 1 and min(steps) > 0


def _time(names: Sequence[str], kinds: dict[str, str]) -> str | None:
    """One of time stamps, best by its name; else one by its name, whose cells are then said to be no times."""
    stamps = [name for name in names if kinds[name] == "time"]
    called = [name for name in names if name.lower() in TIME_NAMES and kinds[name] != "number"]
    return next(iter([*(name for name in called if name in stamps), *stamps, *called]), None)


def _group(words: Mapping[str, Cells], where: str) -> str | None:
    """The only column of words. Numbers as people write them (10,038 or 12 %) are none."""
    for name, cells in words.items():
        if {cell.strip().lower() for _, cell in cells} <= {"true", "false"}:
            raise UserError(
                f"{where}: `{printable(name)}` is true or false; expected numbers. Write 1 and 0, or, if it tells "
                "series apart, say so with series.group."
            )
        odd = [(line, cell) for line, cell in cells if not any(letter.isalpha() for letter in cell)]
        if 2 * len(odd) > len(cells):
            line, cell = odd[0]
            found = f"{where}:{line}: `{printable(name)}` is '{printable(cell)}'"
            if _TIME_OF_DAY.fullmatch(cell):
                raise UserError(f"{found}; expected a date before it. Join date and time in one column.")
            raise UserError(
                f"{found}; expected a number, with a point before decimals and nothing between thousands. If the "
                "column tells series apart, say so with series.group."
            )
    if len(words) > 1:
        listed = ", ".join(printable(name) for name in words)
        raise UserError(
            f"{where}: several columns hold words ({listed}). Say with series.group which one tells the series apart."
        )
    return next(iter(words), None)


def _check_repeats(name: str, cells: Cells, where: str) -> None:
    """Raise UserError where nearly every row would be a series of its own: these are times in another spelling."""
    if 10 * len({cell.strip() for _, cell in cells}) > 9 * len(cells):
        line, cell = cells[0]
        raise UserError(
            f"{where}:{line}: `{printable(name)}` is '{printable(cell)}', and nearly every row has another: expected a "
            "time such as 1990-01. Write times so, or, if the column tells series apart, say so with series.group."
        )


def _kind(filled: Sequence[str]) -> str:
    """Most of the column decides, so that one bad cell is an error of its line and does not hide the column."""
    numbers = sum(_is_number(cell) for cell in filled)
    if 2 * numbers >= len(filled):
        return "number"
    return "time" if 2 * sum(parse(cell) is not None for cell in filled) > len(filled) else "words"


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
