"""Paired sequences of vectors to batches and back: scaled by the training pairs, padded on the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from seqsmith.batch import Future, SeriesBatch, Values
from seqsmith.data.plan import Plan
from seqsmith.series.scaling import Scaling
from seqsmith.series.vectors import Matrix


@dataclass(frozen=True)
class VectorFeaturiser:
    """What was fitted on the training pairs. A target has `ratio` times the steps of its source."""

    source_scaling: Scaling
    target_scaling: Scaling
    ratio: float
    patch: int

    @classmethod
    def fit(cls, source: Sequence[Matrix], target: Sequence[Matrix], *, patch: int) -> Self:
        ratio = float(np.median([len(t) / len(s) for s, t in zip(source, target, strict=True)]))
        return cls(Scaling.fit(source), Scaling.fit(target), ratio, patch)

    @property
    def widths(self) -> tuple[int, int]:
        return len(self.source_scaling.mean_C), len(self.target_scaling.mean_C)

    def steps(self, source: Matrix) -> int:
        """How long the answer to a source is."""
        return max(1, round(len(source) * self.ratio))

    def batch(self, source: Sequence[Matrix], target: Sequence[Matrix], rows: NDArray[np.int64]) -> SeriesBatch:
        """Pairs as a batch."""
        x, valid = self._padded([self.source_scaling.scale(one) for one in source])
        y, real = self._padded([self.target_scaling.scale(one) for one in target])
        nothing = [torch.zeros(len(source), part.shape[1], 0) for part in (x, y)]
        seen = np.repeat(real[..., None], y.shape[2], axis=2)
        values = Values(
            torch.from_numpy(x),
            torch.from_numpy(np.repeat(valid[..., None], x.shape[2], axis=2)),
            nothing[0],
            torch.from_numpy(valid),
        )
        level = torch.zeros(len(source), y.shape[2])
        begin = torch.zeros(len(source), self.patch, y.shape[2])
        future = Future(
            torch.from_numpy(y), torch.from_numpy(seen), nothing[1], begin, level, level + 1, int(seen.sum())
        )
        return SeriesBatch(values, future, torch.from_numpy(rows))

    def _padded(self, sequences: Sequence[NDArray[Any]]) -> tuple[Matrix, NDArray[np.bool_]]:
        lengths = np.array([len(sequence) for sequence in sequences])
        steps = -(-int(lengths.max()) // self.patch) * self.patch
        padded = np.zeros((len(sequences), steps, sequences[0].shape[1]), np.float32)
        for row, sequence in enumerate(sequences):
            padded[row, : len(sequence)] = sequence
        return padded, np.arange(steps) < lengths[:, None]

    def as_dict(self) -> dict[str, Any]:
        scalings = {"source": self.source_scaling.as_dict(), "target": self.target_scaling.as_dict()}
        return {**scalings, "ratio": self.ratio, "patch": self.patch}

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> Self:
        source, target = (Scaling.from_dict(table[side]) for side in ("source", "target"))
        return cls(source, target, table["ratio"], table["patch"])


@dataclass(frozen=True)
class TrainingPairs:
    """The batches of one epoch, made when asked for."""

    featuriser: VectorFeaturiser
    source: Sequence[Matrix]
    target: Sequence[Matrix]
    plan: Plan

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, index: int) -> SeriesBatch:
        rows = self.plan[index]
        source, target = ([side[row] for row in rows.tolist()] for side in (self.source, self.target))
        return self.featuriser.batch(source, target, rows)
