"""Products by one matrix in a loop over steps, where the matrix gets its gradient in one product and not in one a step.

Autograd would make one small weight gradient for each step and add it to the sum of those before, which is as large as
the matrix. Here the backward pass of a step only records its input and the gradient of its output. A scalar of zero is
an input of every step, so that autograd computes its gradient last; that backward pass then makes the whole weight
gradient by one matrix product.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seqsmith.products import ROUND_ROWS, as_product_type, product

Tape = list[tuple[Tensor, Tensor]]
"""Each step's input and the gradient of its output."""


class Unrolled:
    """y = x weight' + bias for one loop, of a layer's weight_OD or of a batch's weight_BOD, such as attention's keys.

    The type of the products is settled when it is made.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None):
        self.tape: Tape = []
        self._last = _AfterAllSteps.apply(weight, bias, self.tape)  # type: ignore[no-untyped-call]
        weight = as_product_type(weight.detach())
        self._dtype, self._flat = weight.dtype, weight.dim() == 2
        if self._flat:
            self.forward = product(weight, None if bias is None else as_product_type(bias.detach()))
            self.backward = product(weight.t())
        else:
            self.forward = lambda x_BTD: x_BTD @ weight.transpose(1, 2)
            self.backward = lambda grad_BTO: grad_BTO @ weight

    def __call__(self, x: Tensor) -> Tensor:
        rows = x.to(self._dtype)
        y: Tensor = _Step.apply(rows.flatten(0, -2) if self._flat else rows, self._last, self)  # type: ignore[no-untyped-call]
        return y.view(*x.shape[:-1], -1)


class _AfterAllSteps(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor | None, tape: Tape) -> Tensor:
        ctx.tape, ctx.weight_dtype, ctx.bias_dtype = tape, weight.dtype, None if bias is None else bias.dtype
        return weight.new_zeros(())

    @staticmethod
    def backward(ctx: Any, _grad: Tensor) -> tuple[Tensor | None, ...]:
        x, grad = (_joined(parts) for parts in zip(*ctx.tape, strict=True))
        ctx.tape.clear()
        grad_bias = None if ctx.bias_dtype is None else grad.sum(0).to(ctx.bias_dtype)
        return (grad.transpose(-1, -2) @ x).to(ctx.weight_dtype), grad_bias, None


def _joined(parts: tuple[Tensor, ...]) -> Tensor:
    """All steps' rows, and zeros up to a round number of them where that saves compiling (products.py)."""
    more = -sum(map(len, parts)) % ROUND_ROWS if parts[0].dim() == 2 and parts[0].dtype == torch.bfloat16 else 0
    return torch.cat([*parts, parts[0].new_zeros(more, parts[0].shape[1])] if more else parts, dim=-2)


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, last: Tensor, loop: Unrolled) -> Tensor:
        ctx.save_for_backward(x, last)
        ctx.loop = loop
        return loop.forward(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, last = ctx.saved_tensors
        ctx.loop.tape.append((x, grad))
        return ctx.loop.backward(grad), torch.zeros_like(last), None
