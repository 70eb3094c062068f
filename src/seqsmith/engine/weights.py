"""The weights of a model by name, as plain arrays: what other engines are built from, without torch.

Names are those of `model.safetensors`; a weight that several parts share is stored once, under its first name.

Axes: I inputs of a linear layer, O its outputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from seqsmith import config
from seqsmith.model_folder import ModelFolder

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Linear:
    """y = x weight' + bias."""

    weight_OI: Array
    bias_O: Array

    @property
    def width(self) -> int:
        return len(self.bias_O)


@dataclass(frozen=True)
class Weights:
    """All weights of one model."""

    arrays: dict[str, Array]
    model: config.Model

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]

    def __contains__(self, name: str) -> bool:
        return name in self.arrays

    def linear(self, name: str) -> Linear:
        """A linear layer; one without a bias gets zeros."""
        weight_OI = self.arrays[f"{name}.weight"]
        bias_O = self.arrays.get(f"{name}.bias")
        return Linear(weight_OI, np.zeros(len(weight_OI), np.float32) if bias_O is None else bias_O)

    def embedding(self, side: str) -> Array:
        """The table of one side, source or target."""
        owner = "source" if self.model.one_table else side
        return self.arrays[f"{owner}_inlet.embedding.weight"]

    def inlet(self, side: str, *, scaled: bool) -> Array:
        """What each id of a side becomes on its way in: its embedding, scaled and projected as the model does."""
        table_VD = self.embedding(side)
        if scaled:
            table_VD = table_VD * np.float32(table_VD.shape[1] ** 0.5)
        if f"{side}_inlet.project.weight" not in self.arrays:
            return table_VD
        project = self.linear(f"{side}_inlet.project")
        return table_VD @ project.weight_OI.T + project.bias_O

    def outlet(self) -> Linear:
        """The layer that gives the logits."""
        weight_VD = self.embedding("target") if self.model.tied_output else self.arrays["outlet.weight"]
        return Linear(weight_VD, self.arrays["outlet.bias"])


def read_weights(folder: ModelFolder) -> Weights:
    """The weights of a model folder."""
    return Weights(load_file(folder.weights), folder.settings.model)
