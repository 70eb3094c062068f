"""What a run trains on: the part of it that differs between kinds of data."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, Self

import torch
from torch import nn

from seqsmith import config
from seqsmith.cli.display import Display
from seqsmith.objective.token import Loss
from seqsmith.train.loop import Batches, Trainer, Validation


class Task(Protocol):
    """Data and a model that learns from it."""

    @property
    def settings(self) -> config.Settings: ...  # nothing is open any more, but perhaps the precision and the kernels
    @property
    def model(self) -> nn.Module: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def data_digest(self) -> str: ...
    def with_settings(self, settings: config.Settings) -> Self: ...

    def loss(self, batch: Any, own_share: float) -> Loss:
        """Of a batch, with a share of the model's own answers fed back to it (scheduled sampling)."""

    def batches(self, epoch: int) -> Batches:
        """The batches of an epoch: a pure function of the data, the settings and the epoch."""

    def validate(self) -> Validation:
        """Score the model as it is on dev."""

    def finish(self, trainer: Trainer, run: Path, display: Display) -> None:
        """Make the model folder of the best weights there are, and say how to use it."""
