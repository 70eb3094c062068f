"""The run's journal: one JSON object a line, appended as things happen; the truth about a run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Event = dict[str, Any]


class Journal:
    """Appends events to a file. A line is on its way to the disk before `write` returns."""

    def __init__(self, path: Path):
        self._file = path.open("a", encoding="utf-8")

    def write(self, event: Event) -> None:
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="seconds"), **event}, ensure_ascii=False)
        self._file.write(line + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read_journal(path: Path) -> Iterator[Event]:
    """The events of a run, oldest first; a last line that was cut off by a crash is left out."""
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line:
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                return
