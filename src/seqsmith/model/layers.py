"""Small parts that every model is made of: dropout, normalisation, feed-forward."""

from __future__ import annotations

from typing import Literal, assert_never

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqsmith import native
from seqsmith.model.linear import Linear


class Dropout(nn.Module):
    """Set a share of the elements to zero and scale the rest up (Srivastava et al. 2014).

    On CPUs the mask takes eight bits of randomness an element, drawn eight elements at a time, because torch's own
    draws one element at a time on one thread; so the rate is rounded to a multiple of 1/256; in bf16 the scale
    is rounded too, and the mean may be 0.3 % off. A `shared` axis gets one mask for all its steps (Gal & Ghahramani
    2016); a loop over these steps draws it before, and hands it over each time.
    """

    def __init__(self, rate: float, *, shared_axis: int | None = None):
        super().__init__()
        self.rate = rate
        self.shared_axis = shared_axis

    @property
    def now(self) -> float:
        """The rate, 0 when not training."""
        return self.rate if self.training else 0.0

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        if not self.training or self.rate == 0.0:
            return x
        if keep is not None:
            return x * keep.to(x.dtype).view_as(x)
        if x.is_cuda and self.shared_axis is None:
            return F.dropout(x, self.rate)
        if self.shared_axis is None and native.help_train(x):
            return native.dropped(x, self.rate)
        shape = list(x.shape)
        if self.shared_axis is not None:
            assert x.dim() > 2, "one step alone has no axis of steps to share a mask over"
            shape[self.shared_axis] = 1
        return x * keep_scale(shape, self.rate, like=x)

    def of_relu(self, x: Tensor) -> Tensor:
        """Dropout of relu(x)."""
        return native.relu_dropped(x, self.now) if native.help_train(x) else self(torch.relu(x))

    def added_to(self, x: Tensor, y: Tensor) -> Tensor:
        """x and dropout of y."""
        together = x.dtype == torch.float32 and native.help_train(x, y)
        return native.add_dropped(x, y, self.now) if together else x + self(y)


def keep_scale(shape: list[int], rate: float, *, like: Tensor) -> Tensor:
    """A random tensor of zeros (a share of `rate`) and 1 / (1 - rate), in the type and on the device of `like`."""
    dropped = min(255, max(1, round(rate * 256)))
    count = torch.Size(shape).numel()
    words = torch.empty((count + 7) // 8, dtype=torch.int64, device=like.device)
    bits = words.random_(-(2**63), None).view(torch.uint8)[:count].view(shape)
    keep = torch.empty(shape, dtype=like.dtype, device=like.device)
    torch.ge(bits, dropped, out=keep)  # at once as numbers: by way of bools it takes four times as long
    return keep.mul_(256 / (256 - dropped))


class RMSNorm(nn.Module):
    """Division by the root mean square (Zhang & Sennrich 2019)."""

    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight, eps=1e-6)


def norm(kind: Literal["layer", "rms"], width: int) -> nn.Module:
    """LayerNorm (Ba et al. 2016) or RMSNorm."""
    match kind:
        case "layer":
            return nn.LayerNorm(width)
        case "rms":
            return RMSNorm(width)
    assert_never(kind)


class FeedForward(nn.Module):
    """Two linear layers with a non-linearity between, at each position alone; swiglu has a gate (Shazeer 2020)."""

    def __init__(self, width: int, inner: int, *, activation: Literal["relu", "gelu", "swiglu"], dropout: float):
        super().__init__()
        self.activation = activation
        self.inner = Linear(width, inner)
        self.gate = Linear(width, inner) if activation == "swiglu" else None
        self.outer = Linear(inner, width)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.inner(x)
        match self.activation:
            case "relu":
                inner = self.dropout.of_relu(inner)
            case "gelu":
                inner = self.dropout(F.gelu(inner))
            case "swiglu":
                assert self.gate is not None
                inner = self.dropout(F.silu(self.gate(x)) * inner)
            case _:
                assert_never(self.activation)
        y: Tensor = self.outer(inner)
        return y
