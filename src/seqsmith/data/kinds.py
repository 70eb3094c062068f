"""What kind of data a file holds, found from its name and its first rows, so that nobody has to say it.

Recordings: a table with a column that names sound or feature files. Series: a table with a header, or with a column of
times, whose other columns are numbers, but for a group; or pairs of number sequences in an .npz file. All else is text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from seqsmith import config
from seqsmith.data.columns import PART
from seqsmith.data.counts import Counts
from seqsmith.data.files import shown, suffix
from seqsmith.data.lines import read_lines
from seqsmith.data.parquet import read_parquet_cells
from seqsmith.data.printable import printable
from seqsmith.data.separated import read_records

Kind = Literal["text", "speech", "series"]
TIME_NAMES = ("time", "date", "timestamp", "datetime", "ds")
TABLES = (".tsv", ".csv", ".jsonl", ".ndjson", ".parquet")  # of examples, whose columns have names or numbers
SOUNDS, MATRICES = (".wav", ".flac", ".ogg", ".mp3"), (".npy", ".npz")  # of recordings, and of features made of them
RECORDINGS = (*SOUNDS, *MATRICES)
MISSING = frozenset(("", "nan", "na", "n/a", "null", "none", "-", "?"))
"""Cells, in lower case, where a number is missing."""
_ROWS = 20  # that are looked at
_NOT_NUMBERS = 2  # columns of a table of series, a time and a group; more make one where numbers are more still
_WRITTEN = re.compile(r"\s*[-+]?(\d+|\d{1,3}([.,' ]\d{3})+)([.,]\d+)?\s*%?\s*")  # numbers as people write them
_PART_OF_YEAR = re.compile(r"\s*\d{4}\s*-?[QW]\d{1,2}\s*", re.IGNORECASE)
_TIME = re.compile(r"\s*(\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?!\d)|\d{4}[-/]\d{1,2}\s*$)")


@dataclass(frozen=True)
class Guess:
    """A kind of data and the reason to think so."""

    kind: Kind
    reason: str = ""


def guess_kind(corpus: config.Corpus, settings: config.Data) -> Guess:
    """Look into one corpus. A file that cannot be read is text: its reader says what is wrong with it."""
    path = corpus.path
    if path == "-" or not Path(path).is_file():
        return Guess("text")
    if corpus.target is not None:
        named = _lines(path, settings)
        if named and all(map(_is_recording, named)):
            return Guess("speech", f"{shown(path)} names recordings such as {printable(named[0], longest=80)}")
        return Guess("text")
    if suffix(path) == ".npz":
        return Guess("series", f"{path} holds arrays")
    rows = _first_rows(path, settings)
    filled = [row for row in rows if any(cell.strip() for cell in row)]
    if len(filled) == 1 and any(cell.strip().lower() in TIME_NAMES for cell in filled[0]):
        return Guess("series", f"{shown(path)} has a column of times, and no row under it")
    if len(rows) < 2:
        return Guess("text")
    recording = next((cell for cell in rows[1] if _is_recording(cell)), None)
    if recording is not None:
        return Guess("speech", f"{shown(path)} names recordings such as {printable(recording, longest=80)}")
    if _is_series(rows):
        return Guess("series", f"{shown(path)} is a table of numbers under names or beside times")
    odd = _almost_series(rows)
    if odd is not None:
        said = f"would be a series but for cells such as '{printable(odd)}': for one, write numbers as 1234.5 and "
        return Guess("text", f"{shown(path)} {said}times as 2016-07-01")
    if _has_series(rows):
        said = "has names, times and numbers, but several columns of words: if these are series, say with series.group "
        return Guess("text", f"{shown(path)} {said}what tells them apart")
    return Guess("text")


def _is_series(rows: Sequence[Sequence[str]]) -> bool:
    """Whether all columns but a time and a group are numbers, and more than the others where none is a time.

    A single column is no pairs, and may lack a header.
    """
    if len(set(map(len, rows))) != 1 or {"source", "target"} <= set(rows[0]):
        return False
    has_header = _names_columns(rows[0])
    others = [column for column in zip(*rows[has_header:], strict=True) if not all(map(_is_number, column))]
    numbers = len(rows[0]) - len(others)
    has_time = any(all(map(_TIME.match, column)) for column in others)
    few = len(others) <= _NOT_NUMBERS or (has_header and numbers > len(others))
    fits = numbers > 0 and few
    return fits and (has_time or len(rows[0]) == 1 or (has_header and numbers > len(others)))


def _has_series(rows: Sequence[Sequence[str]]) -> bool:
    """Whether columns under names are times and numbers, whatever the others are."""
    if len(set(map(len, rows))) != 1 or {"source", "target"} <= set(rows[0]) or not _names_columns(rows[0]):
        return False
    columns = list(zip(*rows[1:], strict=True))
    return any(all(map(_TIME.match, column)) for column in columns) and any(all(map(_is_number, c)) for c in columns)


def _almost_series(rows: Sequence[Sequence[str]]) -> str | None:
    """The first cell that keeps a table of one column of times and others of numbers from being one, or None."""
    if len(set(map(len, rows))) != 1 or {"source", "target"} <= set(rows[0]):
        return None
    columns = list(zip(*rows[_names_columns(rows[0]) :], strict=True))
    times = [column for column in columns if all(_TIME.match(cell) or _PART_OF_YEAR.fullmatch(cell) for cell in column)]
    others = [cell for column in columns if column not in times for cell in column]
    if len(times) != 1 or not others or not all(_is_number(cell) or _WRITTEN.fullmatch(cell) for cell in others):
        return None
    odd = (cell for cell in (*others, *times[0]) if not _is_number(cell) and not _TIME.match(cell))
    return next(odd, None)


def _first_rows(path: str, settings: config.Data) -> Sequence[Sequence[str]]:
    """The header or keys, and a few rows; nothing where the file is no table."""
    match suffix(path):
        case ".tsv" | ".csv" as kind:
            blocks = read_records(path, settings, Counts(), comma=kind == ".csv")
            return [row for _, rows in islice(blocks, 1) for row in rows[: _ROWS + 1]]
        case ".parquet":
            parts = read_parquet_cells(path)
            return [row for _, rows in islice(parts, 2) for row in rows[: _ROWS + 1]]
        case ".jsonl" | ".ndjson":
            objects = [_object(text) for text in _lines(path, settings)]
            return [list(objects[0]), *([str(value) for value in one.values()] for one in objects)] if objects else []
    return []


def _lines(path: str, settings: config.Data) -> list[str]:
    """A few lines that are not blank."""
    texts = next((lines.texts for lines in read_lines(path, settings, Counts())), [])
    return [text for text in texts[:_ROWS] if text.strip()]


def _object(line: str) -> dict[str, Any]:
    """The object of a line; nothing where it is none, which its reader will say."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _is_recording(cell: str) -> bool:
    """Whether a cell names a recording, several with commas between them, or a part of one."""
    part = PART.fullmatch(cell.strip())
    return (cell if part is None else part[1]).strip().lower().endswith(RECORDINGS)


def _names_columns(row: Sequence[str]) -> bool:
    """Whether a row is a header: no number in it, and some names; the one of an index may be empty (pandas)."""
    return any(cell.strip() for cell in row) and not any(_is_number(cell) for cell in row if cell.strip())


def _is_number(cell: str) -> bool:
    """Whether a cell holds a number; an empty one, or what says that one is missing, may stand in its place."""
    if cell.strip().lower() in MISSING:
        return True
    try:
        float(cell.replace("_", "?"))
    except ValueError:
        return False
    return True
