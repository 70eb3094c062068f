"""Products by a matrix, with what mixed precision costs on CPUs kept small.

oneDNN compiles a kernel for each number of rows that it has not met lately, for up to 25 ms, and no two batches have
the same number of positions. In bf16 rows are therefore rounded up in number, with zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from seqsmith.batch import exact

ROUND_ROWS, ROUND_FEW_ROWS = 128, 32


def rows_rounded(x_PD: Tensor, step: int) -> Tensor:
    """With rows of zeros behind it, up to a multiple of `step`."""
    more = -len(x_PD) % step
    return F.pad(x_PD, (0, 0, 0, more)) if more else x_PD


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
