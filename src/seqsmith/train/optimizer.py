"""AdamW (Loshchilov & Hutter 2019); matrices are decayed, vectors (biases, norms) are not."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def new_optimizer(model: nn.Module, *, beta2: float, weight_decay: float) -> torch.optim.AdamW:
    """The rate is set before each update."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in trained if parameter.dim() > 1], "weight_decay": weight_decay},
        {"params": [parameter for parameter in trained if parameter.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, beta2), eps=1e-8, fused=True)


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.AdamW) -> dict[str, Tensor]:
    """The optimizer's state under the names of the weights it belongs to."""
    return {
        f"{key}.{name}": value
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def restore_optimizer(model: nn.Module, optimizer: torch.optim.AdamW, tensors: dict[str, Tensor]) -> None:
    """The inverse of `optimizer_tensors`."""
    for name, parameter in model.named_parameters():
        keys = [key for key in ("step", "exp_avg", "exp_avg_sq") if f"{key}.{name}" in tensors]
        if keys:
            optimizer.state[parameter] = {key: tensors[f"{key}.{name}"].to(parameter.device) for key in keys}


class MovingAverage:
    """An exponential moving average of the weights (Polyak & Juditsky 1992), young averages following faster."""

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.tensors = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}

    @torch.no_grad()
    def follow(self, model: nn.Module, update: int) -> None:
        decay = min(self.decay, (1 + update) / (10 + update))
        parameters = dict(model.named_parameters())
        torch._foreach_lerp_(
            list(self.tensors.values()), [parameters[name].detach() for name in self.tensors], 1 - decay
        )
