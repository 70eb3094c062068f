"""Attention: each query takes a weighted mean of the values, with weights from how well the keys fit it.

Several heads (Vaswani et al. 2017, section 3.2.2), grouped queries (Ainslie et al. 2023) and the single-head scores of
the recurrent models: additive (Bahdanau et al. 2015, appendix A.1.2), dot and general (Luong et al. 2015, equation 8).

Beam search hands over W neighbouring rows for each source: they are W queries to one memory, which is never copied.
"""

from __future__ import annotations

from typing import Literal, assert_never

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqsmith import native
from seqsmith.model.layers import Dropout
from seqsmith.model.linear import Linear, into_rows, out_of_rows, side_by_side
from seqsmith.model.position import rotate, turn
from seqsmith.model.unrolled import Unrolled
from seqsmith.pieces import in_pieces

Remembered = tuple[Tensor, Tensor]
"""Keys and values, key_BHSK and value_BHSK."""

_MANY = 2**14  # scores of a head; on CPUs torch's fused kernel is up to twice as fast from here on, in fp32
_AT_ONCE, _AT_ONCE_ON_GPU = 2**21, 2**26  # numbers that scores are made of, or scores of all heads: 8 and 256 MB


def padding_bias(valid_BS: Tensor, dtype: torch.dtype) -> Tensor:
    """-inf where there is only padding, to be added to the scores -> bias_B1S."""
    return torch.zeros(valid_BS.shape, dtype=dtype, device=valid_BS.device).masked_fill_(~valid_BS, -torch.inf)[:, None]


def causal_bias(length: int, *, like: Tensor) -> Tensor:
    """-inf for every key after its query -> bias_TS."""
    return torch.full((length, length), -torch.inf, dtype=like.dtype, device=like.device).triu_(1)


def attend_openly(
    query_BHTK: Tensor, key_BHSK: Tensor, value_BHSK: Tensor, *, bias: Tensor | None, dropout: Dropout
) -> tuple[Tensor, Tensor]:
    """softmax(query key' / sqrt(K) + bias) value, and the weights before dropout -> (y_BHTK, weight_BHTS)."""
    score_BHTS = (query_BHTK * query_BHTK.shape[-1] ** -0.5) @ key_BHSK.transpose(-1, -2)
    weight_BHTS = (score_BHTS if bias is None else score_BHTS + bias.to(score_BHTS.dtype)).softmax(-1)
    return dropout(weight_BHTS) @ value_BHSK, weight_BHTS


def attend(
    query_BHTK: Tensor,
    key_BHSK: Tensor,
    value_BHSK: Tensor,
    *,
    bias: Tensor | None,
    dropout: Dropout,
) -> Tensor:
    """The same without the weights: fused on GPUs, and on CPUs where the scores are many, which are then never kept.

    On CPUs the fused kernel has no dropout, no gradient for a bias, and in bf16 a slow backward pass; there the queries
    come by pieces -> y_BHTK.
    """
    rate = dropout.now
    if not query_BHTK.is_cuda:
        many = query_BHTK.shape[2] * key_BHSK.shape[2] >= _MANY or _scores(query_BHTK, key_BHSK) > _AT_ONCE
        exact = query_BHTK.dtype in (torch.float32, torch.float64)
        if not many or not exact or rate or (bias is not None and bias.requires_grad):
            return _attend_by_pieces(query_BHTK, key_BHSK, value_BHSK, bias=bias, dropout=dropout)
    mask = None if bias is None else bias.to(query_BHTK.dtype)
    return F.scaled_dot_product_attention(query_BHTK, key_BHSK, value_BHSK, attn_mask=mask, dropout_p=rate)


def _attend_by_pieces(
    query_BHTK: Tensor, key_BHSK: Tensor, value_BHSK: Tensor, *, bias: Tensor | None, dropout: Dropout
) -> Tensor:
    def of(query: Tensor, own: Tensor | None, key: Tensor, value: Tensor, shared: Tensor | None) -> Tensor:
        return attend_openly(query, key, value, bias=shared if own is None else own, dropout=dropout)[0]

    one_for_all = bias is None or bias.shape[-2] == 1
    own, shared = (None, bias) if one_for_all else (bias, None)
    step = _step(query_BHTK.shape[2], numbers=_scores(query_BHTK, key_BHSK), most=_AT_ONCE)
    return in_pieces(of, cut=[query_BHTK, own], whole=[key_BHSK, value_BHSK, shared], step=step)


def _scores(query_BHTK: Tensor, key_BHSK: Tensor) -> int:
    """How many there are of all heads."""
    return query_BHTK[..., 0].numel() * key_BHSK.shape[2]


