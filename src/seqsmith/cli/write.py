"""Files that a command writes: a new one takes the old one's place when it is complete."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from seqsmith.errors import UserError


def keep_apart(output: Path | None, inputs: Sequence[str | None], *, option: str) -> None:
    """Raise UserError where the output is one of the inputs, which it would take the place of."""
    if output is None or not output.is_file():
        return
    for path in inputs:
        if path is not None and os.path.exists(path) and os.path.samefile(output, path):
            raise UserError(f"{option} {output}: that is the input. Choose another file.")


def one_line(text: str) -> str:
    """A field of a line: a byte-level model can speak a line feed, and a file can be called so."""
    return text.translate({ord(character): " " for character in "\t\n\r"})


def _beside(path: Path) -> Path:
    """A name for what is being written that no file has, whosever it may be."""
    names = (path.with_name(f"{path.name}.part{number or ''}") for number in itertools.count())
    return next(name for name in names if not name.exists())


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A text file to write, which becomes `path` when the context is left without an error.

    Until then a file that is there stays as it is. What was written before an error is kept beside it, and said.
    Raises UserError where it cannot be written.
    """
    special = path.exists() and not path.is_file()  # a device or a pipe keeps its place
    part = path if special else _beside(path)
    try:
        with part.open("w" if special else "x", encoding="utf-8", newline="") as file:
            yield file
        if not special:
            os.replace(part, path)
    except BaseException as error:
        if not special and part.is_file():
            if part.stat().st_size:
                print(f"seqsmith: what was written so far is in {part}", file=sys.stderr)
            else:
                part.unlink()
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            raise UserError(f"{path}: cannot be written: {error.strerror or error}.") from None
        raise
