"""Parts of training on CPUs for which torch takes several passes over memory, each in one (kernels.c).

They compute what torch's operators do, but that sums are kept in single precision where torch rounds between them to
half, and that dropout draws one seed for a tensor instead of a number for each element. They stand beside the torch
code of the same meaning, and are taken in training alone, after `use`: answers never depend on a compiler.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_float, c_long, c_uint32
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqsmith.native import build

_NAMES = {torch.float32: "float", torch.bfloat16: "bfloat16"}
_PARTS = 16  # of the rows, whose sums are added up afterwards: as many whatever the number of threads
_LONGEST, _WIDEST = 256, 128  # steps and numbers of a head's attention: what fits into a core's cache

Sizes = tuple[int, int, int, int]
"""B sequences, H heads, T queries, S keys."""

Noise = tuple[c_uint32, c_uint32, c_float]
"""A seed, how many of 2^32 are dropped, and what scales the others up."""

_library: ctypes.CDLL | None = None


def use(wanted: bool = True) -> bool:
    """Take the kernels from now on in this process, or leave them -> whether they are taken."""
    global _library
    _library = build.library() if wanted else None
    return _library is not None


def know(*tensors: Tensor) -> bool:
    """Whether the kernels are taken, and compute with these tensors."""
    return _library is not None and all(x.device.type == "cpu" and x.dtype in _NAMES for x in tensors)


def help_train(*tensors: Tensor) -> bool:
    """Whether they do, and gradients are wanted."""
    return torch.is_grad_enabled() and know(*tensors)


def _call(name: str, dtype: torch.dtype, *arguments: Any) -> None:
    """Call a kernel with pointers of tensors, which are contiguous or whose strides it is told."""
    kernel = getattr(_library, f"{name}_{_NAMES[dtype]}")
    kernel.restype = None
    kernel(*(ctypes.c_void_p(x.data_ptr()) if isinstance(x, Tensor) else x for x in arguments))


def _noise(rate: float) -> Noise:
    """With a seed from torch's generator."""
    seed = torch.randint(2**32, ()).item() if rate else 0
    return c_uint32(int(seed)), c_uint32(int(rate * 2**32)), c_float(1 / (1 - rate))


def _of_each(name: str, x: Tensor, noise: Noise) -> Tensor:
    """What a kernel makes of each element of x, with this noise."""
    x = x.contiguous()
    y = torch.empty_like(x)
    _call(name, x.dtype, x, y, c_long(x.numel()), *noise)
    return y


class _Dropped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rate: float) -> Tensor:
        ctx.noise = _noise(rate)
        return _of_each("dropped", x, ctx.noise)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _of_each("dropped", grad, ctx.noise), None


class _ReluDropped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rate: float) -> Tensor:
        ctx.noise = _noise(rate)
        y = _of_each("relu_dropped", x, ctx.noise)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (y,) = ctx.saved_tensors
        grad = grad.contiguous()
        grad_x = torch.empty_like(y)
        _call("relu_dropped_back", y.dtype, grad, y, grad_x, c_long(y.numel()), ctx.noise[2])
        return grad_x, None


