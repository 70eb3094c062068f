"""THE way to use a model of vector sequences: matrices in, matrices out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from seqsmith import config, runtime
from seqsmith.bundle import write_model
from seqsmith.data.plan import sequential_plan
from seqsmith.engine.values import ValueEngine, new_engine, read_folder
from seqsmith.errors import UserError
from seqsmith.featurise_vectors import VectorFeaturiser
from seqsmith.model.build import build_forecast
from seqsmith.model.forecast import Forecast
from seqsmith.model_folder import VECTORS, WEIGHTS
from seqsmith.series.vectors import Matrix
from seqsmith.tensors import load_tensors

_STEPS = 16_384  # of a batch, padding included


@dataclass(frozen=True)
class Mapper:
    """A model of vector sequences, ready for use."""

    settings: config.Settings
    featuriser: VectorFeaturiser
    engine: ValueEngine

    @classmethod
    def open(cls, folder: str | os.PathLike[str], *, device: str = "auto") -> Self:
        """Open a model folder. Raises UserError when it is missing, damaged, newer than this, or of another kind."""
        path = Path(folder)
        settings, table, weights = read_folder(path, VECTORS, kind="vector sequences")
        featuriser = VectorFeaturiser.from_dict(table)
        model = new_mapping(settings, featuriser)
        load_tensors(model, weights, where=str(path / WEIGHTS))
        place = runtime.choose_device(device)  # type: ignore[arg-type]
        return cls(settings, featuriser, new_engine(settings, model.eval(), place))

    def save(self, folder: Path, *, card: str) -> None:
        """Write the model folder, whole or not at all; `card` is its README.md."""

        def fill(place: Path) -> None:
            (place / VECTORS).write_text(json.dumps(self.featuriser.as_dict(), indent=1) + "\n", encoding="utf-8")

        write_model(folder, self.settings, self.engine.model, card=card, fill=fill)

    def predict(self, sources: Sequence[Matrix], *, steps: Sequence[int] | None = None) -> list[Matrix]:
        """The answer to each source [steps, numbers], in the units of the targets.

        An answer has as many steps as `steps` says, else as many as the training pairs have for a source so long.
        Raises UserError where the sources are not as wide as those of the training, or not finite.
        """
        sources = self._checked(sources, "source")
        if steps is not None and (len(steps) != len(sources) or any(n != int(n) or n < 1 for n in steps)):
            raise UserError(f"steps: expected a whole number above 0 for each of the {len(sources):,} sources.")
        wanted = list(map(int, steps)) if steps is not None else [self.featuriser.steps(source) for source in sources]
        answers: list[Matrix] = [np.zeros((0, 0), np.float32)] * len(sources)
        for rows in _batches(sources, wanted):
            blank = [np.zeros((wanted[row], self.featuriser.widths[1]), np.float32) for row in rows]
            mean, _ = self.engine.forecast(self.featuriser.batch([sources[row] for row in rows], blank, rows), (0.5,))
            for row, answer in zip(rows.tolist(), mean.float().numpy(), strict=True):
                answers[row] = self.featuriser.target_scaling.inverse(answer[: wanted[row]]).astype(np.float32)
        return answers

    def score(self, sources: Sequence[Matrix], targets: Sequence[Matrix]) -> list[float]:
        """How likely each target is: the mean over its numbers of the log of their density, in nats and in the units of
        the targets, by an autoregressive model given those before it. Of a model that says no density
        (`engine.says_density`), minus the loss of its answer in the units it was trained in. Raises UserError.
        """
        sources, targets = self._checked(sources, "source"), self._checked(targets, "target")
        if len(sources) != len(targets):
            raise UserError(f"score: {len(sources):,} sources, but {len(targets):,} targets: each source needs one.")
        unit = float(np.log(self.featuriser.target_scaling.deviation_C).mean()) if self.engine.says_density else 0.0
        scores = [0.0] * len(sources)
        for rows in _batches(sources, list(map(len, targets))):
            batch = self.featuriser.batch([sources[row] for row in rows], [targets[row] for row in rows], rows)
            for row, score in zip(rows.tolist(), self.engine.score(batch).double().numpy(), strict=True):
                scores[row] = float(score[: len(targets[row])].mean()) - unit
        return scores

    def _checked(self, matrices: Sequence[Matrix], role: Literal["source", "target"]) -> list[Matrix]:
        """The matrices in single precision. Raises UserError for what the model cannot take."""
        width = self.featuriser.widths[("source", "target").index(role)]
        try:
            matrices = [np.asarray(matrix, np.float32) for matrix in matrices]
        except (TypeError, ValueError):
            raise UserError(
                f"{role}s: expected a list of matrices [steps, {width}], found {matrices!r:.60}. Read a file with "
                "numpy.load."
            ) from None
        for number, matrix in enumerate(matrices, 1):
            if matrix.ndim != 2 or matrix.shape[1] != width or not len(matrix):
                raise UserError(
                    f"{role} {number:,}: found the shape {matrix.shape}; the model takes steps of {width} numbers."
                )
            if not np.isfinite(matrix).all():
                raise UserError(f"{role} {number:,}: found NaN or infinite numbers; the model takes finite ones.")
        return matrices


def _batches(sources: Sequence[Matrix], steps: Sequence[int]) -> Iterator[NDArray[np.int64]]:
    """The rows of each batch, of sources and answers of like lengths."""
    lengths = np.array([max(len(source), n) for source, n in zip(sources, steps, strict=True)], np.int64)
    plan = sequential_plan(lengths, _STEPS)
    return (plan[index] for index in range(len(plan)))


def new_mapping(settings: config.Settings, featuriser: VectorFeaturiser) -> Forecast:
    """A model with random weights for vectors as wide as these."""
    assert settings.series is not None
    channels, targets = featuriser.widths
    return build_forecast(settings.model, settings.series, channels=channels, targets=targets, known=0)
