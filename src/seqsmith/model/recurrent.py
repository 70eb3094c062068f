"""Recurrent encoders and decoders: LSTM (Hochreiter & Schmidhuber 1997) and GRU (Cho et al. 2014).

A whole sequence runs in torch's fused kernel. Padding must not change the final state, and packed sequences are twice
as slow on CPUs, so at padded steps the gates themselves are told to hold the state: a flag beside the input opens the
LSTM's forget gate and shuts its input gate (the GRU: opens the update gate). Sigmoids of such inputs are 0 and 1
exactly.

The GRU applies its reset gate after the matrix product, as torch and cuDNN do; the paper applies it before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, assert_never

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqsmith.config import RecurrentDecoder as DecoderSettings
from seqsmith.config import RecurrentEncoder as EncoderSettings
from seqsmith.model.attention import MultiHead, SingleHead, padding_bias
from seqsmith.model.layers import Dropout, keep_scale
from seqsmith.model.linear import Linear
from seqsmith.model.memory import Decoded, Memory
from seqsmith.model.subsample import joined_pairs
from seqsmith.model.unrolled import Unrolled
from seqsmith.products import as_product_type

Cell = Literal["lstm", "gru"]
Product = Callable[[Tensor], Tensor]
Hidden = tuple[Tensor, ...]
"""The state of a layer: (h_ND, c_ND) of an LSTM, (h_ND,) of a GRU."""

# In bf16 oneDNN's LSTM takes two to six times as long for rows whose number has no divisor that suits it, and for
# inputs of an odd width, which the flag beside them is enough to make.
_ROUND_ROWS, _ROUND_INPUT = 32, 8
_HOLD = 1e4  # sigmoid(1e4) is 1 and sigmoid(-1e4) is 0 in every floating-point type


class RecurrentLayer(nn.Module):
    """One layer in one or both directions, with torch's names and layout of the weights."""

    def __init__(self, cell: Cell, input_width: int, width: int, *, bidirectional: bool = False):
        super().__init__()
        self.cell: Cell = cell
        self.width = width
        self.bidirectional = bidirectional
        gates = 4 if cell == "lstm" else 3
        for suffix in ("", "_reverse") if bidirectional else ("",):
            self.register_parameter(f"weight_ih{suffix}", nn.Parameter(torch.empty(gates * width, input_width)))
            self.register_parameter(f"weight_hh{suffix}", nn.Parameter(torch.empty(gates * width, width)))
            self.register_parameter(f"bias_ih{suffix}", nn.Parameter(torch.zeros(gates * width)))
            self.register_parameter(f"bias_hh{suffix}", nn.Parameter(torch.zeros(gates * width)))
        hold = torch.zeros(gates, width, 1)  # torch orders the gates i, f, g, o and r, z, n
        hold[1] = _HOLD
        if cell == "lstm":
            hold[0] = -_HOLD
        self.register_buffer("hold_G1", hold.flatten(0, 1), persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Glorot uniform from the input, orthogonal between steps, and a forget gate that starts open."""
        for name, parameter in self.named_parameters():
            if name.startswith("weight_ih"):
                for gate in torch.split(parameter.data, self.width):
                    nn.init.xavier_uniform_(gate)
            elif name.startswith("weight_hh"):
                for gate in torch.split(parameter.data, self.width):
                    nn.init.orthogonal_(gate)
            elif name.startswith("bias_ih") and self.cell == "lstm":
                parameter.data[self.width : 2 * self.width] = 1.0

    def forward(self, x_BLC: Tensor, *, valid_BL: Tensor | None, start: Hidden | None) -> tuple[Tensor, Hidden]:
        """Run over whole sequences -> (y_BLD, final state with the directions side by side)."""
        weights: list[Tensor] = list(self.parameters())
        x = as_product_type(x_BLC)
        if valid_BL is not None:
            x = torch.cat([x, (~valid_BL)[..., None].to(x.dtype)], dim=-1)
            hold_G1 = self.get_buffer("hold_G1")
            weights[0::4] = [torch.cat([weight, hold_G1], dim=1) for weight in weights[0::4]]
        rows = len(x)
        if self.cell == "lstm" and x.device.type == "cpu" and x.dtype == torch.bfloat16:
            more = -x.shape[2] % _ROUND_INPUT
            x = F.pad(x, (0, more, 0, 0, 0, -rows % _ROUND_ROWS))
            weights[0::4] = [F.pad(weight, (0, more)) for weight in weights[0::4]]
        if start is None:
            zero = x.new_zeros(2 if self.bidirectional else 1, len(x), self.width)
            state: Hidden = (zero, zero) if self.cell == "lstm" else (zero,)
        else:
            state = tuple(F.pad(part_ND.to(x.dtype), (0, 0, 0, len(x) - rows))[None] for part_ND in start)
        x_LPK = x.transpose(0, 1)
        options: tuple[Any, ...] = (weights, True, 1, 0.0, self.training, self.bidirectional, False)
        if self.cell == "lstm":
            y_LPD, *final = torch.lstm(x_LPK, state, *options)
        else:
            y_LPD, *final = torch.gru(x_LPK, state[0], *options)
        y_BLD = y_LPD[:, :rows].transpose(0, 1)
        final = [part[:, :rows].transpose(0, 1).flatten(1) for part in final]
        if valid_BL is not None:  # c was held, but h was not: an LSTM's output gate is still open, a GRU's sum rounds
            last = y_BLD[torch.arange(len(y_BLD)), valid_BL.sum(1) - 1, : self.width]
            final[0] = torch.cat([last, final[0][:, self.width :]], dim=1)
        return y_BLD, tuple(final)

    def project(self, x_NC: Tensor) -> Tensor:
        """The input's part of the gates, for `advance` -> gate_NG. May be taken for many steps at once."""
        return F.linear(x_NC, *self.weights("ih"))

    def recall(self, h_ND: Tensor) -> Tensor:
        """The last output's part of the gates -> recurrent_NG."""
        return F.linear(h_ND, *self.weights("hh"))

    def weights(self, part: Literal["ih", "hh"]) -> tuple[Tensor, Tensor]:
        """Weight and bias of a part of the gates: the input's or the last output's."""
        return self.get_parameter(f"weight_{part}"), self.get_parameter(f"bias_{part}")

    def advance(self, gate_NG: Tensor, recurrent_NG: Tensor, state: Hidden) -> tuple[Tensor, Hidden]:
        """One step from both parts of the gates -> (h_ND, state)."""
        match self.cell:
            case "lstm":
                input_ND, forget_ND, candidate_ND, output_ND = (gate_NG + recurrent_NG).chunk(4, dim=1)
                c_ND = torch.sigmoid(forget_ND) * state[1] + torch.sigmoid(input_ND) * torch.tanh(candidate_ND)
                h_ND = torch.sigmoid(output_ND) * torch.tanh(c_ND)
                return h_ND, (h_ND, c_ND)
            case "gru":
                reset_x, update_x, new_x = gate_NG.chunk(3, dim=1)
                reset_h, update_h, new_h = recurrent_NG.chunk(3, dim=1)
                update_ND = torch.sigmoid(update_x + update_h)
                new_ND = torch.tanh(new_x + torch.sigmoid(reset_x + reset_h) * new_h)
                h_ND = new_ND + update_ND * (state[0] - new_ND)
                return h_ND, (h_ND,)
        assert_never(self.cell)


class Between(nn.Module):
    """What stands between layers: layer norm and a residual connection, each if wanted, then dropout."""

    def __init__(self, width: int, *, residual: bool, layer_norm: bool, dropout: Dropout):
        super().__init__()
        self.residual = residual
        self.norm = nn.LayerNorm(width) if layer_norm else nn.Identity()
        self.dropout = dropout

    def forward(self, y: Tensor, x: Tensor, keep: Tensor | None = None) -> Tensor:
        y = self.norm(y)
        out: Tensor = self.dropout(y + x if self.residual and x.shape[-1] == y.shape[-1] else y, keep)
        return out


class RecurrentEncoder(nn.Module):
    """x_BSC -> Memory. The context vector is the last layer's final state: h, and c of an LSTM, of each direction.

    A pyramid joins two neighbours before each layer but the first, so its memory has fewer steps.
    """

    def __init__(self, settings: EncoderSettings, input_width: int):
        super().__init__()
        self.width = settings.width
        self.context_width = settings.width * (2 if settings.kind == "lstm" else 1)
        dropout = Dropout(settings.dropout, shared_axis=1 if settings.variational else None)
        self.dropout = dropout
        each = settings.width // 2 if settings.bidirectional else settings.width
        self.pyramid = settings.pyramid
        widths = [input_width] + [settings.width * (2 if settings.pyramid else 1)] * (settings.layers - 1)
        self.layers = nn.ModuleList(
            RecurrentLayer(settings.kind, width, each, bidirectional=settings.bidirectional) for width in widths
        )
        self.between = nn.ModuleList(
            Between(self.width, residual=settings.residual, layer_norm=settings.layer_norm, dropout=dropout)
            for _ in widths
        )

    def forward(self, x_BSC: Tensor, valid_BS: Tensor) -> Memory:
        x, valid = self.dropout(x_BSC), valid_BS
        final: Hidden = ()
        for layer, between in zip(self.layers, self.between, strict=True):
            if self.pyramid and layer is not self.layers[0]:
                x, valid = joined_pairs(x, valid)
            y, final = layer(x, valid_BL=valid, start=None)
            x = between(y, x)
        return Memory(x, valid, torch.cat(final, dim=1))


@dataclass(frozen=True)
class Products:
    """What a step of a decoder multiplies by weights, each as a function of its input."""

    project: list[Product]  # of each layer
    recall: list[Product]
    combine: Product | None


class RecurrentDecoder(nn.Module):
    """Previous tokens and a memory to attentional states (Luong et al. 2015, equations 5 and 6).

    Each layer's start state is a linear image of the encoder's context vector, or the vector itself: without attention
    (the classic model of Sutskever et al. 2014) that is all the decoder learns of the source. With input feeding the
    attentional state enters the next step's input (section 3.3); without it the whole target is one call. The additive
    score looks with the new state, where Bahdanau et al. (2015) look with the old one. With coverage it sees how much
    of each memory step was looked at before (See et al. 2017, section 2.3), and the target is a loop too.
    """

    layers: Sequence[RecurrentLayer]

    def __init__(
        self, settings: DecoderSettings, *, input_width: int, memory_width: int, context_width: int, output_width: int
    ):
        super().__init__()
        self.settings = settings
        width = settings.width
        self.input_width, self.output_width = input_width, output_width
        self.parts = 2 if settings.kind == "lstm" else 1
        bridged = settings.start == "bridge"
        self.bridge = Linear(context_width, settings.layers * self.parts * width) if bridged else None
        dropout = Dropout(settings.dropout, shared_axis=1 if settings.variational else None)
        self.dropout = dropout
        first_width = input_width + (output_width if settings.input_feeding else 0)
        widths = [first_width] + [width] * (settings.layers - 1)
        self.layers = nn.ModuleList(RecurrentLayer(settings.kind, each, width) for each in widths)  # type: ignore[assignment]
        self.between = nn.ModuleList(
            Between(width, residual=settings.residual, layer_norm=settings.layer_norm, dropout=dropout) for _ in widths
        )
        self.attention = _attention(settings, memory_width)
        context = 0 if self.attention is None else width if settings.attention == "multihead" else memory_width
        self.combine = Linear(width + context, output_width) if context or output_width != width else None

    @property
    def products(self) -> Products:
        """By the weights themselves."""
        return Products([layer.project for layer in self.layers], [layer.recall for layer in self.layers], self.combine)

    def unrolled_products(self) -> Products:
        """The same for a loop over the steps of a whole target."""
        return Products(
            [Unrolled(*layer.weights("ih")) for layer in self.layers],
            [Unrolled(*layer.weights("hh")) for layer in self.layers],
            self.combine and Unrolled(self.combine.weight, self.combine.bias),
        )

    def look(self, memory: Memory) -> dict[str, Tensor]:
        """Keys, values and padding of the memory, once for each source."""
        if self.attention is None:
            return {"valid_BS": memory.valid_BS}
        key, value = self.attention.remember(memory.x_BSD)
        return {"key": key, "value": value, "bias_B1S": padding_bias(memory.valid_BS, key.dtype)}

    def start(self, memory: Memory) -> dict[str, Any]:
        """The state before the first step, one row a source; of variational dropout it holds the masks of all steps."""
        row, dropout, like = self._begin(memory), self.dropout, memory.context_BZ
        if dropout.now and dropout.shared_axis is not None:
            widths = [self.input_width, *(layer.width for layer in self.layers), self.output_width]
            row["keep"] = [keep_scale([len(like), width], dropout.rate, like=like) for width in widths]
        return row

    def _begin(self, memory: Memory) -> dict[str, Any]:
        layers = len(self.layers)
        start = memory.context_BZ.repeat(1, layers) if self.bridge is None else self.bridge(memory.context_BZ)
        pieces = start.chunk(layers * self.parts, dim=1)
        hidden = [tuple(pieces[i : i + self.parts]) for i in range(0, len(pieces), self.parts)]
        row: dict[str, Any] = {"hidden": hidden}
        if self.settings.input_feeding:
            row["fed_ND"] = memory.context_BZ.new_zeros(len(memory.context_BZ), self.output_width)
        if self.settings.coverage:
            exact = torch.promote_types(memory.context_BZ.dtype, torch.float32)  # it is a long sum
            row["coverage_NS"] = memory.context_BZ.new_zeros(memory.valid_BS.shape, dtype=exact)
        return row

    def forward(self, x_BTC: Tensor, memory: Memory, *, attention: bool = False) -> Decoded:
        """Teacher forcing over the whole target."""
        source, x = self.look(memory), self.dropout(x_BTC)
        looped = self.settings.input_feeding or self.settings.coverage
        y_BTO, weight_BTS = (
            self._loop(x, memory, source) if looped else self._at_once(x, memory, source, openly=attention)
        )
        return Decoded(y_BTO, weight_BTS if attention else None)

    def _at_once(
        self, x: Tensor, memory: Memory, source: dict[str, Any], *, openly: bool
    ) -> tuple[Tensor, Tensor | None]:
        for layer, between, hidden in zip(self.layers, self.between, self._begin(memory)["hidden"], strict=True):
            y, _ = layer(x, valid_BL=None, start=hidden)
            x = between(y, x)
        return self._attend(x, source, self.combine, openly=openly)

    def _loop(self, x_BTC: Tensor, memory: Memory, source: dict[str, Any]) -> tuple[Tensor, Tensor | None]:
        states, weights, row = [], [], self.start(memory)
        products = self.unrolled_products()
        if isinstance(self.attention, SingleHead):
            key, value = self.attention.unrolled(source["key"], source["value"])
            source = {**source, "key": key, "value": value}
        for x_NC in x_BTC.unbind(1):
            y_B1O, weight_B1S, row = self._advance(x_NC, row, source, products)
            states.append(y_B1O)
            weights.append(weight_B1S)
        return torch.cat(states, dim=1), torch.cat(weights, dim=1)

    def step(
        self, x_NC: Tensor, row: dict[str, Any], source: dict[str, Tensor], *, attention: bool = False
    ) -> tuple[Decoded, dict[str, Any]]:
        """One target step for N = B*W rows -> y of shape (B, W, ...) and attention where asked for, state."""
        keep_ND = row["keep"][0] if "keep" in row else None
        y_BWO, weight_BWS, row = self._advance(self.dropout(x_NC, keep_ND), row, source, self.products)
        return Decoded(y_BWO, weight_BWS if attention else None), row

    def _advance(
        self, x_NC: Tensor, row: dict[str, Any], source: dict[str, Any], products: Products
    ) -> tuple[Tensor, Tensor, dict[str, Any]]:
        x = torch.cat([x_NC, row["fed_ND"]], dim=1) if self.settings.input_feeding else x_NC
        hidden: list[Hidden] = []
        _, *keeps, keep_NO = row.get("keep", [None] * (len(self.layers) + 2))
        parts = zip(self.layers, products.project, products.recall, self.between, row["hidden"], keeps, strict=True)
        for layer, project, recall, between, before, keep in parts:
            y, after = layer.advance(project(x), recall(before[0]), before)
            hidden.append(after)
            x = between(y, x, keep)
        sources = len(source["valid_BS" if self.attention is None else "bias_B1S"])
        x_BWD, coverage = torch.unflatten(x, 0, (sources, -1)), row.get("coverage_NS")
        coverage_BWS = None if coverage is None else torch.unflatten(coverage, 0, (sources, -1))
        y_BWO, weight_BWS = self._attend(x_BWD, source, products.combine, keep_NO, coverage_BWS)
        assert weight_BWS is not None
        following: dict[str, Any] = {**row, "hidden": hidden}
        if coverage_BWS is not None:
            following["coverage_NS"] = (coverage_BWS + weight_BWS).flatten(0, 1)
        if self.settings.input_feeding:
            following["fed_ND"] = y_BWO.flatten(0, 1)
        return y_BWO, weight_BWS, following

    def _attend(
        self,
        x_BTD: Tensor,
        source: dict[str, Any],
        combine: Product | None,
        keep_NO: Tensor | None = None,
        coverage_BTS: Tensor | None = None,
        *,
        openly: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        """The attentional states, or what stands for them, and the weights; several heads have these only `openly`
        -> (y_BTO, weight_BTS)."""
        if self.attention is None:
            weight_BTS = source["valid_BS"][:, None].to(x_BTD.dtype).expand(-1, x_BTD.shape[1], -1)
            weight_BTS = weight_BTS / weight_BTS.sum(-1, keepdim=True)
            y = x_BTD if combine is None else torch.tanh(combine(x_BTD))
            return y, weight_BTS
        key, value, bias_B1S = source["key"], source["value"], source["bias_B1S"]
        weight_BTS = None
        if isinstance(self.attention, MultiHead) and not openly:
            context = self.attention(x_BTD, key, value, bias=bias_B1S[:, None])
        elif isinstance(self.attention, MultiHead):
            context, weight_BTS = self.attention.openly(x_BTD, key, value, bias=bias_B1S[:, None])
        else:
            context, weight_BTS = self.attention(x_BTD, key, value, bias_B1S=bias_B1S, coverage_BTS=coverage_BTS)
        assert combine is not None
        y = torch.tanh(combine(torch.cat([x_BTD, context], dim=-1)))
        return self.dropout(y, keep_NO), weight_BTS


def _attention(settings: DecoderSettings, memory_width: int) -> SingleHead | MultiHead | None:
    match settings.attention:
        case "none":
            return None
        case "additive" | "dot" | "general":
            return SingleHead(
                settings.attention,
                query_width=settings.width,
                memory_width=memory_width,
                coverage=settings.coverage,
            )
        case "multihead":
            return MultiHead(settings.width, memory_width=memory_width, heads=settings.heads)
    assert_never(settings.attention)
