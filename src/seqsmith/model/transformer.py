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
from seqsmith.model.linear import as_product_type, as_sum_type, product_type
from seqsmith.model.memory import Decoded, Memory
from seqsmith.model.position import LearnedPositions, RelativeBias, sinusoid


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

    def bias(self, *, first: int, num_query: int, num_key: int) -> Tensor | None:
        """What relative positions add to the scores -> bias_1HTS."""
        return None if self.relative is None else self.relative(first, num_query, num_key)


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


def _add(left: Tensor | None, right: Tensor | None) -> Tensor | None:
    return right if left is None else left if right is None else left + right


class EncoderLayer(nn.Module):
    def __init__(self, settings: Settings):
        super().__init__()
        self.self_part, self.self_attention = Part(settings), self_attention(settings)
        self.forward_part, self.feed_forward = Part(settings), feed_forward(settings)

    def forward(self, x_BSD: Tensor, bias: Tensor) -> Tensor:
        y_BSD = self.self_attention.within(self.self_part.enter(x_BSD), bias=bias)
        x_BSD = self.self_part.leave(x_BSD, y_BSD)
        y_BSD = self.feed_forward(self.forward_part.enter(x_BSD))
        return self.forward_part.leave(x_BSD, y_BSD)


class TransformerEncoder(nn.Module):
    """x_BSD -> Memory. The context vector is the mean over the real steps."""

    def __init__(self, settings: Settings):
        super().__init__()
        self.width = self.context_width = settings.width
        self.positions = Positions(settings)
        self.layers = nn.ModuleList(EncoderLayer(settings) for _ in range(settings.layers))
        self.norm = norm(settings.norm, settings.width) if settings.norm_first else nn.Identity()

    def forward(self, x_BSD: Tensor, valid_BS: Tensor) -> Memory:
        length = x_BSD.shape[1]
        relative = self.positions.bias(first=0, num_query=length, num_key=length)
        bias = _add(padding_bias(valid_BS, x_BSD.dtype)[:, None], relative)
        x_BSD = self.positions(x_BSD, first=0)
        for layer in self.layers:
            x_BSD = layer(x_BSD, bias)
        x_BSD = self.norm(x_BSD)
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

    def attend_self(self, x_BTD: Tensor, bias: Tensor) -> Tensor:
        """The part over the whole target."""
        y_BTD = self.self_attention.within(self.self_part.enter(x_BTD), bias=bias)
        return self.self_part.leave(x_BTD, y_BTD)

    def go_on(self, x_N1D: Tensor, past: Remembered, bias: Tensor | None) -> tuple[Tensor, Remembered]:
        """The part over the next step; `past` are the keys and values of earlier ones -> (x_N1D, past)."""
        y_N1D, present = self.self_attention.after(self.self_part.enter(x_N1D), past, bias=bias)
        return self.self_part.leave(x_N1D, y_N1D), present

    def attend_memory(
        self, x_BTD: Tensor, key: Tensor, value: Tensor, bias: Tensor, *, openly: bool
    ) -> tuple[Tensor, Tensor | None]:
        """The part over the memory -> (x_BTD, weight_BTS where it is wanted)."""
        inner_BTD = self.cross_part.enter(x_BTD)
        weight_BTS = None
        if openly:
            y_BTD, weight_BTS = self.cross_attention.openly(inner_BTD, key, value, bias=bias)
        else:
            y_BTD = self.cross_attention(inner_BTD, key, value, bias=bias)
        return self.cross_part.leave(x_BTD, y_BTD), weight_BTS

    def feed(self, x: Tensor) -> Tensor:
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

    def forward(self, x_BTD: Tensor, memory: Memory) -> Decoded:
        """Teacher forcing over the whole target."""
        length = x_BTD.shape[1]
        bias = _add(causal_bias(length, like=x_BTD), self.positions.bias(first=0, num_query=length, num_key=length))
        x_BTD = self.positions(x_BTD, first=0)
        return self._through(x_BTD, None, self.look(memory), bias)[0]

    def step(self, x_ND: Tensor, row: dict[str, Any], source: dict[str, Any]) -> tuple[Decoded, dict[str, Any]]:
        """One target step for N = B*W rows -> y and attention of shape (B, W, ...), state."""
        first = row["past"][0][0].shape[2]
        bias = self.positions.bias(first=first, num_query=1, num_key=first + 1)
        x_N1D = self.positions(x_ND[:, None], first=first)
        decoded, past = self._through(x_N1D, row["past"], source, bias)
        return decoded, {"past": past}

    def _through(
        self, x: Tensor, past: list[Any] | None, source: dict[str, Any], bias: Tensor | None
    ) -> tuple[Decoded, list[Any]]:
        memory_bias = source["bias_B1S"][:, None]
        sources = len(memory_bias)
        weight_BTS, present = None, []
        for index, layer in enumerate(self.layers):
            if past is None:
                assert bias is not None
                x_BTD = layer.attend_self(x, bias)
            else:
                x, grown = layer.go_on(x, past[index], bias)
                present.append(grown)
                x_BTD = torch.unflatten(x[:, 0], 0, (sources, -1))
            last = index == len(self.layers) - 1
            key, value = source["memory"][index]
            x_BTD, weight_BTS = layer.attend_memory(x_BTD, key, value, memory_bias, openly=last)
            x_BTD = layer.feed(x_BTD)
            x = x_BTD if past is None else x_BTD.flatten(0, 1)[:, None]
        assert weight_BTS is not None
        return Decoded(self.norm(x_BTD), weight_BTS), present
