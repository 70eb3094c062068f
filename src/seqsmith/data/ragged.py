"""Variable-length items as one array of values and one of int64 offsets, in memory or memory-mapped.

Text is stored as UTF-8 bytes, ids and frames in their own dtype; items may have trailing channels. Opening costs the
same at any size, and an item is a view of the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import cached_property
from itertools import chain, pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]
SPAN_BYTES = 1 << 26  # texts that lie within so many bytes are read as one piece


def read_column(path: Path, dtype: DTypeLike, channels: tuple[int, ...] = ()) -> Array:
    """Memory-map a file of plain values as an array [values, *channels]."""
    if path.stat().st_size == 0:  # an empty file cannot be mapped
        return np.empty((0, *channels), dtype)
    return np.memmap(path, dtype, mode="r").reshape(-1, *channels)


class Ragged:
    """Items of various lengths, laid end to end in one array; an item is a view of it."""

    def __init__(self, value: Array, offset: NDArray[np.int64], *, file: Path | None = None) -> None:
        self.value = value
        self.offset = offset  # where each item starts, and where the last one ends
        self.file = file  # that the values are mapped from, if they are

    @classmethod
    def open(cls, folder: Path, name: str) -> Ragged:
        """Map what a `RaggedWriter` wrote."""
        form = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        file = folder / f"{name}.value"
        value = read_column(file, form["dtype"], tuple(form["channels"]))
        return cls(value, read_column(folder / f"{name}.offset", np.int64), file=file)

    @classmethod
    def of(cls, items: Sequence[Sequence[int]] | Sequence[Array]) -> Ragged:
        """From arrays [steps, *channels], or sequences of whole numbers."""
        lengths = np.array([len(item) for item in items], np.int64)
        value: Array
        if items and isinstance(items[0], np.ndarray):
            value = np.concatenate(items)
        else:
            numbers: Any = chain.from_iterable(items)
            value = np.fromiter(numbers, np.int64, int(lengths.sum()))
        return Ragged(value, offsets(lengths))

    def __len__(self) -> int:
        return len(self.offset) - 1

    def __getitem__(self, item: int) -> Array:
        if not 0 <= item < len(self):
            raise IndexError(item)
        return self.value[self.offset[item] : self.offset[item + 1]]

    @cached_property
    def lengths(self) -> NDArray[np.int32]:
        """Steps of every item (of text: bytes)."""
        return np.subtract(self.offset[1:], self.offset[:-1], dtype=np.int32, casting="unsafe")

    def lists(self) -> list[list[int]]:
        """The items, where they are whole numbers."""
        value, bounds = self.value.tolist(), self.offset.tolist()
        return [value[start:end] for start, end in pairwise(bounds)]

    def take(self, rows: NDArray[np.integer[Any]]) -> Ragged:
        """These items, in this order."""
        lengths = self.lengths[rows]
        return Ragged(self.value[runs(self.offset[rows], lengths)], offsets(lengths))

    def before(self, other: Ragged) -> Ragged:
        """Each item of `other` with its item here before it."""
        places = np.repeat(other.offset[:-1], self.lengths)
        return Ragged(np.insert(other.value, places, self.value), self.offset + other.offset)

    def ended(self, end: int) -> Ragged:
        """Each item with one number more."""
        return Ragged(np.insert(self.value, self.offset[1:], end), self.offset + np.arange(len(self.offset)))

    def text(self, item: int) -> str:
        return self[item].tobytes().decode()

    def texts(self, rows: NDArray[np.integer[Any]]) -> list[str]:
        """The texts of many rows of a file. They are read and not mapped, so that a pass over a large file leaves
        nothing behind in this process's memory; neighbours as one piece."""
        if not len(rows):
            return []
        assert self.file is not None
        starts, ends = self.offset[rows], self.offset[rows + 1]
        first, last = int(starts.min()), int(ends.max())
        with self.file.open("rb") as file:
            if last - first > SPAN_BYTES:
                bounds = zip(starts.tolist(), ends.tolist(), strict=True)
                return [os.pread(file.fileno(), end - start, start).decode() for start, end in bounds]
            file.seek(first)
            piece = file.read(last - first)
        bounds = zip((starts - first).tolist(), (ends - first).tolist(), strict=True)
        return [piece[start:end].decode() for start, end in bounds]


def offsets(lengths: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Where items of these lengths start when they are laid end to end, and where the last one ends."""
    offset = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offset[1:])
    return offset


def runs(start: NDArray[np.integer[Any]], length: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """The numbers from each start on, so many of each, laid end to end."""
    offset = offsets(length)
    return np.arange(offset[-1]) + np.repeat(start - offset[:-1], length)


class RaggedWriter:
    """Writes a column, some items at a time; complete when its context is left."""

    def __init__(self, folder: Path, name: str, dtype: DTypeLike, channels: tuple[int, ...] = ()) -> None:
        self.dtype = np.dtype(dtype)
        self.channels = channels
        self.end = 0  # steps written so far
        form = {"dtype": self.dtype.str, "channels": channels}
        (folder / f"{name}.json").write_text(json.dumps(form), encoding="utf-8")
        self._value = (folder / f"{name}.value").open("wb")
        self._offset = (folder / f"{name}.offset").open("wb")
        self._offset.write(np.zeros(1, np.int64).tobytes())

    def append(self, items: Ragged) -> None:
        """Write some items."""
        value = items.value
        assert value.shape[1:] == self.channels or not len(value)
        written = value.astype(self.dtype)
        assert self.dtype.kind not in "iu" or np.array_equal(written, value), f"a value does not fit {self.dtype}"
        self._write(written.tobytes(), items.offset)

    def append_texts(self, texts: Sequence[str]) -> None:
        """Write a block of texts as UTF-8, into a column of uint8."""
        assert self.dtype == np.uint8
        encoded = [text.encode() for text in texts]
        self._write(b"".join(encoded), offsets(np.array([len(item) for item in encoded], np.int64)))

    def _write(self, value: bytes, offset: NDArray[np.int64]) -> None:
        self._value.write(value)
        self._offset.write((self.end + offset[1:]).tobytes())
        self.end += int(offset[-1])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._value, self._offset:  # closes both, the second even if the first finds the disk full
            pass
