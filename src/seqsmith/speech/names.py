"""How an example names its sound: a path, several joined by commas, or a part of one as `a.wav#t=1.5,3` (the temporal
fragments of W3C Media Fragments 1.0, section 4.2.1, in seconds)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from seqsmith.errors import UserError

FRAGMENT = re.compile(r"(.*)#t=([^,#]*)(?:,([^,#]*))?")


@dataclass(frozen=True)
class Stretch:
    """The part of a recording that is meant, in seconds; None: from its beginning, to its end."""

    start: float | None = None
    end: float | None = None


WHOLE = Stretch()


def parse(name: str) -> tuple[list[str], Stretch]:
    """The files, in the order they are joined, and which part of the only one is meant."""
    if os.path.exists(name):
        return [name], WHOLE
    match = FRAGMENT.fullmatch(name)
    if match is not None:
        return [match[1]], Stretch(_seconds(match[2], name), _seconds(match[3] or "", name))
    return [path.strip() for path in name.split(",") if path.strip()], WHOLE


def _seconds(text: str, name: str) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{name}: found {text!r} for a start or end, expected seconds such as 1.5.") from None
