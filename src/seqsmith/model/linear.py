"""Linear layers, with what mixed precision costs on CPUs kept small.

oneDNN compiles a kernel for each number of rows that it has not met lately, for up to 25 ms, and no two batches have
the same number of positions. In bf16 their number is therefore rounded up, with zeros that are cut off again.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqsmith.batch import rows_rounded

ROUND_ROWS = 128
_MANY_ROWS = 512  # from here on the zeros are few beside them


def halved(x: Tensor) -> Tensor:
    """x in the type that products are taken in, so that several layers need not each make it anew."""
    device = x.device.type
    return x.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else x


class Linear(nn.Linear):
    """torch's, on a round number of rows where that saves compiling."""

    def forward(self, input: Tensor) -> Tensor:  # torch's name
        rows = input.numel() // self.in_features
        if rows < _MANY_ROWS or input.is_cuda or not torch.is_autocast_enabled("cpu"):
            return super().forward(input)
        x_PD = rows_rounded(halved(input).flatten(0, -2), ROUND_ROWS)
        return torch.unflatten(F.linear(x_PD, self.weight, self.bias)[:rows], 0, input.shape[:-1])