class _AddDropped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, rate: float) -> Tensor:
        x, y, ctx.noise, ctx.dtype = x.contiguous(), y.contiguous(), _noise(rate), y.dtype
        total = torch.empty_like(x)
        _call("add_dropped", y.dtype, x, y, total, c_long(x.numel()), *ctx.noise)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        grad = grad.contiguous()
        grad_y = torch.empty(grad.shape, dtype=ctx.dtype)
        _call("add_dropped_back", ctx.dtype, grad, grad_y, c_long(grad.numel()), *ctx.noise)
        return grad, grad_y, None


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_D: Tensor, bias_D: Tensor, epsilon: float, dtype: torch.dtype) -> Tensor:
        x = x.contiguous()
        width = x.shape[-1]
        rows = x.numel() // width
        y, moment_2R = torch.empty(x.shape, dtype=dtype), torch.empty(2, rows)
        sizes = c_long(rows), c_long(width)
        _call("norm", dtype, x, weight_D, bias_D, y, *moment_2R, *sizes, c_float(epsilon))
        ctx.save_for_backward(x, weight_D, moment_2R)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_D, moment_2R = ctx.saved_tensors
        grad = grad.contiguous()
        width = x.shape[-1]
        grad_x, part_2PD = torch.empty_like(x), torch.empty(2, _PARTS, width)
        sizes = c_long(x.numel() // width), c_long(width), c_long(_PARTS)
        _call("norm_back", grad.dtype, grad, x, weight_D, *moment_2R, grad_x, *part_2PD, *sizes)
        grad_weight_D, grad_bias_D = part_2PD.sum(1)
        return grad_x, grad_weight_D, grad_bias_D, None, None


class _Split(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_PE: Tensor, widths: Sequence[int]) -> tuple[Tensor, ...]:
        ctx.begins, ctx.width = list(accumulate(widths, initial=0)), x_PE.shape[1]
        return torch.split(x_PE, list(widths), dim=-1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        place, step = grads[0].untyped_storage().data_ptr(), (ctx.width, 1)
        for grad, begin in zip(grads, ctx.begins, strict=False):
            if (grad.untyped_storage().data_ptr(), grad.stride(), grad.storage_offset()) != (place, step, begin):
                return torch.cat(grads, -1), None
        return grads[0].as_strided((len(grads[0]), ctx.width), step), None  # they lie side by side


class _Sizes(ctypes.Structure):
    _fields_ = [(name, c_long) for name in ("B", "H", "T", "S", "K", "query", "key", "value", "bias_b", "bias_t")]


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query_PD: Tensor, key: Tensor, value: Tensor, bias_BTS: Tensor, turn: Tensor | None, sizes: Sizes
    ) -> Tensor:
        parts = [x if x.stride(-1) == 1 else x.contiguous() for x in (query_PD, key, value)]
        sequences, heads, queries, _ = sizes
        steps = (x.stride(0) for x in parts)
        ctx.sizes = _Sizes(*sizes, query_PD.shape[1] // heads, *steps, *bias_BTS.stride()[:2])
        turns = (None, None) if turn is None else turn.unbind()
        y_PD = query_PD.new_empty(query_PD.shape)
        y_PD[sequences * queries :] = 0.0
        _call("attend", y_PD.dtype, *parts, bias_BTS, *turns, y_PD, ctypes.byref(ctx.sizes))
        ctx.save_for_backward(*parts, bias_BTS, *turns)
        return y_PD

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_PD: Tensor) -> tuple[Tensor | None, ...]:
        saved, sizes, grad_PD = ctx.saved_tensors, ctx.sizes, grad_PD.contiguous()
        rows, width = [sizes.B * sizes.T, sizes.B * sizes.S, sizes.B * sizes.S], grad_PD.shape[1]
        if len(saved[0]) == len(saved[1]):
            made = torch.split(grad_PD.new_empty(len(grad_PD), 3 * width), width, -1)
        else:
            made = torch.empty_like(grad_PD), *torch.split(grad_PD.new_empty(len(saved[1]), 2 * width), width, -1)
        for grad, real in zip(made, rows, strict=True):
            grad[real:] = 0.0
        steps = (c_long(grad.stride(0)) for grad in made[:2])
        _call("attend_back", grad_PD.dtype, grad_PD, *saved, *made, *steps, ctypes.byref(sizes))
        return (*made, None, None, None)


def dropped(x: Tensor, rate: float) -> Tensor:
    """Dropout (Srivastava et al. 2014)."""
    y: Tensor = _Dropped.apply(x, rate)  # type: ignore[no-untyped-call]
    return y


def relu_dropped(x: Tensor, rate: float) -> Tensor:
    """Dropout of relu(x)."""
    y: Tensor = _ReluDropped.apply(x, rate)  # type: ignore[no-untyped-call]
    return y


def add_dropped(x: Tensor, y: Tensor, rate: float) -> Tensor:
    """x, in single precision, and dropout of y, of one shape."""
    assert x.shape == y.shape
    total: Tensor = _AddDropped.apply(x, y, rate)  # type: ignore[no-untyped-call]
    return total


def layer_norm(x: Tensor, weight_D: Tensor, bias_D: Tensor, *, epsilon: float, dtype: torch.dtype) -> Tensor:
    """LayerNorm (Ba et al. 2016) of x, in single precision, rounded to `dtype`."""
    y: Tensor = _Norm.apply(x, weight_D, bias_D, epsilon, dtype)  # type: ignore[no-untyped-call]
    return y


def split(x: Tensor, widths: Sequence[int]) -> tuple[Tensor, ...]:
    """Parts of rows, whose gradients are not put together again where `attend` has made them side by side."""
    if x.dim() != 2 or not help_train(x):
        return torch.split(x, list(widths), dim=-1)
    parts: tuple[Tensor, ...] = _Split.apply(x, widths)  # type: ignore[no-untyped-call]
    return parts


def attends(query_PD: Tensor, key: Tensor, value: Tensor, bias: Tensor, sizes: Sizes) -> bool:
    """Whether `attend` can do it: few steps, one type, and a bias that is the same for all heads and not trained."""
    few = max(sizes[2:]) <= _LONGEST and query_PD.shape[1] // sizes[1] <= _WIDEST
    alike = query_PD.dtype == key.dtype == value.dtype
    plain = not bias.requires_grad and (bias.dim() < 3 or bias.shape[1] == 1)
    return few and alike and plain and help_train(query_PD)


def attend(query_PD: Tensor, key: Tensor, value: Tensor, bias: Tensor, turn: Tensor | None, sizes: Sizes) -> Tensor:
    """softmax(query key' / sqrt(K) + bias) value, of B sequences' H heads, T queries and S keys, which lie in rows of
    H * K numbers -> y_PD. Rows behind them are not looked at, and become zeros. `turn` holds the cosines and sines,
    (2, L, K/2), of the angles by which queries and keys are turned first, where positions are rotary."""
    sequences, _, queries, keys = sizes
    bias_BTS = (bias if bias.dim() < 3 else bias[:, 0]).float().expand(sequences, queries, keys)
    bias_BTS = bias_BTS if bias_BTS.stride(2) == 1 else bias_BTS.contiguous()
    y_PD: Tensor = _Attend.apply(query_PD, key, value, bias_BTS, turn, sizes)  # type: ignore[no-untyped-call]
    return y_PD


def to_slopes(logit_PV: Tensor, id_P: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """Overwrite logits with softmax - (1 - e) [true] -> the sums of -log p(true) and of the loss, in nats, the latter
    without its term of the mean logit."""
    assert logit_PV.is_contiguous()
    nats_2P = torch.empty(2, len(id_P))
    sizes = c_long(len(id_P)), c_long(logit_PV.shape[1])
    _call("slopes", logit_PV.dtype, logit_PV, id_P.contiguous(), *nats_2P, *sizes, c_float(smoothing))
    truth, loss = nats_2P.sum(1)
    return truth, loss
