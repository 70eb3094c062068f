"""What is told: remarks on stderr, reports, and commands that can be typed as they stand."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Say = Callable[[str], None]

Found = tuple[list[str], dict[str, Any]]
"""The lines of a report, and what JSON has of it."""


def note(sentence: str) -> None:
    """Say something on stderr, where it is in nobody's way."""
    print(f"seqsmith: {sentence}", file=sys.stderr)


def command(*words: str | Path) -> str:
    """`seqsmith` with these words, quoted; by its path where it is not on PATH, as after `make demo`."""
    typed = sys.argv[0]
    own_path = Path(typed).name == "seqsmith" and shutil.which("seqsmith") is None
    return shlex.join([typed if own_path else "seqsmith", *map(str, words)])
