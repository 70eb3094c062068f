"""Pairs of vector sequences: the task of mapping frames to frames."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from seqsmith import config, runtime
from seqsmith.batch import SeriesBatch
from seqsmith.cli.card import describe, vectors_card
from seqsmith.cli.display import Display
from seqsmith.cli.finish import best_weights
from seqsmith.cli.meaningless import refuse_meaningless_for_vectors, settled
from seqsmith.cli.program import Say, command
from seqsmith.data.plan import plan_epoch
from seqsmith.engine.values import new_engine
from seqsmith.errors import UserError
from seqsmith.evaluate.forecast import Sums, Yardstick, render_forecasts, score_block
from seqsmith.featurise_vectors import TrainingPairs, VectorFeaturiser
from seqsmith.mapper import Mapper, new_mapping
from seqsmith.model.forecast import Forecast
from seqsmith.objective.rollout import rolled_out
from seqsmith.objective.token import Loss
from seqsmith.objective.value import teacher_forced_values
from seqsmith.series.scaling import Levels
from seqsmith.series.vectors import Matrix, Vectors, read_vectors
from seqsmith.train.loop import Trainer, Validation
from seqsmith.train.recipe import lines as recipe_lines
from seqsmith.train.series_recipe import choose_vectors

Rows = list[tuple[str, dict[str, float]]]


@dataclass(frozen=True)
class VectorTask:
    """A `Task`: pairs of matrices, and a model that is scored by its answers to the dev sources."""

    mapper: Mapper
    train: Vectors
    dev: Vectors

    @property
    def settings(self) -> config.Settings:
        return self.mapper.settings

    @property
    def model(self) -> Forecast:
        return self.mapper.engine.model

    @property
    def device(self) -> torch.device:
        return self.mapper.engine.device

    @property
    def data_digest(self) -> str:
        seal = hashlib.sha256()
        for part in (self.train, self.dev):
            for matrix in (*part.source, *part.target):
                seal.update(repr(matrix.shape).encode() + matrix.tobytes())
        return seal.hexdigest()

    def with_settings(self, settings: config.Settings) -> Self:
        return replace(self, mapper=replace(self.mapper, settings=settings))

    def loss(self, batch: SeriesBatch, own_share: float) -> Loss:
        series = self.settings.series
        assert series is not None
        assert series.loss is not None
        if series.rollouts:
            return rolled_out(self.model.step, self.model.start(batch.source), batch.target, series.loss)
        return teacher_forced_values(self.model, batch, series.loss, own_share=own_share)

    def batches(self, epoch: int) -> TrainingPairs:
        settings = self.settings
        assert settings.train.batch_tokens is not None
        lengths = (np.array([len(one) for one in side], np.int32) for side in (self.train.source, self.train.target))
        plan = plan_epoch(*lengths, batch_tokens=settings.train.batch_tokens, seed=settings.seed, epoch=epoch)
        return TrainingPairs(self.mapper.featuriser, self.train.source, self.train.target, plan)

    def validate(self) -> Validation:
        scores = score_vectors(self.mapper, self.dev)[0][1]
        return Validation(
            (-scores["mse"], -scores["mae"]), {"name": "mse", "value": scores["mse"], "digits": 4, "unit": "numbers"}
        )

    def finish(self, trainer: Trainer, run: Path, display: Display) -> None:
        """Take the best weights, score beside the mean of the training targets, save, say how to go on."""
        chosen = best_weights(trainer, display.say)
        rows = score_vectors(self.mapper, self.dev)
        display.say(f"{chosen}\nAnswers to {len(self.dev.source):,} dev sources:\n{render_forecasts(rows)}")
        folder = run / "model"
        minutes = trainer.progress.seconds / 60
        self.mapper.save(
            folder,
            card=vectors_card(
                self.settings, rows=rows, pairs=len(self.train.source), minutes=minutes, name=str(folder)
            ),
        )
        scores = {name: {"value": value} for name, value in rows[0][1].items()}
        trainer.tell({"event": "model", "weights": chosen, "scores": scores, "minutes": minutes})
        display.say(f"\nThe model is in {folder}. Use it:\n  {command('predict', folder, 'X.npz', '--out', 'Y.npz')}")


def open_vector_task(table: Mapping[str, Any], device: torch.device, *, resume: bool, say: Say) -> VectorTask:
    """The pairs, settings and a new model."""
    table = {**table, "series": table.get("series", {})}
    draft = config.draft(table, where="settings")
    refuse_meaningless_for_vectors(draft)
    train, dev = _read(draft)
    for sentence in (*train.remarks(), *(() if dev.path == train.path else dev.remarks())):
        say(sentence)
    steps = sum(map(len, train.target))
    say(
        f"{train.path}: {len(train.source):,} pairs to train on, {len(dev.source):,} dev pairs, {steps:,} target steps."
    )
    settings = draft
    if not resume:
        recipe = choose_vectors(steps, pairs=len(train.source), table=table)
        say("Chosen from the data (whatever is set is left as it is):")
        for line in recipe_lines(recipe):
            say(f"  {line}")
        settings = settled(recipe.resolved())
    assert settings.series is not None
    featuriser = VectorFeaturiser.fit(train.source, train.target, patch=settings.series.patch or 1)
    runtime.seed_everything(settings.seed)
    model = new_mapping(settings, featuriser)
    say(f"Model: {describe(settings.model)}, {runtime.parameter_count(model):,} parameters.")
    return VectorTask(Mapper(settings, featuriser, new_engine(settings, model, device)), train, dev)


def _read(settings: config.Settings) -> tuple[Vectors, Vectors]:
    """The training and the dev pairs; dev is split off where no file is given."""
    files = [corpus.path for corpus in (*settings.data.train, *settings.data.dev)]
    if len(files) > 2 or len(settings.data.train) > 1:
        raise UserError("data.train: vector sequences are read from one .npz file; put all pairs into one.")
    train = read_vectors(files[0])
    if len(files) == 2:
        return train, read_vectors(files[1])
    assert settings.series is not None
    order = np.random.default_rng(settings.seed).permutation(len(train.source))
    most = max(1, round(settings.series.dev_share * len(order)))
    if most >= len(order):
        raise UserError(f"{train.path}: one pair alone cannot be trained on and chosen by. Give more pairs, or --dev.")
    return _cut(train, np.sort(order[most:]).tolist()), _cut(train, np.sort(order[:most]).tolist())


def _cut(vectors: Vectors, rows: list[int]) -> Vectors:
    return replace(
        vectors,
        names=tuple(vectors.names[row] for row in rows),
        source=tuple(vectors.source[row] for row in rows),
        target=tuple(vectors.target[row] for row in rows),
    )


def score_vectors(mapper: Mapper, vectors: Vectors) -> Rows:
    """The model first, then the mean of the training targets."""
    answers = mapper.predict(vectors.source, steps=[len(one) for one in vectors.target])
    scaling = mapper.featuriser.target_scaling
    yardstick = Yardstick(Levels(scaling.mean_C[None], scaling.deviation_C[None]), np.ones((1, len(scaling.mean_C))))

    def scores(said: Sequence[Matrix]) -> dict[str, float]:
        total = Sums()
        for one, truth in zip(said, vectors.target, strict=True):
            total += score_block(scaling.scale(truth)[None], scaling.scale(one)[None], yardstick)
        found = total.scores()
        return {name: found[name] for name in ("mse", "mae", "mse_unscaled", "mae_unscaled")}

    mean = [np.broadcast_to(scaling.mean_C.astype(np.float32), one.shape) for one in vectors.target]
    return [("model", scores(answers)), ("mean", scores(mean))]
