"""The tensors of a module, by name, and the safetensors files that they are kept in."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from seqsmith.errors import UserError


def read_tensors(path: Path) -> dict[str, Tensor]:
    """What `save_tensors` wrote. Raises UserError where the file is not of safetensors, OSError where there is none."""
    try:
        return load_file(path)
    except SafetensorError as error:
        raise UserError(f"{path}: not a file of weights: {error}.") from None


def save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write a safetensors file. Raises SafetensorError where the disk refuses."""
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """Parameters, shared ones once, and the buffers that are saved."""
    persistent = module.state_dict(keep_vars=True)
    own = dict(module.named_parameters())
    return {**own, **{name: buffer for name, buffer in module.named_buffers() if name in persistent}}


@torch.no_grad()
def load_tensors(module: nn.Module, tensors: dict[str, Tensor], *, where: str) -> None:
    """Copy tensors into a module that has just these. Raises UserError where a name or a shape differs."""
    own = tensors_of(module)
    for name in own.keys() ^ tensors.keys():
        side = "is missing" if name in own else "has no place in this model"
        raise UserError(f"{where}: the weight {name} {side}. The settings beside it are not those it was made with.")
    for name, tensor in own.items():
        if tensor.shape != tensors[name].shape:
            found, expected = tuple(tensors[name].shape), tuple(tensor.shape)
            raise UserError(f"{where}: the weight {name} has shape {found}, expected {expected} by its settings.")
        tensor.copy_(tensors[name])
