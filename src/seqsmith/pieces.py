"""What would take too much memory at once, made piece by piece: the backward pass makes each piece again in place of
keeping it (Chen et al. 2016), or, where all that is wanted is a sum, its gradients are made at once.

torch.utils.checkpoint does as much for one piece. Of many it leaves small results between large holes, which the C
library does not fill again: memory grew nearly as if all were kept. Here all results lie in one tensor, made first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def in_pieces(
    make: Callable[..., Tensor], pieces: Sequence[Any], inputs: Sequence[Tensor | None], *, dim: int
) -> Tensor:
    """What `make(piece, *inputs)` gives for each piece, of one size but for the last, one after the other along `dim`.

    Gradients reach the inputs, and nothing else that `make` uses. What it draws at random comes from the CPU's
    generator.
    """
    if len(pieces) == 1:
        return make(pieces[0], *inputs)
    made: Tensor = _InPieces.apply(make, pieces, dim, *inputs)  # type: ignore[no-untyped-call]
    return made


def summed(of: Callable[..., Tensor], pieces: Sequence[Any], inputs: Sequence[Tensor]) -> Tensor:
    """The sum of `of(piece, *inputs)`, vectors whose first number alone has gradients, over all pieces. Gradients reach
    the inputs, and nothing else that `of` uses."""
    if not torch.is_grad_enabled():
        return torch.stack([of(piece, *inputs) for piece in pieces]).sum(0)
    total: Tensor = _Summed.apply(of, pieces, *inputs)  # type: ignore[no-untyped-call]
    return total


class _InPieces(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, make: Callable[..., Tensor], pieces: Sequence[Any], dim: int, *inputs: Tensor | None
    ) -> Tensor:
        ctx.make, ctx.pieces, ctx.dim, ctx.random = make, pieces, dim, []
        device = next(x for x in inputs if x is not None).device.type
        ctx.mixed = device, torch.get_autocast_dtype(device), torch.is_autocast_enabled(device)
        ctx.save_for_backward(*inputs)
        made, end = torch.empty(0), 0
        for piece in pieces:
            ctx.random.append(torch.get_rng_state())
            part = make(piece, *inputs)
            size = part.shape[dim]
            if not end:
                shape = list(part.shape)
                shape[dim] = size * len(pieces)
                made = part.new_empty(shape)
            made.narrow(dim, end, size).copy_(part)
            end += size
        return made.narrow(dim, 0, end)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        wanted = ctx.needs_input_grad[3:]
        inputs, asked = _leaves(ctx.saved_tensors, wanted)
        sums, end = [torch.zeros_like(x) for x in asked], 0
        device, dtype, enabled = ctx.mixed
        with torch.random.fork_rng(devices=[]), torch.enable_grad(), torch.autocast(device, dtype, enabled=enabled):
            for piece, state in zip(ctx.pieces, ctx.random, strict=True):
                torch.set_rng_state(state)
                part = ctx.make(piece, *inputs)
                slope = grad.narrow(ctx.dim, end, part.shape[ctx.dim])
                _add(sums, torch.autograd.grad(part, asked, slope, allow_unused=True))
                end += part.shape[ctx.dim]
        found = iter(sums)
        return None, None, None, *(next(found) if need else None for need in wanted)


class _Summed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, of: Callable[..., Tensor], pieces: Sequence[Any], *inputs: Tensor) -> Tensor:
        leaves, asked = _leaves(inputs, ctx.needs_input_grad[2:])
        totals, sums = [], [torch.zeros_like(x) for x in asked]
        with torch.set_grad_enabled(bool(asked)):
            for piece in pieces:
                total = of(piece, *leaves)
                totals.append(total.detach())
                if asked:
                    _add(sums, torch.autograd.grad(total[0], asked, allow_unused=True))
        ctx.save_for_backward(*sums)
        return torch.stack(totals).sum(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        found = iter(ctx.saved_tensors)
        return None, None, *(next(found) * grad[0] if need else None for need in ctx.needs_input_grad[2:])


def _leaves(inputs: Sequence[Tensor | None], wanted: Sequence[bool]) -> tuple[list[Tensor | None], list[Tensor]]:
    """The inputs without their history, and those of them that want gradients."""
    leaves = [x if x is None else x.detach().requires_grad_(need) for x, need in zip(inputs, wanted, strict=True)]
    return leaves, [x for x in leaves if x is not None and x.requires_grad]


def _add(sums: Sequence[Tensor], parts: Sequence[Tensor | None]) -> None:
    for total, part in zip(sums, parts, strict=True):
        if part is not None:
            total += part
