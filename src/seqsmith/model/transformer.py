"""Transformer encoder and decoder (Vaswani et al. 2017).

Differs from the paper by default: the norm stands before each part and once more at the end (Xiong et al. 2020), and
positions are rotary (Su et al. 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from seqsmith import native
from seqsmith.config import Transformer as Settings
from seqsmith.model.attention import MultiHead, Remembered, causal_bias, padding_bias
from seqsmith.model.layers import Dropout, FeedForward, norm
from seqsmith.model.linear import into_rows, out_of_rows
from seqsmith.model.memory import Decoded, Memory
from seqsmith.model.position import LearnedPositions, RelativeBias, sinusoid
from seqsmith.products import as_product_type, as_sum_type, product_type


class Part(nn.Module):
    """x + part(x), with the norm before the part or after the sum, and dropout on what the part adds."""

    def __init__(self, settings: Settings):
        super().__init__()
        self.first = settings.norm_first
        self.norm = norm(settings.norm, settings.width)
        self.dropout = Dropout(settings.dropout)

    def enter(self, x: Tensor) -> Tensor:
        norm = self.norm
        if self.first and isinstance(norm, nn.LayerNorm) and x.dtype == torch.float32 and native.help_train(x):
            return native.layer_norm(x, norm.weight, norm.bias, epsilon=norm.eps, dtype=product_type(x))
        return as_product_type(self.norm(x) if self.first else x)

    def leave(self, x: Tensor, y: Tensor) -> Tensor:
        y = self.dropout.added_to(x, y)
        return y if self.first else self.norm(y)


class Positions(nn.Module):
    """Positions that are added to the steps (sinusoidal, learned) or to the attention scores (relative)."""

    def __init__(self, settings: Settings):
        super().__init__()
        self.kind = settings.position
        self.learned = LearnedPositions(settings.longest, settings.width) if self.kind == "learned" else None
        self.relative = RelativeBias(settings.heads) if self.kind == "relative" else None
        self.dropout = Dropout(settings.dropout)

    def forward(self, x_BLD: Tensor, *, first: int) -> Tensor:
        x_BLD = as_sum_type(x_BLD)  # projections and convolutions hand over half
        length, width = x_BLD.shape[1:]
        if self.kind == "sinusoidal":
            x_BLD = x_BLD + sinusoid(first, length, width, like=x_BLD)
        if self.learned is not None:
            x_BLD = x_BLD + self.learned(first, length)
        y: Tensor = self.dropout(x_BLD)
        return y

    def biased(self, bias: Tensor) -> Tensor:
        """The bias of the scores of whole sequences, with what relative positions add to it."""
        length = bias.shape[-1]
        return bias if self.relative is None else bias + self.relative(0, length, length)

    def bias(self, step: int) -> Tensor | None:
        """What relative positions add to the scores of this step over those up to it -> bias_1H1S."""
        return None if self.relative is None else self.relative(step, 1, step + 1)


def self_attention(settings: Settings) -> MultiHead:
    return MultiHead(
        settings.width,
        memory_width=settings.width,
        heads=settings.heads,
        key_value_heads=settings.key_value_heads,
        dropout=settings.attention_dropout,
        rotary=settings.position == "rotary",
    )


def feed_forward(settings: Settings) -> FeedForward:
    return FeedForward(settings.width, settings.feed_forward, activation=settings.activation, dropout=settings.dropout)


class EncoderLayer(nn.Module):
    def __init__(self, settings: Settings):
        super().__init__()
        self.self_part, self.self_attention = Part(settings), self_attention(settings)
        self.forward_part, self.feed_forward = Part(settings), feed_forward(settings)

    def forward(self, x_PD: Tensor, shape: tuple[int, int], bias: Tensor) -> Tensor:
        """The steps of sequences of this shape, (B, S), in rows -> x_PD."""
        y_PD = self.self_attention.within(self.self_part.enter(x_PD), shape, bias=bias)
        x_PD = self.self_part.leave(x_PD, y_PD)
        y_PD = self.feed_forward(self.forward_part.enter(x_PD))
        return self.forward_part.leave(x_PD, y_PD)


class TransformerEncoder(nn.Module):
    """x_BSD -> Memory."""

    def __init__(self, settings: Settings):
        super().__init__()
        self.width = self.context_width = settings.width
        self.positions = Positions(settings)
        self.layers = nn.ModuleList(EncoderLayer(settings) for _ in range(settings.layers))
        self.norm = norm(settings.norm, settings.width) if settings.norm_first else nn.Identity()

    def forward(self, x_BSD: Tensor, valid_BS: Tensor) -> Memory:
        bias = self.positions.biased(padding_bias(valid_BS, x_BSD.dtype)[:, None])
        x_BSD = self.positions(x_BSD, first=0)
        shape, x_PD = (len(x_BSD), x_BSD.shape[1]), into_rows(x_BSD)
        for layer in self.layers:
            x_PD = layer(x_PD, shape, bias)
        x_BSD = out_of_rows(self.norm(x_PD), shape)
        return with_mean(x_BSD, valid_BS)


def with_mean(x_BSD: Tensor, valid_BS: Tensor) -> Memory:
    """Memory whose context vector is the mean over the real steps."""
    real_BS1 = valid_BS[..., None]
    context_BZ = torch.where(real_BS1, x_BSD, 0.0).sum(1) / real_BS1.sum(1)
    return Memory(x_BSD, valid_BS, context_BZ)


class DecoderLayer(nn.Module):
    def __init__(self, settings: Settings, memory_width: int):
        super().__init__()
        self.self_part, self.self_attention = Part(settings), self_attention(settings)
        self.cross_part = Part(settings)
        self.cross_attention = MultiHead(
            settings.width,
            memory_width=memory_width,
            heads=settings.heads,
            key_value_heads=settings.key_value_heads,
            dropout=settings.attention_dropout,
        )
        self.forward_part, self.feed_forward = Part(settings), feed_forward(settings)

    def forward(
        self, x_PD: Tensor, memory: Tensor, shape: tuple[int, int], bias: Tensor, memory_bias: Tensor, *, openly: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Whole targets of this shape, (B, T), and their memory, both in rows -> (x_PD, weight_BTS where wanted)."""
        y_PD = self.self_attention.within(self.self_part.enter(x_PD), shape, bias=bias)
        x_PD = self.self_part.leave(x_PD, y_PD)
        y_PD, weight_BTS = self.cross_part.enter(x_PD), None
        if openly:
            memory_BSD = out_of_rows(memory, (shape[0], memory_bias.shape[-1]))
            key, value = self.cross_attention.remember(memory_BSD)
            y_BTD, weight_BTS = self.cross_attention.openly(out_of_rows(y_PD, shape), key, value, bias=memory_bias)
            y_PD = into_rows(y_BTD)
        else:
            y_PD = self.cross_attention.across(y_PD, memory, shape, bias=memory_bias)
        return self._feed(self.cross_part.leave(x_PD, y_PD)), weight_BTS

    def step(
        self,
        x_N1D: Tensor,
        past: Remembered,
        bias: Tensor | None,
        memory: Remembered,
        memory_bias: Tensor,
        *,
        openly: bool,
    ) -> tuple[Tensor, Remembered, Tensor | None]:
        """The next step of N = B*W rows, after those whose keys and values are `past` -> (x_N1D, past, weight_BWS)."""
        y_N1D, past = self.self_attention.after(self.self_part.enter(x_N1D), past, bias=bias)
        x_BWD = torch.unflatten(self.self_part.leave(x_N1D, y_N1D)[:, 0], 0, (len(memory_bias), -1))
        y_BWD, weight_BWS = self.cross_part.enter(x_BWD), None
        if openly:
            y_BWD, weight_BWS = self.cross_attention.openly(y_BWD, *memory, bias=memory_bias)
        else:
            y_BWD = self.cross_attention(y_BWD, *memory, bias=memory_bias)
        x_BWD = self._feed(self.cross_part.leave(x_BWD, y_BWD))
        return x_BWD.flatten(0, 1)[:, None], past, weight_BWS

    def _feed(self, x: Tensor) -> Tensor:
        return self.forward_part.leave(x, self.feed_forward(self.forward_part.enter(x)))


