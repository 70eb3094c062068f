"""How an example names its sound: a path, several joined by commas, or a part of one as `a.wav#t=1.5,3` (the temporal
fragments of W3C Media Fragments 1.0, section 4.2.1, in seconds)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from seqsmith.data.columns import files_and_part
from seqsmith.errors import UserError


@dataclass(frozen=True)
class Stretch:
    """The part of a recording that is meant, in seconds; None: from its beginning, to its end."""

    start: float | None = None
    end: float | None = None


WHOLE = Stretch()


def parse(name: str) -> tuple[list[str], Stretch]:
    """The files, in the order they are joined, and which part of the only one is meant."""
    files, part = files_and_part(name, Path())
    stretch = WHOLE if part is None else Stretch(_seconds(part[2], name), _seconds(part[3] or "", name))
    return [path for path in files if path], stretch


@contextmanager
def telling_where(named: Iterable[tuple[str, str]]) -> Iterator[None]:
    """Where a recording is at fault, say first where it is named; `named` has names and places such as `file:line`."""
    try:
        yield
    except UserError as error:
        message = str(error)
        for name, place in named:
            if any(message.startswith(f"{said}: ") for said in _called(name)):
                raise UserError(f"{place}: {message}") from None
        raise


def _called(name: str) -> Iterator[str]:
    """What a message about this recording may begin with."""
    yield name
    with suppress(UserError):  # of a part that is no part
        yield from parse(name)[0]


def _seconds(text: str, name: str) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{name}: found {text!r} for a start or end, expected seconds such as 1.5.") from None
