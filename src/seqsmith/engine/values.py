"""Forecasts by torch: one call of a direct model, a roll-out of an autoregressive one, the mean of several; and what a
model of numbers has in its folder."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seqsmith import config
from seqsmith.batch import Future, SeriesBatch, State
from seqsmith.errors import UserError
from seqsmith.model.forecast import Forecast
from seqsmith.model_folder import WEIGHTS, check_model_folder
from seqsmith.objective.value import point, quantiles, sample, value_terms
from seqsmith.search.rollout import draw, mean_rollout, path_quantiles, sample_paths
from seqsmith.tensors import read_tensors


@dataclass(frozen=True)
class ValueEngine:
    """A model of series, ready to forecast, or an ensemble of several of the same data.

    What an ensemble says is the mean of what its models say, for quantiles level by level (Lichtendahl et al. 2013,
    "Is it better to average probabilities or quantiles?").
    """

    models: tuple[Forecast, ...]
    device: torch.device
    kind: config.ValueLoss
    paths: int  # that are drawn from an autoregressive model that says distributions
    seed: int = 1

    @property
    def model(self) -> Forecast:
        """The first, where there are several."""
        return self.models[0]

    @torch.inference_mode()
    def forecast(self, batch: SeriesBatch, levels: tuple[float, ...]) -> tuple[Tensor, Tensor | None]:
        """The forecast, and its quantiles if the models say distributions, in standard units, on the CPU
        -> mean_BLC, and with the levels as a last axis."""
        batch = batch.to(self.device)
        said = [self._said(model, batch, levels) for model in self.models]
        levels_said = [at_levels for _, at_levels in said if at_levels is not None]
        at_levels = torch.stack(levels_said).mean(0) if levels_said else None
        return torch.stack([mean for mean, _ in said]).mean(0), at_levels

    @property
    def says_density(self) -> bool:
        """Whether what is said of a number has a likelihood."""
        return isinstance(self.kind, config.Gaussian | config.StudentT)

    @torch.inference_mode()
    def score(self, batch: SeriesBatch) -> Tensor:
        """The log-likelihood of each true number in nats, of an autoregressive model given those before it; without a
        density minus the loss of the forecast. In standard units, on the CPU, 0 where there is no truth -> score_BLC.

        An ensemble is the mixture of its densities, or else the mean of what its models say.
        """
        batch = batch.to(self.device)
        if self.says_density:
            terms = [value_terms(model(batch), batch.target, self.kind) for model in self.models]
            return (torch.logsumexp(-torch.stack(terms), 0) - math.log(len(terms))).cpu()
        said = torch.stack([self._numbers(model, batch) for model in self.models]).mean(0)
        return -value_terms(said, batch.target, self.kind).cpu()

    @torch.inference_mode()
    def draw(self, batch: SeriesBatch) -> Tensor:
        """A draw for each row from what the first model says, in standard units, on the CPU -> path_BLC: of an
        autoregressive one each step follows those drawn before it, of a direct one each stands alone."""
        batch = batch.to(self.device)
        if self.model.is_direct:
            path_BLC = sample(self.model(batch)[None], self.kind)[0]
        else:
            path_BLC = draw(self.model.step, self.model.start(batch.source), **_future(batch), kind=self.kind)
        return _unscaled(path_BLC, batch.target).cpu()

    def _numbers(self, model: Forecast, batch: SeriesBatch, state: State | None = None) -> Tensor:
        """What is said of the horizon where nothing of it is known, from this state or a new one -> number_BLCQ."""
        if model.is_direct:
            return model(batch)  # type: ignore[no-any-return]
        return mean_rollout(model.step, state or model.start(batch.source), **_future(batch), kind=self.kind)

    def _said(self, model: Forecast, batch: SeriesBatch, levels: tuple[float, ...]) -> tuple[Tensor, Tensor | None]:
        state = None if model.is_direct else model.start(batch.source)
        number_BLCQ, at_levels = self._numbers(model, batch, state), None
        if state is None:
            at_levels = quantiles(number_BLCQ, self.kind, levels)
        elif self.kind.outputs > 1:
            future, seed = _future(batch), self.seed
            paths = sample_paths(model.step, state, **future, kind=self.kind, paths=self.paths, seed=seed)
            at_levels = path_quantiles(paths, levels)
        mean_BLC = _unscaled(point(number_BLCQ, self.kind), batch.target)
        if at_levels is not None:
            at_levels = _unscaled(at_levels.transpose(2, 3), batch.target).transpose(2, 3).cpu()
        return mean_BLC.cpu(), at_levels


def read_folder(path: Path, name: str, *, kind: str) -> tuple[config.Settings, dict[str, Any], dict[str, Tensor]]:
    """The settings, the table in the file `name`, which only models of this kind have, and the weights.

    Raises UserError when the folder is missing, damaged, newer than this, or of another kind.
    """
    check_model_folder(path)
    settings = config.read(path / "config.toml")
    try:
        table = json.loads((path / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: not a model of {kind}: it has no {name}.") from None
    return settings, table, read_tensors(path / WEIGHTS)


def new_engine(settings: config.Settings, model: Forecast, device: torch.device) -> ValueEngine:
    """The engine of a model of numbers, on this device."""
    series = settings.series
    assert series is not None
    assert series.loss is not None
    return ValueEngine((model.to(device),), device, series.loss, series.samples, settings.seed)


def _future(batch: SeriesBatch) -> dict[str, Tensor]:
    """What is known beforehand of the horizon."""
    return {"begin_BMC": batch.target.begin_BMC, "known_BLE": batch.target.known_BLE}


def _unscaled(value: Tensor, target: Future) -> Tensor:
    """From the units of the window to standard ones; columns come last."""
    shape = (len(value), *(1 for _ in range(value.dim() - 2)), -1)
    return value * target.spread_BC.view(shape) + target.shift_BC.view(shape)
