"""A column of variable-length items on disk, memory-mapped: one file of values, one of int64 offsets.

Text is stored as UTF-8 bytes, ids and frames in their own dtype; items may have trailing channels. Opening costs the
same at any size, and an item is a view of the file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate, chain
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


class RaggedWriter:
    """Writes a column, a block of items at a time; complete when its context is left."""

    def __init__(self, folder: Path, name: str, dtype: DTypeLike, channels: tuple[int, ...] = ()) -> None:
        self.dtype = np.dtype(dtype)
        self.channels = channels
        self.end = 0  # steps written so far
        form = {"dtype": self.dtype.str, "channels": channels}
        (folder / f"{name}.json").write_text(json.dumps(form), encoding="utf-8")
        self._value = (folder / f"{name}.value").open("wb")
        self._offset = (folder / f"{name}.offset").open("wb")
        self._offset.write(np.zeros(1, np.int64).tobytes())

    def append(self, items: Sequence[Sequence[int]] | Sequence[Array]) -> None:
        """Write a block of items: arrays [steps, *channels], or sequences of whole numbers."""
        lengths = [len(item) for item in items]
        values: Array
        if items and isinstance(items[0], np.ndarray):
            values = np.concatenate(items)
        else:
            numbers: Any = chain.from_iterable(items)
            values = np.fromiter(numbers, np.int64, sum(lengths)).reshape(-1, *self.channels)
        assert values.shape[1:] == self.channels
        written = values.astype(self.dtype)
        assert self.dtype.kind not in "iu" or np.array_equal(written, values), f"a value does not fit {self.dtype}"
        self._write(written.tobytes(), lengths)

    def append_texts(self, texts: Sequence[str]) -> None:
        """Write a block of texts as UTF-8, into a column of uint8."""
        assert self.dtype == np.uint8
        encoded = [text.encode() for text in texts]
        self._write(b"".join(encoded), [len(item) for item in encoded])

    def _write(self, values: bytes, lengths: list[int]) -> None:
        ends = np.array(list(accumulate(lengths, initial=self.end))[1:], np.int64)
        self._value.write(values)
        self._offset.write(ends.tobytes())
        self.end += sum(lengths)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._value, self._offset:  # closes both, the second even if the first finds the disk full
            pass


class Ragged:
    """A column that is read: a sequence of items, each a view of the mapped file."""

    def __init__(self, path: Path, value: Array, offset: Array) -> None:
        self.path = path  # of the values
        self.value = value
        self.offset = offset

    @classmethod
    def open(cls, folder: Path, name: str) -> Ragged:
        form = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        path = folder / f"{name}.value"
        value = read_column(path, form["dtype"], tuple(form["channels"]))
        return cls(path, value, read_column(folder / f"{name}.offset", np.int64))

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

    def text(self, item: int) -> str:
        return self[item].tobytes().decode()

    def texts(self, rows: NDArray[np.integer[Any]]) -> list[str]:
        """The texts of many rows. Neighbours are read as one piece and not mapped, so that a pass over a large file
        leaves nothing behind in this process's memory."""
        if not len(rows):
            return []
        starts, ends = self.offset[rows], self.offset[rows + 1]
        first, last = int(starts.min()), int(ends.max())
        if last - first > SPAN_BYTES:
            return [self.value[start:end].tobytes().decode() for start, end in zip(starts, ends, strict=True)]
        with self.path.open("rb") as file:
            file.seek(first)
            piece = file.read(last - first)
        bounds = zip((starts - first).tolist(), (ends - first).tolist(), strict=True)
        return [piece[start:end].decode() for start, end in bounds]
