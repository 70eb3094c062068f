"""THE way to use a model of series: a table of the past in, rows of the future out, with intervals.

Where the model says no distribution, intervals come from its errors on the dev windows at the same step of the horizon
(split conformal prediction, Vovk et al. 2005); the checkpoint was chosen there too, so they are a little narrow. A
horizon longer than the model's is forecast piece by piece, each fed what was forecast before.

Axes: E windows, Q levels.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from seqsmith import config, runtime
from seqsmith.bundle import write_model
from seqsmith.engine.values import ValueEngine, new_engine, read_folder
from seqsmith.engine.windows import batched, by_window, pieces
from seqsmith.errors import UserError
from seqsmith.evaluate.forecast import Yardstick, at_level
from seqsmith.evaluate.naive import Linear
from seqsmith.featurise_series import Encoded, Numbers, SeriesFeaturiser
from seqsmith.model.build import build_forecast
from seqsmith.model.forecast import Forecast
from seqsmith.model_folder import SERIES, WEIGHTS
from seqsmith.search.rollout import seeded
from seqsmith.series.table import Group, Table, check_same_columns, read_table
from seqsmith.series.windows import Windows, windows
from seqsmith.tensors import load_tensors, read_tensors, save_tensors

LEVELS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
MOST_STEPS = 1_000_000  # of a forecast, and paths


@dataclass(frozen=True)
class SeriesForecast:
    """The future of one series, in the units of its table."""

    group: str
    times: tuple[str, ...]  # time stamps, or numbers of steps after the last where the table has none
    columns: tuple[str, ...]
    mean_TC: NDArray[np.floating]
    low_TC: NDArray[np.floating]
    high_TC: NDArray[np.floating]
    sample_NTC: NDArray[np.floating] | None = None  # the paths that were asked for


@dataclass(frozen=True)
class WindowScore:
    """How well the true numbers of a window were said, the higher the better."""

    group: str
    time: str  # of the first step that is forecast, or the number of its row where the table has no times
    score: float  # the mean over the true numbers; NaN where there is none


@dataclass(frozen=True)
class Baselines:
    """What is kept of the training data to measure by."""

    linear: Linear
    naive_error_GC: NDArray[np.float64]  # of each series in training in its standard units, and last of all of them
    error_TCQ: Numbers | None = None  # quantiles of the model's errors on dev, at LEVELS


@dataclass(frozen=True)
class Forecaster:
    """A model of series, ready for use."""

    settings: config.Settings
    featuriser: SeriesFeaturiser
    engine: ValueEngine
    baselines: Baselines

    @classmethod
    def open(cls, *folders: str | os.PathLike[str], device: str = "auto") -> Self:
        """Open a model folder, or several of models that were trained on the same data as an ensemble.

        Raises UserError when one is missing, damaged, newer than this, no model of series, or of other data.
        """
        if not folders:
            raise UserError("no model folder given.")
        place = runtime.choose_device(device)  # type: ignore[arg-type]
        first, *others = (cls._of(Path(folder), place) for folder in folders)
        for folder, other in zip(folders[1:], others, strict=True):
            if other.featuriser.as_dict() != first.featuriser.as_dict() or other.engine.kind != first.engine.kind:
                raise UserError(
                    f"{folder}: its columns, scaling, horizon or loss differ from those of {folders[0]}, so their "
                    "forecasts cannot be averaged. Train the models of an ensemble on the same data and settings, with "
                    "other seeds."
                )
        models = (first, *others)
        errors = [one.baselines.error_TCQ for one in models if one.baselines.error_TCQ is not None]
        return replace(
            first,
            engine=replace(first.engine, models=tuple(one.engine.model for one in models)),
            baselines=replace(first.baselines, error_TCQ=np.mean(errors, axis=0) if errors else None),
        )

    @classmethod
    def _of(cls, path: Path, device: torch.device) -> Self:
        """One model folder."""
        settings, table, weights = read_folder(path, SERIES, kind="series")
        kept = read_tensors(path / "baselines.safetensors")
        featuriser = SeriesFeaturiser.from_dict(table)
        model = new_forecast(settings, featuriser)
        load_tensors(model, weights, where=str(path / WEIGHTS))
        errors = kept["error_TCQ"].numpy() if "error_TCQ" in kept else None
        baselines = Baselines(Linear(kept["linear_ST"].numpy()), kept["naive_error_GC"].numpy(), errors)
        return cls(settings, featuriser, new_engine(settings, model.eval(), device), baselines)

    def save(self, folder: Path, *, card: str) -> None:
        """Write the model folder, whole or not at all; `card` is its README.md."""
        kept = {
            "linear_ST": torch.from_numpy(self.baselines.linear.weight_ST),
            "naive_error_GC": torch.from_numpy(self.baselines.naive_error_GC),
        }
        if self.baselines.error_TCQ is not None:
            kept["error_TCQ"] = torch.from_numpy(self.baselines.error_TCQ)

        def fill(place: Path) -> None:
            table = json.dumps(self.featuriser.as_dict(), indent=1, ensure_ascii=False)
            (place / SERIES).write_text(table + "\n", encoding="utf-8")
            save_tensors(kept, place / "baselines.safetensors")

        write_model(folder, self.settings, self.engine.model, card=card, fill=fill)

    # ------------------------------------------------------------------------------------------- the future

    def predict(
        self, history: str | os.PathLike[str] | Table, *, horizon: int | None = None, samples: int | None = None
    ) -> list[SeriesForecast]:
        """The next `horizon` steps of each series of a table that has the model's columns.

        A model with covariates reads those of the future from rows that follow the last numbers. A series without any
        number is left out where others have some. Of a model that says a distribution, `samples` paths are drawn, the
        same each time. Raises UserError.
        """
        table = self._table(history, "predict")
        horizon = self.featuriser.horizon if horizon is None else horizon
        _check_number("horizon", horizon, "steps")
        if samples is not None:
            self._check_samples(samples)
        known = [group for group in table.groups if not np.isnan(group.value_LC).all()]
        groups = [self._ready(table, group, horizon) for group in known or table.groups]
        encoded = self.featuriser.encode([group for group, _ in groups])
        encoded = replace(
            encoded,
            x=tuple(x[: len(group) - extra] for x, (group, extra) in zip(encoded.x, groups, strict=True)),
        )
        mean, value = self._rolled(encoded, horizon)
        ends = Windows(np.arange(len(groups)), np.array([len(x) for x in encoded.x]))
        scaling = encoded.scaling(ends)
        low, high = (scaling.inverse(at_level(value, LEVELS, level)) for level in self.interval)
        mean = scaling.inverse(mean)
        paths = [None] * len(groups) if samples is None else self._paths(encoded, horizon, samples)
        columns = self.featuriser.columns[: self.featuriser.targets]
        return [
            SeriesForecast(
                group.name, tuple(_times(table, group, extra, horizon)), columns, mean[row], low[row], high[row], path
            )
            for row, ((group, extra), path) in enumerate(zip(groups, paths, strict=True))
        ]

    def read(self, path: str) -> Table:
        """A table by the settings that the model was trained with. Raises UserError where columns are missing."""
        f, series = self.featuriser, self.settings.series
        assert series is not None
        settings = series.model_copy(update={"targets": f.columns[: f.targets], "covariates": f.covariates})
        table = read_table(path, settings, self.settings.data, as_history=True, known=f.clock)
        check_same_columns(table, columns=f.columns, covariates=f.covariates)
        if f.clock is not None and table.clock is None and table.layout.time is not None:
            raise UserError(f"{path}: too few rows of a series to tell the step of its time. Give at least two.")
        if (f.clock is None) != (table.clock is None):
            known, found = ("no times", "times") if f.clock is None else (f"steps of {f.clock}", "no column of times")
            raise UserError(f"{path}: found {found}, but the table that the model was trained on has {known}.")
        if f.clock is not None and table.clock is not None and not table.clock.same_step(f.clock):
            raise UserError(f"{path}: its rows follow each other by {table.clock}, those the model knows by {f.clock}.")
        order = [table.columns.index(name) for name in f.columns]
        groups = tuple(replace(group, value_LC=group.value_LC[:, order]) for group in table.groups)
        return replace(table, groups=groups, columns=f.columns)

    def _ready(self, table: Table, group: Group, horizon: int) -> tuple[Group, int]:
        """The group with future rows of covariates, and how many rows these are."""
        f = self.featuriser
        seen = np.flatnonzero(~np.isnan(group.value_LC).all(1))
        if not len(seen):
            raise UserError(f"{table.path}: the series {group.name or 'of the table'} has no number to go on from.")
        extra = len(group) - 1 - int(seen[-1]) if f.covariates else 0
        if f.covariates and extra < horizon:
            raise UserError(
                f"{table.path}: the model needs {', '.join(f.covariates)} for all {horizon:,} steps to come, found "
                f"{extra:,} rows after the last numbers. Add rows that have the covariates and no numbers."
            )
        if f.covariates:
            ahead_TE = group.known_LE[len(group) - extra :][:horizon]
            unknown = np.argwhere(np.isnan(ahead_TE))
            if len(unknown):
                step, column = unknown[0].tolist()
                raise UserError(
                    f"{table.path}: {f.covariates[column]} is missing in row {step + 1:,} after the last numbers"
                    f"{f' of the series {group.name}' if group.name else ''}. What is known beforehand must be there."
                )
        missing = -(-horizon // f.horizon) * f.horizon + f.patch - extra
        if missing <= 0:
            return group, extra
        last, clock = int(group.time_L[-1]), table.clock or f.clock  # of one step, and the table's where it was written
        try:
            if clock is None:
                times = last + np.arange(1, missing + 1)
            else:
                times = clock.after(last, missing, like=group.time_L)
                clock.written(int(times[-1]))
        except (ValueError, OverflowError):
            raise UserError(f"horizon: {horizon:,} steps of {clock} go beyond the year 9999. Ask for fewer.") from None
        blank = np.full((missing, group.value_LC.shape[1]), np.nan)
        known = np.full((missing, group.known_LE.shape[1]), np.nan)
        longer = Group(
            group.name,
            np.concatenate([group.time_L, times]),
            np.concatenate([group.value_LC, blank]),
            np.concatenate([group.known_LE, known]),
        )
        return longer, extra + missing

    def _rolled(self, encoded: Encoded, horizon: int) -> tuple[Numbers, Numbers]:
        """Piece by piece -> mean_ETC and value_ETCQ of a longer horizon."""
        said = zip(*pieces(encoded, horizon, self.forecast), strict=True)
        mean, value = (np.concatenate(part, axis=1)[:, :horizon] for part in said)
        distance = value - mean[..., None]
        later, half = slice(self.featuriser.horizon - 1, None), LEVELS.index(0.5)
        for side, widest in ((slice(half), np.minimum), (slice(half + 1, None), np.maximum)):
            distance[:, later, :, side] = widest.accumulate(distance[:, later, :, side], axis=1)
        return mean, mean[..., None] + distance

    def _check_samples(self, samples: int) -> None:
        _check_number("samples", samples, "paths")
        if self.engine.kind.outputs == 1:
            raise UserError(
                f"samples: this model says no distribution to draw from (series.loss = {self.engine.kind.kind}). Train "
                "one with gaussian, student_t or quantiles."
            )
        if len(self.engine.models) > 1:
            raise UserError("samples: several models together say quantiles alone. Draw from each of them.")

    def _paths(self, encoded: Encoded, horizon: int, samples: int) -> list[Numbers]:
        """Draws from what is said of each series, each path fed its own, in the units of the table -> sample_NTC."""
        row = np.repeat(np.arange(len(encoded.x)), samples)
        several = replace(
            encoded,
            x=tuple(encoded.x[series] for series in row),
            known=tuple(encoded.known[series] for series in row),
            scalings=tuple(encoded.scalings[series] for series in row),
            group_S=encoded.group_S[row],
        )

        def drawn(recent: Encoded, ends: Windows) -> tuple[Numbers]:
            parts = [by_window(self.engine.draw(batch), self.featuriser) for _, batch in batched(recent, ends)]
            return (np.concatenate(parts),)

        with seeded(self.engine.seed, self.engine.device):
            path_ETC = np.concatenate([part for (part,) in pieces(several, horizon, drawn)], axis=1)[:, :horizon]
        path_ETC = encoded.scaling(Windows(row, row)).inverse(path_ETC)
        return np.split(path_ETC, len(encoded.x))

    def score(self, table: str | os.PathLike[str] | Table) -> list[WindowScore]:
        """How likely the true future of each window of a table is: the log of the density of a number, in nats and in
        the units of the table, by an autoregressive model given those before it. Of a model that says no density
        (`engine.says_density`), minus the loss of its forecast in the units it was trained in. Raises UserError.
        """
        f, table = self.featuriser, self._table(table, "score")
        encoded, all_of = f.encode(table.groups), [(0, len(group)) for group in table.groups]
        every = windows(all_of, context=f.context, horizon=f.horizon, shortest_context=min(f.context, f.season))
        if not len(every):
            raise UserError(
                f"{table.path}: no window fits into it: a series needs {min(f.context, f.season):,} steps to look at, "
                f"and {f.horizon:,} to score."
            )
        found = []
        for block, batch in batched(encoded, every):
            score_ETC, seen_ETC = by_window(self.engine.score(batch), f), ~np.isnan(encoded.truths(block))
            if self.engine.says_density:
                score_ETC = score_ETC - np.where(seen_ETC, np.log(encoded.scaling(block).spread_EC)[:, None], 0.0)
            count_E = seen_ETC.sum((1, 2))
            mean_E = np.where(count_E > 0, score_ETC.sum((1, 2)) / np.maximum(count_E, 1), np.nan)
            for row, (series, start) in enumerate(zip(block.series_E, block.start_E, strict=True)):
                group = table.groups[series]
                time = str(start + 1) if table.clock is None else table.clock.written(int(group.time_L[start]))
                found.append(WindowScore(group.name, time, float(mean_E[row])))
        return found

    def _table(self, table: str | os.PathLike[str] | Table, verb: str) -> Table:
        if not isinstance(table, (str, os.PathLike, Table)):
            raise UserError(f"{verb} takes the path of a table, found {type(table).__name__}.")
        return table if isinstance(table, Table) else self.read(os.fspath(table))

    @property
    def interval(self) -> tuple[float, float]:
        """The levels of its lower and upper end."""
        assert self.settings.series is not None
        tail = (1 - self.settings.series.interval) / 2
        return tail, 1 - tail

    # ------------------------------------------------------------------------------------------- windows

    def yardstick(self, encoded: Encoded, windows: Windows) -> Yardstick:
        """What scores of these windows are measured by."""
        scaling = encoded.scaling(windows)
        naive_error_EC = self.baselines.naive_error_GC[encoded.group_S[windows.series_E]]
        return Yardstick(scaling, naive_error_EC * scaling.spread_EC)

    def forecast(self, encoded: Encoded, windows: Windows) -> tuple[Numbers, Numbers]:
        """What comes after each window's context, in standard units -> mean_ETC, value_ETCQ at LEVELS."""
        every = list(self.blocks(encoded, windows))
        return np.concatenate([mean for _, mean, _ in every]), np.concatenate([value for _, _, value in every])

    def blocks(self, encoded: Encoded, windows: Windows) -> Iterator[tuple[Windows, Numbers, Numbers]]:
        """The windows in blocks that fit into memory, each with its forecast."""
        for block, batch in batched(encoded, windows):
            mean_BLC, value_BLCQ = self.engine.forecast(batch, LEVELS)
            mean = by_window(mean_BLC, self.featuriser)
            if value_BLCQ is not None:
                yield block, mean, by_window(value_BLCQ, self.featuriser)
                continue
            error = self.baselines.error_TCQ
            value = mean[..., None] + (0.0 if error is None else error)
            yield block, mean, np.broadcast_to(value, (*mean.shape, len(LEVELS)))


