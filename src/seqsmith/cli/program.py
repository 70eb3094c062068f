"""Commands that are told to the user, so that they can be typed as they stand."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path


def command(*words: str | Path) -> str:
    """`seqsmith` with these words, quoted; by its path where it is not on PATH, as after `make demo`."""
    typed = sys.argv[0]
    own_path = Path(typed).name == "seqsmith" and shutil.which("seqsmith") is None
    return shlex.join([typed if own_path else "seqsmith", *map(str, words)])
