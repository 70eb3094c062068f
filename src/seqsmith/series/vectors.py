"""Paired sequences of vectors from an .npz file: frames in, frames out, for tasks that are not forecasting.

Two forms are read: `source/NAME` and `target/NAME`, a matrix [steps, numbers] each; or `source` and `target` as arrays
[pairs, steps, numbers], with `source_length` and `target_length` [pairs] where sequences end early. Nothing is
unpickled, and nothing is expanded that is absurdly large.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqsmith.data.files import DAMAGED, explained
from seqsmith.data.printable import printable
from seqsmith.errors import UserError

MOST_BYTES = 8 << 30
MOST_RATIO = 1000
"""Arrays that expand to more than so many bytes, or by more than so many times, are taken for a bomb."""

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Vectors:
    """Pairs of sequences [steps, numbers]; targets are empty where the file has none."""

    path: str
    names: tuple[str, ...]
    source: tuple[Matrix, ...]
    target: tuple[Matrix, ...]
    unused: tuple[str, ...] = ()  # other arrays of the file

    def remarks(self) -> Iterator[str]:
        """What is to be said of the arrays that are left out."""
        if self.unused:
            count, first = len(self.unused), printable(self.unused[0])
            yield f"{self.path}: arrays that are neither sources nor targets, left out: {count:,}, as {first}."


def read_vectors(path: str, *, needs_target: bool = True) -> Vectors:
    """Read and check every pair. Raises UserError that names the file and the array."""
    with explained(path), open(path, "rb") as raw:
        if not zipfile.is_zipfile(raw):
            raise UserError(f"{path}: not an .npz file. Write it with numpy.savez.")
        try:
            _check_size(path, zipfile.ZipFile(raw))
            raw.seek(0)
            with np.load(raw, allow_pickle=False) as arrays:
                found = {name: arrays[name] for name in arrays.files}
        except DAMAGED as error:
            said = printable(str(error) or type(error).__name__, longest=120)
            raise UserError(
                f"{path}: cannot be read as arrays of numbers ({said}). Objects and "
                "lists are not taken: give each sequence a name of its own, source/1, target/1, ..."
            ) from None
    for name, array in found.items():
        if not isinstance(array, np.ndarray):  # numpy hands over as bytes what is no array
            raise UserError(f"{path}: `{printable(name)}` is no array. Write the file with numpy.savez.")
    names, sources, targets = _pairs(path, found)
    if not targets and needs_target:
        raise UserError(f"{path}: found no targets; expected `target`, or `target/NAME` beside `source/NAME`.")
    for role, matrices in (("source", sources), ("target", targets)):
        widths = {matrix.shape[1] for matrix in matrices}
        if len(widths) > 1:
            raise UserError(f"{path}: every {role} must have as many numbers a step, found {sorted(widths)}.")
    ends = ("", "_length") if "source" in found else [f"/{name}" for name in names]
    used = {f"{role}{end}" for role in ("source", "target") for end in ends}
    return Vectors(path, names, sources, targets, tuple(name for name in found if name not in used))


def _check_size(path: str, archive: zipfile.ZipFile) -> None:
    expanded = sum(member.file_size for member in archive.infolist())
    packed = max(1, sum(member.compress_size for member in archive.infolist()))
    if expanded > MOST_BYTES or (expanded > 1 << 24 and expanded > MOST_RATIO * packed):
        raise UserError(f"{path}: {packed:,} bytes expand to {expanded:,}; expected less. Split the file.")


def _pairs(
    path: str, found: Mapping[str, NDArray[Any]]
) -> tuple[tuple[str, ...], tuple[Matrix, ...], tuple[Matrix, ...]]:
    if "source" in found:
        sources = _stacked(path, found, "source")
        targets = _stacked(path, found, "target") if "target" in found else ()
        names = tuple(str(number) for number in range(1, len(sources) + 1))
        if targets and len(targets) != len(sources):
            raise UserError(f"{path}: {len(sources):,} sources, but {len(targets):,} targets: each source needs one.")
        return names, sources, targets
    names = tuple(name.removeprefix("source/") for name in found if name.startswith("source/"))
    if not names:
        listed = ", ".join(printable(name) for name in list(found)[:5]) or "nothing"
        raise UserError(f"{path}: expected arrays `source` and `target`, or `source/NAME`; found {listed}.")
    given = [name for name in names if f"target/{name}" in found]
    if given and len(given) < len(names):
        missing = next(name for name in names if f"target/{name}" not in found)
        raise UserError(f"{path}: source/{printable(missing)} has no target/{printable(missing)} beside it.")
    alone = next((name for name in found if name.startswith("target/") and name[7:] not in names), None)
    if alone is not None:
        raise UserError(f"{path}: {printable(alone)} has no source/{printable(alone[7:])} beside it.")
    return (
        names,
        tuple(_matrix(path, f"source/{name}", found[f"source/{name}"]) for name in names),
        tuple(_matrix(path, f"target/{name}", found[f"target/{name}"]) for name in given),
    )


def _stacked(path: str, found: Mapping[str, NDArray[Any]], role: str) -> tuple[Matrix, ...]:
    array = found[role]
    if array.ndim != 3:
        raise UserError(f"{path}: `{role}` has {array.ndim} axes; expected 3: pairs, steps, numbers.")
    lengths = found.get(f"{role}_length", np.full(len(array), array.shape[1]))
    fits = lengths.shape == (len(array),) and lengths.dtype.kind in "iu"
    if not fits or (len(array) and (lengths.min() < 1 or lengths.max() > array.shape[1])):
        raise UserError(
            f"{path}: `{role}_length` must be {len(array):,} whole numbers from 1 to {array.shape[1]:,}, one a pair."
        )
    return tuple(_matrix(path, f"{role}[{row}]", array[row, :length]) for row, length in enumerate(lengths.tolist()))


def _matrix(path: str, name: str, array: NDArray[Any]) -> Matrix:
    shown = printable(name)
    if array.ndim != 2 or not array.size:
        raise UserError(
            f"{path}: `{shown}` has the shape {array.shape}; expected steps and numbers, at least one each."
        )
    if array.dtype.kind not in "fiub":
        raise UserError(f"{path}: `{shown}` holds {array.dtype}; expected numbers.")
    with np.errstate(over="ignore"):
        matrix = array.astype(np.float32)
    if not np.isfinite(matrix).all():
        step = int(np.flatnonzero(~np.isfinite(matrix).all(1))[0])
        raise UserError(
            f"{path}: `{shown}` is not finite, or beyond single precision (3e38), at step {step + 1}; mend it or leave "
            "the pair out."
        )
    return matrix
