"""Linear layers, whose rows are rounded up in number, and cut off again, where that saves compiling (products.py)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqsmith import native
from seqsmith.products import ROUND_FEW_ROWS, ROUND_ROWS, as_product_type, rows_rounded

_MANY_ROWS = 512  # from here on the zeros are few beside them


class Linear(nn.Linear):
    """torch's, for the names and first values of its weights; the product is `linear`."""

    def forward(self, input: Tensor) -> Tensor:  # torch's name
        return linear(input, self.weight, self.bias)


def linear(x: Tensor, weight_OD: Tensor, bias_O: Tensor | None) -> Tensor:
    """x weight' + bias, on a round number of rows where that saves compiling."""
    rows = x.numel() // x.shape[-1]
    if rows <= ROUND_FEW_ROWS or x.is_cuda or not torch.is_autocast_enabled("cpu"):
        return F.linear(x, weight_OD, bias_O)
    y_PO = F.linear(_rounded(as_product_type(x).flatten(0, -2)), weight_OD, bias_O)
    return torch.unflatten(y_PO if len(y_PO) == rows else y_PO[:rows], 0, x.shape[:-1])


def into_rows(x_BLD: Tensor) -> Tensor:
    """The steps of all sequences one below the other, with rows of zeros behind them where `linear` would put them, so
    that it need not do so again and again -> x_PD."""
    x_PD = x_BLD.flatten(0, 1)
    few = len(x_PD) <= ROUND_FEW_ROWS or x_PD.is_cuda or not torch.is_autocast_enabled("cpu")
    return x_PD if few else _rounded(x_PD)


def out_of_rows(x_PD: Tensor, shape: tuple[int, int]) -> Tensor:
    """The way back, of B sequences of L steps -> x_BLD."""
    count = shape[0] * shape[1]
    return torch.unflatten(x_PD if len(x_PD) == count else x_PD[:count], 0, shape)


def _rounded(x_PD: Tensor) -> Tensor:
    return rows_rounded(x_PD, ROUND_ROWS if len(x_PD) >= _MANY_ROWS else ROUND_FEW_ROWS)


def side_by_side(x: Tensor, layers: Sequence[Linear]) -> Sequence[Tensor]:
    """Apply several layers to one input, where it pays by one matrix product: in mixed precision, and for rows whose
    gradients need not be put together (`native.split`), if there are many."""
    joined = torch.is_autocast_enabled(x.device.type) or (x.dim() == 2 and native.help_train(x))
    if x.numel() < _MANY_ROWS * x.shape[-1] or not joined:
        return [layer(x) for layer in layers]
    weight = torch.cat([layer.weight for layer in layers])
    bias = torch.cat([layer.bias for layer in layers])
    return native.split(linear(x, weight, bias), [layer.out_features for layer in layers])
