"""Linear layers, with what mixed precision costs on CPUs kept small.

oneDNN compiles a kernel for each number of rows that it has not met lately, for up to 25 ms, and no two batches have
the same number of positions. In bf16 their number is therefore rounded up, with zeros that are cut off again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqsmith import native
from seqsmith.batch import exact, rows_rounded

ROUND_ROWS, ROUND_FEW_ROWS = 128, 32
_MANY_ROWS = 512  # from here on the zeros are few beside them


def as_product_type(x: Tensor) -> Tensor:
    """x in the type that products are taken in, so that several layers need not each make it anew."""
    return x.to(product_type(x))


def product_type(x: Tensor) -> torch.dtype:
    """The type that products of x are taken in."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def as_sum_type(x: Tensor) -> Tensor:
    """x in the type that sums over layers are kept in: single precision where products are taken in half."""
    return exact(x) if torch.is_autocast_enabled(x.device.type) else x


def product(weight_OD: Tensor, bias_O: Tensor | None = None) -> Callable[[Tensor], Tensor]:
    """x_ND -> x weight' + bias, for many products by one weight and without gradients: in bf16 on a CPU the weight is
    laid out as oneDNN reads it now, and not at each product, which is a third of its time where rows are few."""
    if weight_OD.dtype != torch.bfloat16 or weight_OD.device.type != "cpu" or not _can_lay_out():
        return lambda x_ND: F.linear(x_ND, weight_OD, bias_O)
    laid_out = torch.ops.mkldnn._reorder_linear_weight(weight_OD.contiguous(), None)

    def multiply(x_ND: Tensor) -> Tensor:
        x_PD = rows_rounded(x_ND, ROUND_FEW_ROWS)
        y_PO: Tensor = torch.ops.mkldnn._linear_pointwise(x_PD, laid_out, bias_O, "none", [], "")
        return y_PO[: len(x_ND)]

    return multiply


@cache
def _can_lay_out() -> bool:
    """Whether this build of torch has what it compiles models for oneDNN with, and this CPU what oneDNN needs."""
    operations = torch.ops.mkldnn
    try:
        return callable(operations._linear_pointwise) and bool(operations._is_mkldnn_bf16_supported())
    except AttributeError:
        return False


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