def _check_number(name: str, value: int, unit: str) -> None:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise UserError(f"{name}: found {value!r}, expected a whole number of {unit}.")
    if not 1 <= value <= MOST_STEPS:
        raise UserError(f"{name}: found {value:,} {unit}, expected 1 to {MOST_STEPS:,}.")


def _times(table: Table, group: Group, extra: int, horizon: int) -> Iterator[str]:
    """The time stamps to come, as ISO 8601; without any in the table the numbers of the steps."""
    for number, time in enumerate(group.time_L[len(group) - extra :][:horizon], 1):
        yield str(number) if table.clock is None else table.clock.written(int(time))


def new_forecast(settings: config.Settings, featuriser: SeriesFeaturiser) -> Forecast:
    """A model with random weights for this table."""
    assert settings.series is not None
    return build_forecast(
        settings.model,
        settings.series,
        channels=featuriser.channels,
        targets=featuriser.target_channels,
        known=featuriser.known,
    )


def as_rows(forecasts: list[SeriesForecast]) -> Iterator[dict[str, Any]]:
    """A dict for each step of each series: group, time, then forecast, low and high of each column."""
    for found in forecasts:
        for step, time in enumerate(found.times):
            row: dict[str, Any] = {"group": found.group, "time": time}
            for column, name in enumerate(found.columns):
                row[name] = found.mean_TC[step, column]
                row[f"{name} low"], row[f"{name} high"] = found.low_TC[step, column], found.high_TC[step, column]
            yield row
