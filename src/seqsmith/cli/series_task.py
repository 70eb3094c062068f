"""Series whose future is to be forecast: the task of a table of measurements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from seqsmith import config, runtime
from seqsmith.batch import SeriesBatch
from seqsmith.cli.card import describe, series_card
from seqsmith.cli.display import Display
from seqsmith.cli.finish import best_weights
from seqsmith.cli.forecasts import coverage_remark, score_rows, score_windows
from seqsmith.cli.program import Say, command
from seqsmith.cli.series_data import PreparedSeries, prepare_series
from seqsmith.engine.values import new_engine
from seqsmith.evaluate.forecast import render_forecasts
from seqsmith.featurise_series import Examples, TrainingWindows
from seqsmith.forecaster import LEVELS, Baselines, Forecaster, new_forecast
from seqsmith.model.forecast import Forecast
from seqsmith.objective.rollout import rolled_out
from seqsmith.objective.token import Loss
from seqsmith.objective.value import teacher_forced_values
from seqsmith.series.windows import Windows
from seqsmith.train.loop import Trainer, Validation

_MOST_WINDOWS = 400  # of the dev part that are forecast at each validation, and that the intervals come from


@dataclass(frozen=True)
class SeriesTask:
    """A `Task`: windows of scaled series, and a model that is scored by its forecasts of the dev windows."""

    prepared: PreparedSeries
    examples: Examples
    forecaster: Forecaster

    @property
    def settings(self) -> config.Settings:
        return self.prepared.settings

    @property
    def series(self) -> config.Series:
        assert self.settings.series is not None
        return self.settings.series

    @property
    def model(self) -> Forecast:
        return self.forecaster.engine.model

    @property
    def device(self) -> torch.device:
        return self.forecaster.engine.device

    @property
    def data_digest(self) -> str:
        return self.prepared.digest

    def with_settings(self, settings: config.Settings) -> Self:
        forecaster = replace(self.forecaster, settings=settings)
        return replace(self, prepared=replace(self.prepared, settings=settings), forecaster=forecaster)

    def loss(self, batch: SeriesBatch, own_share: float) -> Loss:
        kind = self.series.loss
        assert kind is not None
        if self.series.rollouts:
            return rolled_out(self.model.step, self.model.start(batch.source), batch.target, kind)
        return teacher_forced_values(self.model, batch, kind, own_share=own_share)

    def batches(self, epoch: int) -> TrainingWindows:
        assert self.series.batch_windows is not None
        return TrainingWindows(self.examples, self.series.batch_windows, self.settings.seed, epoch)

    def validate(self) -> Validation:
        """Forecasts of some dev windows from all over the part."""
        name = score_name(self.series)
        chosen = some_windows(self.prepared.dev_windows, seed=self.settings.seed)
        scores = score_windows(self.forecaster, self.prepared.dev, chosen).scores()
        report = {"name": name, "value": scores[name], "digits": 4, "unit": "numbers", "dev": scores}
        return Validation((-scores[name], -scores["mae"]), report)

    def finish(self, trainer: Trainer, run: Path, display: Display) -> None:
        """Take the best weights, learn the intervals, score beside the naive forecasts, save, say how to go on."""
        chosen = best_weights(trainer, display.say)
        display.say(chosen)
        forecaster = replace(self.forecaster, baselines=self._with_intervals())
        rows = score_rows(forecaster, self.prepared.dev, self.prepared.dev_windows)
        display.say(f"Forecasts of {len(self.prepared.dev_windows):,} dev windows:\n{render_forecasts(rows)}")
        remark = coverage_remark(forecaster, "dev")
        if remark is not None:
            display.say(remark)
        folder = run / "model"
        minutes = trainer.progress.seconds / 60
        card = series_card(
            forecaster.settings,
            forecaster.featuriser,
            parameters=runtime.parameter_count(self.model),
            windows=len(self.prepared.train_windows),
            rows=rows,
            minutes=minutes,
            name=str(folder),
        )
        forecaster.save(folder, card=card)
        scores = {name: {"value": value} for name, value in rows[0][1].items()}
        trainer.tell({"event": "model", "weights": chosen, "scores": scores, "minutes": minutes})
        history, steps = self.settings.data.train[0].path, forecaster.featuriser.horizon
        known = ", ".join(forecaster.featuriser.covariates)
        display.say(
            f"\nThe model is in {folder}. Use it:\n"
            f"  {command('predict', folder, 'TABLE' if known else history, '--horizon', str(steps))}\n"
            + (f"    (TABLE ends with {steps:,} rows that have {known} and no numbers yet)\n" if known else "")
            + f"  {command('evaluate', folder, 'TEST_FILE')}"
        )

    def _with_intervals(self) -> Baselines:
        """The baselines with the quantiles of the errors on dev, where the model itself says no distribution."""
        assert self.series.loss is not None
        if self.series.loss.outputs > 1:
            return self.prepared.baselines
        chosen = some_windows(self.prepared.dev_windows, seed=self.settings.seed)
        mean, _ = self.forecaster.forecast(self.prepared.dev, chosen)
        error_ETC = self.prepared.dev.truths(chosen) - mean
        error_ETC[:, :, np.isnan(error_ETC).all((0, 1))] = 0.0
        error_QTC = np.nanquantile(np.where(np.isnan(error_ETC).all(0), 0.0, error_ETC), LEVELS, axis=0)
        below = np.array(LEVELS)[:, None, None] < 0.5
        error_QTC = np.where(below, np.minimum(error_QTC, 0.0), np.maximum(error_QTC, 0.0))  # the forecast lies within
        error_TCQ = np.ascontiguousarray(np.moveaxis(error_QTC, 0, 2), np.float32)
        return replace(self.prepared.baselines, error_TCQ=error_TCQ)


def open_series_task(table: Mapping[str, Any], device: torch.device, *, resume: bool, say: Say) -> SeriesTask:
    """The table, settings and a new model."""
    prepared = prepare_series(table, resume=resume, say=say)
    settings = prepared.settings
    runtime.seed_everything(settings.seed)
    model = new_forecast(settings, prepared.featuriser)
    say(f"Model: {describe(settings.model)}, {runtime.parameter_count(model):,} parameters.")
    engine = new_engine(settings, model, device)
    forecaster = Forecaster(settings, prepared.featuriser, engine, prepared.baselines)
    examples = prepared.examples
    every = len(prepared.train_windows) * (prepared.featuriser.targets if prepared.featuriser.independent else 1)
    say(f"{len(examples):,} training examples; {every - len(examples):,} have nothing to see or to learn from.")
    return SeriesTask(prepared, examples, forecaster)


def score_name(series: config.Series) -> str:
    """The score that chooses the checkpoint: what the loss is about."""
    match series.loss:
        case config.SquaredError() | config.HuberError():
            return "mse"
        case config.AbsoluteError():
            return "mae"
    return "crps"


def some_windows(windows: Windows, *, seed: int, most: int = _MOST_WINDOWS) -> Windows:
    """At most so many windows from all over, at random places so that no hour is left out."""
    if len(windows) <= most:
        return windows
    chosen = np.zeros(len(windows), bool)
    chosen[np.random.default_rng(seed).permutation(len(windows))[:most]] = True
    return windows.only(chosen)
