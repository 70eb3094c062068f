"""What is counted while text passes by: lengths, words and alphabet, exactly and in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.integer[Any]]
WHITE = (*range(9, 14), *range(28, 33), 133, 160, 5760, *range(8192, 8203), 8232, 8233, 8239, 8287, 12288)
"""The code points that `str.split` takes for white space."""


class Histogram:
    """How often each whole number was seen."""

    def __init__(self) -> None:
        self.count = np.zeros(1, np.int64)  # indexed by the number

    def add(self, numbers: Numbers) -> None:
        count = np.bincount(numbers, minlength=len(self.count))
        count[: len(self.count)] += self.count
        self.count = count

    @property
    def total(self) -> int:
        return int(self.count.sum())

    @property
    def mean(self) -> float:
        return float(self.count @ np.arange(len(self.count))) / max(1, self.total)

    @property
    def typical(self) -> float:
        """The mean without the largest hundredth, so that a few endless texts do not speak for all."""
        kept = self.count[: self.quantile(0.99) + 1]
        return float(kept @ np.arange(len(kept))) / max(1, int(kept.sum()))

    def quantile(self, share: float) -> int:
        """The smallest number that at least this share of all numbers does not exceed."""
        return int(np.searchsorted(np.cumsum(self.count), share * self.total))

    def to_json(self) -> dict[str, list[int]]:
        seen = np.flatnonzero(self.count)
        return {"number": seen.tolist(), "count": self.count[seen].tolist()}

    @classmethod
    def from_json(cls, json: dict[str, list[int]]) -> Self:
        histogram = cls()
        histogram.count = np.zeros(max(json["number"], default=0) + 1, np.int64)
        histogram.count[json["number"]] = json["count"]
        return histogram


@dataclass(eq=False)
class TextStatistics:
    """Of one column of texts."""

    characters: Histogram = field(default_factory=Histogram)  # a text's length in characters
    words: Histogram = field(default_factory=Histogram)  # and in words between white space
    code_points: Histogram = field(default_factory=Histogram)

    def add(self, texts: Sequence[str]) -> None:
        lengths = np.array([len(text) for text in texts], np.int64)
        codes = np.frombuffer("".join(texts).encode("utf-32-le"), "<u4")
        self.characters.add(lengths)
        self.words.add(_num_words(codes, lengths))
        self.code_points.add(codes)

    @property
    def rows(self) -> int:
        return self.words.total

    @property
    def spaced(self) -> float:
        """The share of texts that are several words."""
        return float(self.words.count[2:].sum()) / max(1, self.rows)

    @property
    def alphabet(self) -> Counter[str]:
        seen = np.flatnonzero(self.code_points.count)
        return Counter({chr(code): int(self.code_points.count[code]) for code in seen})

    def to_json(self) -> dict[str, dict[str, list[int]]]:
        return {name: histogram.to_json() for name, histogram in vars(self).items()}

    @classmethod
    def from_json(cls, json: dict[str, dict[str, list[int]]]) -> Self:
        return cls(**{name: Histogram.from_json(histogram) for name, histogram in json.items()})


def _num_words(codes: Numbers, lengths: Numbers) -> Numbers:
    """How many words `str.split` finds in each of the joined texts; to split them one by one takes far longer."""
    ends = np.cumsum(lengths)
    white = np.isin(codes, WHITE)
    after_white = np.roll(white, 1)
    starts = ends - lengths
    after_white[starts[starts < len(codes)]] = True
    begun = np.concatenate([np.zeros(1, np.int64), np.cumsum(after_white & ~white)])
    words: Numbers = begun[ends] - begun[starts]
    return words
