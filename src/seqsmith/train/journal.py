"""The run's journal: one JSON object a line, appended as things happen; the truth about a run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from seqsmith.errors import UserError

Event = dict[str, Any]


class Journal:
    """Appends events to a file. A line is on its way to the disk before `write` returns."""

    def __init__(self, path: Path):
        _drop_torn_line(path)
        self._file = path.open("a", encoding="utf-8")

    def write(self, event: Event) -> None:
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="seconds"), **event}, ensure_ascii=False)
        self._file.write(line + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read_journal(path: Path) -> Iterator[Event]:
    """The events of a run, oldest first; a last line that was cut off by a crash is left out. Raises UserError."""
    whole, _, _torn = path.read_bytes().rpartition(b"\n")
    for number, line in enumerate(whole.split(b"\n") if whole else [], 1):
        try:
            yield json.loads(line)
        except ValueError:
            raise UserError(f"{path}:{number}: found {line[:40]!r}, expected one JSON object: damaged.") from None


def _drop_torn_line(path: Path) -> None:
    """Cut off what a crash left of a last line, or the next event would be written behind it and both be lost."""
    if path.exists():
        with path.open("rb+") as file:
            file.truncate(file.read().rfind(b"\n") + 1)
