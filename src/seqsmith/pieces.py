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

Inputs = Sequence[Tensor | None]


def in_pieces(make: Callable[..., Tensor], *, cut: Inputs, whole: Inputs, step: int) -> Tensor:
    """`make(*cut, *whole)`, of which only `step` of the second-to-last axis of what is cut, and of the result, are made
    at a time.

    Gradients reach these inputs, and nothing else that `make` uses. What it draws at random comes from the CPU's
    generator, and is the same when it is made again.
    """
    length = _length(cut)
    if step >= length:
        return make(*cut, *whole)
    made: Tensor = _InPieces.apply(make, step, torch.is_grad_enabled(), len(cut), *cut, *whole)  # type: ignore[no-untyped-call]
    return made


def summed(of: Callable[..., Tensor], pieces: Sequence[Any], *, inputs: Sequence[Tensor]) -> Tensor:
    """The sum of `of(piece, *inputs)`, vectors whose first number alone has gradients, over all pieces. Gradients reach
    the inputs, and nothing else that `of` uses."""
    if not torch.is_grad_enabled():
        return torch.stack([of(piece, *inputs) for piece in pieces]).sum(0)
    total: Tensor = _Summed.apply(of, pieces, *inputs)  # type: ignore[no-untyped-call]
    return total


class _InPieces(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, make: Callable[..., Tensor], step: int, learns: bool, cuts: int, *inputs: Tensor | None
    ) -> Tensor:
        ctx.make, ctx.step, ctx.cuts, ctx.random = make, step, cuts, []
        ctx.save_for_backward(*inputs)
        length, device = _length(inputs[:cuts]), next(x for x in inputs if x is not None).device.type
        ctx.mixed = device, torch.get_autocast_dtype(device), torch.is_autocast_enabled(device)
        wanted = [need and learns for need in ctx.needs_input_grad[4:]]
        made = None
        for begin in range(0, length, step):
            ctx.random.append(torch.get_rng_state())
            leaves, _ = _leaves(_piece(inputs, cuts, begin, step), wanted)
            with torch.set_grad_enabled(learns):  # as it will be made again: dropout draws otherwise without gradients
                part = make(*leaves).detach()
            if made is None:
                made = part.new_empty(*part.shape[:-2], length, part.shape[-1])
            made.narrow(-2, begin, part.shape[-2]).copy_(part)
        assert made is not None
        return made

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        inputs, wanted, cuts = ctx.saved_tensors, ctx.needs_input_grad[4:], ctx.cuts
        found = [_zeros(x, exact=place >= cuts) if need else None
                 for place, (x, need) in enumerate(zip(inputs, wanted, strict=True))]  # fmt: skip
        device, dtype, enabled = ctx.mixed
        with torch.random.fork_rng(devices=[]), torch.enable_grad(), torch.autocast(device, dtype, enabled=enabled):
            for number, state in enumerate(ctx.random):
                torch.set_rng_state(state)
                begin = number * ctx.step
                leaves, asked = _leaves(_piece(inputs, cuts, begin, ctx.step), wanted)
                part = ctx.make(*leaves)
                slope = grad.narrow(-2, begin, part.shape[-2])
                _add(
                    [x for x in _piece(found, cuts, begin, ctx.step) if x is not None],
                    torch.autograd.grad(part, asked, slope, allow_unused=True),
                )
        given = (total if total is None else total.to(x.dtype) for total, x in zip(found, inputs, strict=True))
        return None, None, None, None, *given


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


def _length(cut: Inputs) -> int:
    return next(x.shape[-2] for x in cut if x is not None)


def _piece(inputs: Inputs, cuts: int, begin: int, step: int) -> list[Tensor | None]:
    """A piece of the first `cuts` inputs, and the others whole."""
    return [x if x is None or place >= cuts else x[..., begin : begin + step, :] for place, x in enumerate(inputs)]


def _leaves(inputs: Inputs, wanted: Sequence[bool]) -> tuple[list[Tensor | None], list[Tensor]]:
    """The inputs without their history, and those of them that want gradients."""
    leaves = [x if x is None else x.detach().requires_grad_(need) for x, need in zip(inputs, wanted, strict=True)]
    return leaves, [x for x in leaves if x is not None and x.requires_grad]


def _zeros(x: Tensor, *, exact: bool) -> Tensor:
    """Where gradients are written, or, in single precision at least, added up."""
    return torch.zeros_like(x, dtype=torch.promote_types(x.dtype, torch.float32) if exact else x.dtype)


def _add(sums: Sequence[Tensor], parts: Sequence[Tensor | None]) -> None:
    for total, part in zip(sums, parts, strict=True):
        if part is not None:
            total += part
