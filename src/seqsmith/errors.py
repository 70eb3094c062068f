"""What a user can do wrong, and how it is said: where, what was found, what was expected, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake that the user can mend. The command line prints the message and exits with 2."""


class Diverged(Exception):
    """Training met losses or gradients that are not finite and could not go on. Exit code 3."""


def nearest(name: str, known: Iterable[str]) -> str:
    """' Did you mean `x`?' for the known name closest to `name`, or the whole list where none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f" Did you mean `{near[0]}`?" if near else f" Known: {', '.join(names)}."
