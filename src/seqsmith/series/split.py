"""Splitting series by time: the first part trains, the next chooses, the last one tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from seqsmith.errors import UserError

Part = Literal["train", "dev", "test", "all"]


@dataclass(frozen=True)
class Split:
    """The ends of the parts of one series; what comes after `test` is in no part."""

    train: int
    dev: int
    test: int
    length: int

    def part(self, name: Part) -> tuple[int, int]:
        """The (begin, end) of a part."""
        begins = {"train": 0, "dev": self.train, "test": self.dev, "all": 0}
        ends = {"train": self.train, "dev": self.dev, "test": self.test, "all": self.length}
        return begins[name], ends[name]


def split(length: int, *, rows: Sequence[int] | None, dev_share: float, test_share: float) -> Split:
    """The parts of a series of `length` steps, by numbers of rows for train, dev and test, or by shares.

    Raises UserError where the series is shorter than the rows asked for.
    """
    if rows is not None:
        train, dev, test = rows
        if train + dev > length:
            raise UserError(
                f"series.split_rows: found {train:,} rows for train and {dev:,} for dev, but a series has only "
                f"{length:,}: give smaller numbers, or series.dev_share and series.test_share instead."
            )
        return Split(train, train + dev, min(length, train + dev + test), length)
    test_rows, dev_rows = round(length * test_share), round(length * dev_share)
    return Split(length - test_rows - dev_rows, length - test_rows, length, length)


def short_tests(splits: Sequence[Split], rows: Sequence[int] | None) -> str | None:
    """What to say where series end before the rows that are asked for test; None where none does."""
    short = [one.test - one.dev for one in splits if rows is not None and one.test - one.dev < rows[2]]
    if rows is None or not short:
        return None
    return (
        f"series.split_rows asks for {rows[2]:,} rows for test; {len(short):,} of {len(splits):,} series end before, "
        f"the first after {short[0]:,}."
    )
