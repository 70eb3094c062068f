"""Conformer encoder (Gulati et al. 2020): a Transformer whose layers also listen to what is near, by a convolution.

A layer is half a feed-forward, self-attention, a convolution, the other half of the feed-forward, and a norm. The
convolution is pointwise with a gated linear unit, depthwise over time, normalised, activated by SiLU, and pointwise.

Differs from the paper: its batch norm is a layer norm here, for with batch norm what an example becomes would depend on
its neighbours in training, and on how much padding they bring. Positions are rotary by default and not the relative
ones of Transformer-XL.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from seqsmith.config import Conformer as Settings
from seqsmith.config import Transformer as Shape
from seqsmith.model.attention import padding_bias
from seqsmith.model.linear import Linear, into_rows, out_of_rows
from seqsmith.model.memory import Memory
from seqsmith.model.subsample import silenced
from seqsmith.model.transformer import Part, Positions, feed_forward, self_attention, with_mean


class Convolution(nn.Module):
    """What is near: x_BSD -> y_BSD. Padding is silenced, so that it is what lies beyond the end of a lone sequence."""

    def __init__(self, width: int, *, kernel: int):
        super().__init__()
        self.enter = Linear(width, 2 * width)
        self.near = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.leave = Linear(width, width)

    def forward(self, x_BSD: Tensor, valid_BS: Tensor) -> Tensor:
        gated_BSD = silenced(F.glu(self.enter(x_BSD), dim=-1), valid_BS)
        near_BSD = self.near(gated_BSD.transpose(1, 2)).transpose(1, 2)
        y_BSD: Tensor = self.leave(F.silu(self.norm(near_BSD)))
        return y_BSD


class ConformerLayer(nn.Module):
    def __init__(self, settings: Settings):
        super().__init__()
        shape = _shape(settings)
        self.first_part, self.first = Part(shape), feed_forward(shape)
        self.self_part, self.self_attention = Part(shape), self_attention(shape)
        self.near_part, self.near = Part(shape), Convolution(settings.width, kernel=settings.kernel)
        self.second_part, self.second = Part(shape), feed_forward(shape)
        self.norm = nn.LayerNorm(settings.width)

    def forward(self, x_BSD: Tensor, valid_BS: Tensor, bias: Tensor) -> Tensor:
        x_BSD = self.first_part.leave(x_BSD, 0.5 * self.first(self.first_part.enter(x_BSD)))
        shape = x_BSD.shape[0], x_BSD.shape[1]
        y_PD = self.self_attention.within(into_rows(self.self_part.enter(x_BSD)), shape, bias=bias)
        x_BSD = self.self_part.leave(x_BSD, out_of_rows(y_PD, shape))
        x_BSD = self.near_part.leave(x_BSD, self.near(self.near_part.enter(x_BSD), valid_BS))
        x_BSD = self.second_part.leave(x_BSD, 0.5 * self.second(self.second_part.enter(x_BSD)))
        y: Tensor = self.norm(x_BSD)
        return y


class ConformerEncoder(nn.Module):
    """x_BSD -> Memory."""

    def __init__(self, settings: Settings):
        super().__init__()
        self.width = self.context_width = settings.width
        self.positions = Positions(_shape(settings))
        self.layers = nn.ModuleList(ConformerLayer(settings) for _ in range(settings.layers))

    def forward(self, x_BSD: Tensor, valid_BS: Tensor) -> Memory:
        bias = self.positions.biased(padding_bias(valid_BS, x_BSD.dtype)[:, None])
        x_BSD = self.positions(x_BSD, first=0)
        for layer in self.layers:
            x_BSD = layer(x_BSD, valid_BS, bias)
        return with_mean(x_BSD, valid_BS)


def _shape(settings: Settings) -> Shape:
    """The parts that are a Transformer's."""
    return Shape(
        width=settings.width,
        heads=settings.heads,
        feed_forward=settings.feed_forward,
        activation="swiglu",
        position=settings.position,
        longest=settings.longest,
        dropout=settings.dropout,
        attention_dropout=settings.attention_dropout,
    )
