"""The command line as a user meets it: in this process, which is quick, or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Seqsmith = Callable[..., Outcome]
"""seqsmith(*words, stdin="") runs a command in this process."""


def program(*words: str | Path) -> list[str]:
    """The command line of a process of its own."""
    return [sys.executable, "-c", "from seqsmith.cli.main import main; main()", *map(str, words)]


def start(*words: str | Path, folder: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        program(*words),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1", **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