class TransformerDecoder(nn.Module):
    """Previous tokens and a memory to the states that predict the next ones."""

    layers: Sequence[DecoderLayer]

    def __init__(self, settings: Settings, *, memory_width: int):
        super().__init__()
        self.output_width = settings.width
        self.positions = Positions(settings)
        self.layers = nn.ModuleList(DecoderLayer(settings, memory_width) for _ in range(settings.layers))  # type: ignore[assignment]
        self.norm = norm(settings.norm, settings.width) if settings.norm_first else nn.Identity()

    def look(self, memory: Memory) -> dict[str, Any]:
        """Every layer's keys and values of the memory, once for each source, laid out as each step multiplies them."""
        x_BSD = as_product_type(memory.x_BSD)
        remembered = (layer.cross_attention.remember(x_BSD) for layer in self.layers)
        laid_out = [(key.contiguous(), value.contiguous()) for key, value in remembered]
        return {"memory": laid_out, "bias_B1S": padding_bias(memory.valid_BS, memory.x_BSD.dtype)}

    def start(self, memory: Memory) -> dict[str, Any]:
        """No past: keys and values of length 0, one row a source."""
        return {"past": [layer.self_attention.remember(memory.x_BSD.new_zeros(len(memory.x_BSD), 0, self.output_width))
                         for layer in self.layers]}  # fmt: skip

    def forward(self, x_BTD: Tensor, memory: Memory, *, attention: bool = False) -> Decoded:
        """Teacher forcing over the whole target."""
        length = x_BTD.shape[1]
        bias = self.positions.biased(causal_bias(length, like=x_BTD))
        memory_bias = padding_bias(memory.valid_BS, memory.x_BSD.dtype)[:, None]
        shape, x_PD = (len(x_BTD), length), into_rows(self.positions(x_BTD, first=0))
        weight_BTS, looked_at = None, into_rows(as_product_type(memory.x_BSD))
        for layer in self.layers:
            openly = attention and layer is self.layers[-1]
            x_PD, weight_BTS = layer(x_PD, looked_at, shape, bias, memory_bias, openly=openly)
        return Decoded(out_of_rows(self.norm(x_PD), shape), weight_BTS)

    def step(
        self, x_ND: Tensor, row: dict[str, Any], source: dict[str, Any], *, attention: bool = False
    ) -> tuple[Decoded, dict[str, Any]]:
        """One target step for N = B*W rows -> y of shape (B, W, ...) and attention where asked for, state."""
        first, memory_bias = row["past"][0][0].shape[2], source["bias_B1S"][:, None]
        bias = self.positions.bias(first)
        x_N1D, past, weight_BWS = self.positions(x_ND[:, None], first=first), [], None
        for layer, before, memory in zip(self.layers, row["past"], source["memory"], strict=True):
            openly = attention and layer is self.layers[-1]
            x_N1D, present, weight_BWS = layer.step(x_N1D, before, bias, memory, memory_bias, openly=openly)
            past.append(present)
        y_BWD = torch.unflatten(self.norm(x_N1D)[:, 0], 0, (len(memory_bias), -1))
        return Decoded(y_BWD, weight_BWS), {"past": past}
