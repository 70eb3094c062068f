"""A linear layer in a loop over steps, whose weights get their gradient in one product and not in one a step.

A product of a batch's rows alone is too small to be fast, and each would be added to the sum of those before, which is
as large as the weights. So every step's backward pass notes its input and its gradient, and when all have, one product
of them all follows. That it follows is seen to by a scalar that enters every step: its gradient, always zero, is known
only when theirs are.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seqsmith.model.linear import halved, product

Tape = list[tuple[Tensor, Tensor]]
"""Each step's input x_ND and the gradient of its output, y_NO."""


class Unrolled:
    """y = x weight' + bias for one loop; the type of the products is settled when it is made."""

    def __init__(self, weight_OD: Tensor, bias_O: Tensor):
        self.tape: Tape = []
        self._last = _AfterAllSteps.apply(weight_OD, bias_O, self.tape)  # type: ignore[no-untyped-call]
        weight_OD = halved(weight_OD.detach())
        self._dtype = weight_OD.dtype
        self.forward = product(weight_OD, halved(bias_O.detach()))
        self.backward = product(weight_OD.t())

    def __call__(self, x: Tensor) -> Tensor:
        x_ND = x.to(self._dtype).flatten(0, -2)
        y_NO: Tensor = _Step.apply(x_ND, self._last, self)  # type: ignore[no-untyped-call]
        return y_NO.view(*x.shape[:-1], -1)


class _AfterAllSteps(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight_OD: Tensor, bias_O: Tensor, tape: Tape) -> Tensor:
        ctx.tape, ctx.weight_dtype, ctx.bias_dtype = tape, weight_OD.dtype, bias_O.dtype
        return weight_OD.new_zeros(())

    @staticmethod
    def backward(ctx: Any, _grad: Tensor) -> tuple[Tensor | None, ...]:
        x_PD, grad_PO = (torch.cat(parts) for parts in zip(*ctx.tape, strict=True))
        ctx.tape.clear()
        return (grad_PO.t() @ x_PD).to(ctx.weight_dtype), grad_PO.sum(0).to(ctx.bias_dtype), None


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_ND: Tensor, last: Tensor, loop: Unrolled) -> Tensor:
        ctx.save_for_backward(x_ND, last)
        ctx.loop = loop
        return loop.forward(x_ND)

    @staticmethod
    def backward(ctx: Any, grad_NO: Tensor) -> tuple[Tensor | None, ...]:
        x_ND, last = ctx.saved_tensors
        ctx.loop.tape.append((x_ND, grad_NO))
        return ctx.loop.backward(grad_NO), torch.zeros_like(last), None
