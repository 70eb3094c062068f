"""Convolutional subsampling: frames of 10 ms become steps of 20 or 40 ms, which is what a letter of speech lasts.

Each layer is a convolution over time with stride 2 and a gated linear unit (Dauphin et al. 2017), as in Synnaeve et al.
(2020, section 2.2). Cepstra and their deltas are not neighbours as the bins of a filter bank are, so the convolution
sees all channels at once and not a picture. What lies after the end of a sequence is set to zero before each layer,
which is what the convolution itself puts around a sequence that stands alone: padding changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

KERNEL = 5


class Subsample(nn.Module):
    """x_BLC, valid_BL -> x_BSD, valid_BS, with S = ceil(L / factor) for every sequence of its own."""

    layers: Sequence[nn.Conv1d]

    def __init__(self, channels: int, width: int, *, factor: int):
        super().__init__()
        assert factor in (2, 4, 8), f"a factor of {factor} is not made of halves"
        self.width = width
        widths = [channels] + [width] * (factor.bit_length() - 1)
        self.layers = nn.ModuleList(  # type: ignore[assignment]
            nn.Conv1d(before, 2 * after, KERNEL, stride=2, padding=KERNEL // 2) for before, after in pairwise(widths)
        )

    def forward(self, x_BLC: Tensor, valid_BL: Tensor) -> tuple[Tensor, Tensor]:
        x, valid = x_BLC, valid_BL
        for layer in self.layers:
            y = layer(silenced(x, valid).transpose(1, 2)).transpose(1, 2)
            x, valid = F.glu(y, dim=-1), every_second(valid)
        return x, valid


def every_second(valid_BL: Tensor) -> Tensor:
    """Which of half as many steps are real, where each real one stands for one or two real ones -> valid_BS."""
    return valid_BL[:, ::2]


def silenced(x_BLC: Tensor, valid_BL: Tensor) -> Tensor:
    """Zeros where there is only padding -> x_BLC."""
    return torch.where(valid_BL[..., None], x_BLC, 0.0)


def joined_pairs(x_BLC: Tensor, valid_BL: Tensor) -> tuple[Tensor, Tensor]:
    """Two neighbours side by side as one step (Chan et al. 2016, section 3.1) -> x_BSD, valid_BS."""
    x = silenced(x_BLC, valid_BL)
    if x.shape[1] % 2:
        x = F.pad(x, (0, 0, 0, 1))
    return torch.unflatten(x, 1, (-1, 2)).flatten(2), every_second(valid_BL)
