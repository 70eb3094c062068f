"""Parquet tables, streamed batch by batch; needs the extra `parquet`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seqsmith.data.columns import Role, Rows, check_told, choose
from seqsmith.data.files import explained
from seqsmith.data.lines import ROWS
from seqsmith.data.printable import printable
from seqsmith.errors import UserError


def read_parquet(path: str, roles: Sequence[Role]) -> Iterator[Rows]:
    """All rows, empty ones included; a null is an empty text. Lines are rows, counted from 1."""
    with _opened(path) as file:
        yield from _rows(file, path, roles)


def read_parquet_cells(path: str) -> Iterator[tuple[list[int], list[list[str]]]]:
    """All rows as text, the names of the columns first (as row 0); numbers and times as Python writes them."""
    with _opened(path) as file:
        lines, rows = [0], [list(file.schema_arrow.names)]
        for batch in file.iter_batches(batch_size=ROWS):
            columns = [_texts(column) for column in batch.columns]
            first = lines[-1] + 1
            lines += range(first, first + batch.num_rows)
            rows += [list(row) for row in zip(*columns, strict=True)]
            yield lines, rows
            lines, rows = lines[-1:], []


@contextmanager
def _opened(path: str) -> Iterator[Any]:
    """The Parquet file, with what can go wrong while it is read said in sentences."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError(f"{path}: reading Parquet needs pyarrow: pip install seqsmith[parquet]") from None
    if path.lower().endswith(".gz"):
        raise UserError(f"{path}: Parquet is compressed inside: unpack the .gz and give the .parquet file.")
    with explained(path), Path(path).open("rb") as raw:
        try:
            yield pyarrow.parquet.ParquetFile(raw)
        except (pyarrow.ArrowException, UnicodeDecodeError) as error:
            raise UserError(f"{path}: a damaged Parquet file, or none: {printable(str(error), longest=200)}.") from None


def _rows(file: Any, path: str, roles: Sequence[Role]) -> Iterator[Rows]:
    names = list(file.schema_arrow.names)
    check_told(roles, names, path)
    chosen = choose(roles, names, width=len(names), where=path, kind="Parquet")
    numbers = {role.name for role in roles if role.numbers}
    for role, column in chosen.items():
        kind = str(file.schema_arrow.field(column).type)
        if role in numbers and kind.startswith(("float", "double", "int", "uint")):
            continue
        if "string" not in kind.split("<")[0] and not kind.startswith("dictionary<values=string"):
            raise UserError(
                f"{path}: expected text in the column `{printable(names[column])}` for {role}, found {printable(kind)}."
            )
    first = 1
    unique = len(set(names)) == len(names)  # else a name is not enough to read a column by
    wanted = sorted({names[column] for column in chosen.values()}) if unique else None
    for batch in file.iter_batches(batch_size=ROWS, columns=wanted):
        fields = {role: _texts(batch.column(names[column] if unique else column)) for role, column in chosen.items()}
        yield Rows(path, list(range(first, first + batch.num_rows)), fields)
        first += batch.num_rows


def _texts(column: Any) -> list[str]:
    """Numbers and times as Python writes them, and as Arrow does where Python has no such time."""
    try:
        cells = column.to_pylist()
    except (ValueError, OverflowError):
        cells = column.cast("string").to_pylist()
    return ["" if cell is None else str(cell) for cell in cells]
