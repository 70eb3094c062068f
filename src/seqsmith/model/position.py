"""How a Transformer knows where a step stands: sinusoidal, learned, rotary or relative positions.

Axes: J angles, half as many as there are numbers to turn or to fill.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn


def sinusoid(first: int, count: int, width: int, *, like: Tensor) -> Tensor:
    """Sines and cosines of geometric wavelengths, sines first (Vaswani et al. 2017, section 3.5) -> position_LD."""
    half = (width + 1) // 2
    angle_LJ = _angles(first, count, half, device=like.device)
    return torch.cat([angle_LJ.sin(), angle_LJ.cos()], dim=1)[:, :width].to(like.dtype)


class LearnedPositions(nn.Module):
    """One trained vector a position; steps past the last one share it (Gehring et al. 2017)."""

    def __init__(self, longest: int, width: int):
        super().__init__()
        self.table = nn.Parameter(torch.randn(longest, width) * width**-0.5)

    def forward(self, first: int, count: int) -> Tensor:
        step_L = torch.arange(first, first + count, device=self.table.device)
        return self.table[step_L.clamp_(max=len(self.table) - 1)]


def rotate(x_BHLK: Tensor, first: int) -> Tensor:
    """Turn pairs (k, k + K/2) by an angle that grows with the position, so that q.k depends on the distance alone.

    Rotary positions (Su et al. 2021, equation 34), with the halves paired as in LLaMA rather than neighbours.
    """
    turn_2LJ = turn(first, *x_BHLK.shape[2:], dtype=x_BHLK.dtype, device=x_BHLK.device)
    turned: Tensor = _Turn.apply(x_BHLK, *turn_2LJ)  # type: ignore[no-untyped-call]
    return turned


def turn(first: int, count: int, width: int, *, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Cosines and sines of the angles by which steps are turned -> turn_2LJ."""
    end = first + count
    return _turns(1 << (end - 1).bit_length(), width // 2, dtype, device)[:, first:end]


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # what answering made, training may take
def _turns(count: int, half: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Those of steps from 0 on, of few lengths."""
    angle_LJ = _angles(0, count, half, device=device)
    return torch.stack([angle_LJ.cos(), angle_LJ.sin()]).to(dtype)


class _Turn(torch.autograd.Function):
    """A rotation; its gradient is rotated by the opposite angle."""

    @staticmethod
    def forward(ctx: Any, x_BHLK: Tensor, cosine_LJ: Tensor, sine_LJ: Tensor) -> Tensor:
        ctx.save_for_backward(cosine_LJ, sine_LJ)
        return _turned(x_BHLK, cosine_LJ, sine_LJ)

    @staticmethod
    def backward(ctx: Any, grad_BHLK: Tensor) -> tuple[Tensor | None, ...]:
        cosine_LJ, sine_LJ = ctx.saved_tensors
        return _Turn.apply(grad_BHLK, cosine_LJ, -sine_LJ), None, None  # type: ignore[no-untyped-call]


def _turned(x_BHLK: Tensor, cosine_LJ: Tensor, sine_LJ: Tensor) -> Tensor:
    y_BHLK = torch.empty(x_BHLK.shape, dtype=x_BHLK.dtype, device=x_BHLK.device)
    left, right = x_BHLK.chunk(2, dim=-1)
    y_left, y_right = y_BHLK.chunk(2, dim=-1)
    torch.mul(left, cosine_LJ, out=y_left).addcmul_(right, sine_LJ, value=-1)
    torch.mul(left, sine_LJ, out=y_right).addcmul_(right, cosine_LJ)
    return y_BHLK


def _angles(first: int, count: int, half: int, *, device: torch.device) -> Tensor:
    """Positions times rates that fall from 1 to nearly 1/10,000 -> angle_LJ."""
    rate_J = 10_000.0 ** (-torch.arange(half, device=device, dtype=torch.float64) / half)
    return torch.arange(first, first + count, device=device, dtype=torch.float64)[:, None] * rate_J


class RelativeBias(nn.Module):
    """A trained number for each head and distance, added to the attention scores.

    The scalar bias of Raffel et al. (2020), over the clipped distances of Shaw et al. (2018) instead of log buckets.
    """

    def __init__(self, heads: int, *, farthest: int = 32):
        super().__init__()
        self.farthest = farthest
        self.bias = nn.Parameter(torch.zeros(heads, 2 * farthest + 1))

    def forward(self, first_query: int, num_query: int, num_key: int) -> Tensor:
        """Queries stand at first_query, first_query + 1, ...; keys at 0, 1, ... -> bias_1HTS."""
        device = self.bias.device
        query_T = torch.arange(first_query, first_query + num_query, device=device)
        distance_TS = torch.arange(num_key, device=device) - query_T[:, None]
        index_TS = distance_TS.clamp_(-self.farthest, self.farthest) + self.farthest
        return self.bias[:, index_TS][None]
