"""Proves the suffixes of tensor names at run time: `x_BTD` must have 3 axes, and B, T, D one size each per call.

A letter is bound by the first name that carries it and holds for one call of one function. A digit is a literal size:
the second axis of `keep_B1TS` is 1. The names are a function's locals, arguments included, as they stand on its return;
the fields of a dataclass are checked where it is made, for its `__init__` is such a function.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

SUFFIX = re.compile(r"[a-z][a-z0-9_]*_(1*[A-Z][A-Z0-9]*)")


class ShapeError(AssertionError):
    """A name promises other axes than its array has."""


def check(values: Mapping[str, object], where: str) -> None:
    """Raise ShapeError unless every suffixed array in `values` agrees with its name and with the others."""
    bound: dict[str, tuple[int, str]] = {}
    for name, value in values.items():
        match = SUFFIX.fullmatch(name)
        shape = getattr(value, "shape", None)
        if match is None or shape is None:
            continue
        axes, shape = match[1], tuple(shape)
        if len(axes) != len(shape):
            raise ShapeError(f"{where}: {name} promises {len(axes)} axes ({axes}) but has shape {shape}")
        for axis, size in zip(axes, shape, strict=True):
            expected, owner = (int(axis), name) if axis.isdigit() else bound.setdefault(axis, (size, name))
            if size != expected:
                raise ShapeError(f"{where}: {axis} is {expected} in {owner} but {size} in {name}, shape {shape}")


@contextmanager
def watch(package: str) -> Iterator[None]:
    """Check every function of `package` that returns in this thread; raise the first ShapeError at the end."""
    failures: list[ShapeError] = []

    def on_event(frame: FrameType, event: str, _: object) -> None:
        module = frame.f_globals.get("__name__", "") if event == "return" and not failures else ""
        if module == package or module.startswith(f"{package}."):
            try:
                check(frame.f_locals, f"{module}.{frame.f_code.co_qualname}:{frame.f_lineno}")
            except ShapeError as error:  # raised in here, it would also end the watch
                failures.append(error)

    previous = sys.getprofile()
    sys.setprofile(on_event)
    try:
        yield
    finally:
        sys.setprofile(previous)
    if failures:
        raise failures[0]
