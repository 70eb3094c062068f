"""Which column of a table plays which role: by the user's choice, else by name, else by position."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seqsmith.data.printable import printable
from seqsmith.errors import UserError, nearest

PART = re.compile(r"(.*)#t=([^,#]*)(?:,([^,#]*))?")
"""Files and, of a part of a recording, its start and end in seconds (W3C Media Fragments 1.0, section 4.2.1)."""


@dataclass(frozen=True)
class Role:
    """What a modality wants from a row."""

    name: str  # "source"
    column: str | int | None  # the user's choice, a name or a number from 1; None: the column of the role's name
    position: int | None  # number of the column taken when none is chosen or named so; None: the role is left out then
    names: tuple[str, ...] = ()  # other names that a column of this role may have
    numbers: bool = False  # what says more than texts, as JSON and Parquet do, may say numbers
    folder: str | None = None  # the texts name files: of this folder, or with "" of the folder their corpus lies in


@dataclass(frozen=True)
class Rows:
    """A block of neighbouring rows: about 10,000 of them or a few MB."""

    path: str  # as messages call the file
    line: list[int]  # where each row starts, counted from 1 (the number of the row in a Parquet file)
    fields: dict[str, list[str]]  # role name -> one text per row
    target_path: str | None = None  # of the targets, where they have a file of their own

    def file(self, role: str) -> str:
        """The file that has the texts of a role."""
        return self.target_path if role == "target" and self.target_path else self.path


def placed(rows: Rows, roles: Sequence[Role], beside: Path) -> Rows:
    """With the files that texts name (several, parted by commas) as absolute paths; `beside` is the corpus' folder."""
    fields = dict(rows.fields)
    for role in roles:
        if role.folder is not None and role.name in fields:
            folder = Path(role.folder) if role.folder else beside
            fields[role.name] = [_absolute(text, folder) for text in fields[role.name]]
    parts = [fields.pop(name, None) for name in ("start", "end")]
    if any(parts):
        for name, part in zip(("start", "end"), parts, strict=True):
            _check_seconds(name, part or [], rows)
        starts, ends = (part or [""] * len(rows.line) for part in parts)
        fields["source"] = [_part(*row) for row in zip(fields["source"], starts, ends, strict=True)]
    return replace(rows, fields=fields)


def files_and_part(text: str, folder: Path) -> tuple[list[str], re.Match[str] | None]:
    """The files that a text names, and which part of them is meant. A comma or `#t=` may belong to the name of a file
    that is there."""
    match = None if (folder / text.strip()).exists() else PART.fullmatch(text)
    files = text if match is None else match[1]
    whole = "," not in files or (folder / files.strip()).exists()
    return [name.strip() for name in ([files] if whole else files.split(","))], match


def _absolute(text: str, folder: Path) -> str:
    if not text.strip():
        return ""
    names, part = files_and_part(text, folder)
    return ",".join(os.path.abspath(folder / name) for name in names) + ("" if part is None else text[part.end(1) :])


def _check_seconds(name: str, texts: Sequence[str], rows: Rows) -> None:
    for line, text in zip(rows.line, texts, strict=False):
        try:
            round(float(text.strip() or "0"))  # neither NaN nor infinite
        except (ValueError, OverflowError):
            found = printable(repr(text))
            raise UserError(f"{rows.path}:{line}: the {name} is {found}; expected seconds such as 1.5.") from None


def _part(path: str, start: str, end: str) -> str:
    """The part of a recording between two times in seconds, in the notation of W3C Media Fragments."""
    return f"{path}#t={start.strip()},{end.strip()}" if path and (start.strip() or end.strip()) else path


def choose(
    roles: Sequence[Role], names: Sequence[str] | None, *, width: int, where: str, kind: str, hint: str = ""
) -> dict[str, int]:
    """The column index of each role. `names` are the header or keys, `kind` tells how columns are told apart."""
    chosen: dict[str, int] = {}
    by_user = {role.name for role in roles if role.column is not None}
    for role in roles:
        column = _column(role, names, where)
        if column is None:
            continue
        for other, taken in chosen.items():
            if taken == column and not {other, role.name} <= by_user:
                raise UserError(
                    f"{where}: {other} and {role.name} would both be column {column + 1}. "
                    f"Say which column is which with data.{other} and data.{role.name}."
                )
        chosen[role.name] = column
    needed = max(chosen.values(), default=-1) + 1
    if needed > width == len(chosen) and "target" not in chosen and names is None:
        return {name: column for column, name in enumerate(chosen)}  # what is left of the columns without targets
    if needed > width:
        raise UserError(f"{where}: expected at least {needed} columns ({kind}), found {width}.{hint}")
    return chosen


def check_told(roles: Sequence[Role], names: Sequence[str], where: str) -> None:
    """Raise UserError where columns have names, more than are wanted, and nothing says which is which."""
    wanted = [role for role in roles if role.position is not None]
    unknown = [role.name for role in wanted if role.column is None and not {role.name, *role.names} & set(names)]
    if unknown and len(names) > len(wanted):
        listed = ", ".join(printable(name) for name in names)
        which = " and ".join(f"data.{name}" for name in unknown)
        raise UserError(f"{where}: found the columns {listed}. Say with {which} which to take.")


def _column(role: Role, names: Sequence[str] | None, where: str) -> int | None:
    match role.column:
        case int() as number:
            return number - 1
        case str() as name:
            if names is None:
                raise UserError(
                    f"{where}: data.{role.name} names the column `{name}`, but data.header = false says that there are "
                    "no names. Give the number of the column, counted from 1."
                )
            if name not in names:
                known = (printable(other) for other in names)
                raise UserError(
                    f"{where}: there is no column `{name}` for {role.name}.{nearest(name, known)} Columns "
                    f"without names have numbers (data.{role.name}=1)."
                )
            return _place(name, names, where)
        case None:
            for name in (role.name, *role.names):
                if names is not None and name in names:
                    return _place(name, names, where)
            return None if role.position is None else role.position - 1


def _place(name: str, names: Sequence[str], where: str) -> int:
    if names.count(name) > 1:
        raise UserError(f"{where}: {names.count(name)} columns are called `{printable(name)}`. Give each its own name.")
    return names.index(name)