def _step(queries: int, *, numbers: int, most: int) -> int:
    """How many queries to take at a time, so that they take at most so many numbers where all take `numbers`."""
    return max(1, -(-queries // max(1, -(-numbers // most))))


class MultiHead(nn.Module):
    """Queries from x_BTD attend to keys and values made of a memory of any width."""

    def __init__(
        self,
        width: int,
        *,
        memory_width: int,
        heads: int,
        key_value_heads: int | None = None,
        dropout: float = 0.0,
        rotary: bool = False,
    ):
        super().__init__()
        self.heads, self.key_value_heads = heads, key_value_heads or heads
        self.rotary = rotary
        self.query = Linear(width, width)
        self.key = Linear(memory_width, width // heads * self.key_value_heads)
        self.value = Linear(memory_width, width // heads * self.key_value_heads)
        self.out = Linear(width, width)
        self.dropout = Dropout(dropout)

    def remember(self, x_BSD: Tensor) -> Remembered:
        """Keys and values of the memory, once for all queries."""
        key, value = side_by_side(x_BSD, [self.key, self.value])
        return self._split(key, 0), self._split(value)

    def forward(self, x_BTD: Tensor, key: Tensor, value: Tensor, *, bias: Tensor | None) -> Tensor:
        """-> y_BTD. Keys and values are what `remember` gave."""
        return self._merge(self._look(self._split(self.query(x_BTD), 0), key, value, bias))

    def within(self, x_PD: Tensor, shape: tuple[int, int], *, bias: Tensor) -> Tensor:
        """Attention to each other of all steps of sequences of this shape, (B, T), which lie in rows -> y_PD."""
        query_PD, key, value = side_by_side(x_PD, [self.query, self.key, self.value])
        return self._by_rows(query_PD, key, value, shape, bias=bias)

    def across(self, x_PD: Tensor, memory: Tensor, shape: tuple[int, int], *, bias: Tensor) -> Tensor:
        """Attention of all steps to a memory, both in rows -> y_PD."""
        key, value = side_by_side(memory, [self.key, self.value])
        return self._by_rows(self.query(x_PD), key, value, shape, bias=bias)

    def _by_rows(self, query_PD: Tensor, key: Tensor, value: Tensor, shape: tuple[int, int], *, bias: Tensor) -> Tensor:
        (sequences, queries), keys = shape, bias.shape[-1]
        sizes = sequences, self.heads, queries, keys
        alone = self.heads == self.key_value_heads and not self.dropout.now
        if alone and native.attends(query_PD, key, value, bias, sizes):
            turn_2LJ = None
            if self.rotary:
                width = query_PD.shape[1] // self.heads
                turn_2LJ = turn(0, keys, width, dtype=torch.float32, device=query_PD.device)
            y_PD = native.attend(query_PD, key, value, bias, turn_2LJ, sizes)
        else:
            first = 0 if self.rotary else None
            query_BHTK = self._split(out_of_rows(query_PD, shape), first)
            key, value = (out_of_rows(x, (sequences, keys)) for x in (key, value))
            memory = self._grouped(query_BHTK, self._split(key, first), self._split(value))
            y_PD = into_rows(attend(*memory, bias=bias, dropout=self.dropout).transpose(1, 2).flatten(2))
        return self.out(y_PD)  # type: ignore[no-any-return]

    def after(self, x_N1D: Tensor, past: Remembered, *, bias: Tensor | None) -> tuple[Tensor, Remembered]:
        """Attention of the next step to itself and to those before -> (y_N1D, keys and values with its own)."""
        first = past[0].shape[2]
        query, key, value = side_by_side(x_N1D, [self.query, self.key, self.value])
        present = torch.cat([past[0], self._split(key, first)], 2), torch.cat([past[1], self._split(value)], 2)
        return self._merge(self._look(self._split(query, first), *present, bias)), present

    def openly(self, x_BTD: Tensor, key: Tensor, value: Tensor, *, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """The same, with the mean of the heads' weights -> (y_BTD, weight_BTS)."""
        query_BHTK, *memory = self._grouped(self._split(self.query(x_BTD), 0), key, value)
        y_BHTK, weight_BHTS = attend_openly(query_BHTK, *memory, bias=bias, dropout=self.dropout)
        return self._merge(y_BHTK), weight_BHTS.mean(1)

    def _look(self, query_BHTK: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
        """Attention of few queries, such as the next step's -> y_BHTK. Those that share keys are more queries to them,
        so that no memory is copied."""
        groups = self.key_value_heads, self.heads // self.key_value_heads
        if groups[1] == 1 or (bias is not None and bias.shape[-2] > 1):
            return attend(*self._grouped(query_BHTK, key, value), bias=bias, dropout=self.dropout)
        if bias is not None and bias.shape[1] == self.heads:
            bias = torch.unflatten(bias, 1, groups).flatten(2, 3)
        query = torch.unflatten(query_BHTK, 1, groups).flatten(2, 3)
        y = attend(query, key, value, bias=bias, dropout=self.dropout)
        return torch.unflatten(y, 2, (groups[1], -1)).flatten(1, 2)

    def _grouped(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        share = self.heads // self.key_value_heads
        if share > 1:
            key, value = key.repeat_interleave(share, 1), value.repeat_interleave(share, 1)
        return query, key, value

    def _split(self, x_BLD: Tensor, rotary_from: int | None = None) -> Tensor:
        """-> x_BHLK, turned from that position on if the positions are rotary."""
        x_BHLK = torch.unflatten(x_BLD, -1, (-1, self.query.out_features // self.heads)).transpose(1, 2)
        return x_BHLK if rotary_from is None or not self.rotary else rotate(x_BHLK, rotary_from)

    def _merge(self, y_BHTK: Tensor) -> Tensor:
        y_BTD: Tensor = self.out(y_BHTK.transpose(1, 2).flatten(2))
        return y_BTD


class SingleHead(nn.Module):
    """One set of weights for each query, and the memory itself for values, as the recurrent models have it."""

    def __init__(
        self,
        kind: Literal["additive", "dot", "general"],
        *,
        query_width: int,
        memory_width: int,
        coverage: bool = False,
    ):
        super().__init__()
        self.kind = kind
        self.key = nn.Identity() if kind == "dot" else Linear(memory_width, query_width, bias=False)
        self.query = Linear(query_width, query_width) if kind == "additive" else nn.Identity()
        self.energy = nn.Parameter(torch.randn(query_width) * query_width**-0.5) if kind == "additive" else None
        self.covered = nn.Parameter(torch.randn(query_width) * query_width**-0.5) if coverage else None

    def remember(self, x_BSD: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of the memory, once for all queries -> (key_BSD, value_BCS)."""
        return self.key(x_BSD), x_BSD.transpose(1, 2)

    def unrolled(self, key_BSD: Tensor, value_BCS: Tensor) -> tuple[Tensor | Unrolled, Unrolled]:
        """The same for a loop over queries."""
        return key_BSD if self.kind == "additive" else Unrolled(key_BSD), Unrolled(value_BCS)

    def forward(
        self,
        query_BTD: Tensor,
        key: Tensor | Unrolled,
        value: Tensor | Unrolled,
        *,
        bias_B1S: Tensor,
        coverage_BTS: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """-> (context_BTC, weight_BTS). The coverage is the sum of the weights so far."""
        match self.kind:
            case "additive":
                assert self.energy is not None
                assert isinstance(key, Tensor)
                score_BTS = self._additive(self.query(query_BTD), key, coverage_BTS)
            case "dot" | "general":
                score_BTS = _times(query_BTD, key)
            case _:
                assert_never(self.kind)
        weight_BTS = (score_BTS + bias_B1S.to(score_BTS.dtype)).softmax(-1)
        return _times(weight_BTS, value), weight_BTS

    def _additive(self, query_BTD: Tensor, key_BSD: Tensor, coverage_BTS: Tensor | None) -> Tensor:
        most = _AT_ONCE_ON_GPU if query_BTD.is_cuda else _AT_ONCE
        step = _step(query_BTD.shape[1], numbers=query_BTD.numel() * key_BSD.shape[1], most=most)
        return in_pieces(_energy, cut=[query_BTD, coverage_BTS], whole=[key_BSD, self.energy, self.covered], step=step)


def _energy(
    query_BTD: Tensor, coverage_BTS: Tensor | None, key_BSD: Tensor, energy_D: Tensor, covered_D: Tensor | None
) -> Tensor:
    """energy tanh(query + key + coverage covered) -> score_BTS."""
    sum_BTSD = query_BTD[:, :, None] + key_BSD[:, None]
    if covered_D is not None:
        assert coverage_BTS is not None
        sum_BTSD = sum_BTSD + (coverage_BTS[..., None] * covered_D).to(sum_BTSD.dtype)
    return torch.tanh(sum_BTSD) @ energy_D


def _times(x_BTD: Tensor, weight_BOD: Tensor | Unrolled) -> Tensor:
    return weight_BOD(x_BTD) if isinstance(weight_BOD, Unrolled) else x_BTD @ weight_BOD.transpose(1, 2)
