"""Attention is torch's own, or a plain loop's, for the same weights."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import seqsmith.model.attention
from seqsmith.model.attention import MultiHead, SingleHead, attend, attend_openly, causal_bias, padding_bias
from seqsmith.model.layers import Dropout

VALID_BS = torch.tensor([[True] * 5, [True, True, False, False, False]])


@pytest.fixture(autouse=True)
def float64() -> Any:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def bias_B11S() -> Tensor:
    return padding_bias(VALID_BS, torch.float64)[:, None]


def test_several_heads_are_those_of_torch() -> None:
    ours, theirs = MultiHead(8, memory_width=6, heads=2), nn.MultiheadAttention(8, 2, kdim=6, vdim=6, batch_first=True)
    with torch.no_grad():
        for name, linear in {"q": ours.query, "k": ours.key, "v": ours.value}.items():
            theirs.get_parameter(f"{name}_proj_weight").copy_(linear.weight)
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key.bias, ours.value.bias]))
    theirs.out_proj = ours.out
    x_BTD, memory_BSC = torch.randn(2, 3, 8), torch.randn(2, 5, 6)
    expected_BTD, weight_BTS = theirs(x_BTD, memory_BSC, memory_BSC, key_padding_mask=~VALID_BS)
    found, weights = ours.openly(x_BTD, *ours.remember(memory_BSC), bias=bias_B11S())
    torch.testing.assert_close(found, expected_BTD)
    torch.testing.assert_close(weights, weight_BTS)
    torch.testing.assert_close(ours(x_BTD, *ours.remember(memory_BSC), bias=bias_B11S()), expected_BTD)


@pytest.mark.parametrize("kind", ["padding", "causal", "both", "none"])
def test_many_scores_that_are_never_kept_give_what_kept_ones_give_and_their_gradients(kind: str) -> None:
    L = 130  # L * L scores are many, and no multiple of a kernel's block
    inputs = [torch.randn(2, 2, L, 4, requires_grad=True) for _ in range(3)]
    valid_BS = torch.arange(L) < torch.tensor([[L], [7]])
    biases = {"padding": padding_bias(valid_BS, torch.float64)[:, None], "causal": causal_bias(L, like=inputs[0])}
    bias = {**biases, "both": biases["padding"] + biases["causal"], "none": None}[kind]
    found = attend(*inputs, bias=bias, dropout=Dropout(0.0))
    expected, _ = attend_openly(*inputs, bias=bias, dropout=Dropout(0.0))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    slope = torch.randn_like(found)
    gradients = (torch.autograd.grad(y, inputs, slope) for y in (found, expected))
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-12)


def in_pieces(patch: pytest.MonkeyPatch, numbers: int) -> None:
    """Let so many numbers be made at once."""
    patch.setattr(seqsmith.model.attention, "_AT_ONCE", numbers)


@pytest.mark.parametrize("numbers", [1, 150, 10**9])
def test_attention_by_pieces_of_the_queries_gives_what_the_whole_gives_and_its_gradients(
    numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = [torch.randn(2, 3, L, 4, requires_grad=True) for L in (7, 5, 5)]
    for shape in ((2, 1, 1, 5), (1, 3, 7, 5)):  # padding, and trained relative positions
        bias = torch.randn(shape, requires_grad=True)
        expected, _ = attend_openly(*inputs, bias=bias, dropout=Dropout(0.0))
        in_pieces(monkeypatch, numbers)
        found = attend(*inputs, bias=bias, dropout=Dropout(0.0))
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        slope = torch.randn_like(found)
        gradients = (torch.autograd.grad(y, [*inputs, bias], slope) for y in (found, expected))
        torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-12)


def test_a_piece_that_is_made_again_drops_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    query, key, value = (torch.randn(2, 3, L, 4, requires_grad=True) for L in (7, 5, 5))
    in_pieces(monkeypatch, 60)
    found = attend(query, key, value, bias=None, dropout=Dropout(0.5).train())
    slope = torch.randn_like(found)
    (gradient,) = torch.autograd.grad(found, value, slope)
    torch.testing.assert_close((gradient * value).sum(), (slope * found).sum())  # it is linear in the values
    assert not torch.equal(found, attend(query, key, value, bias=None, dropout=Dropout(0.5).train()))


@pytest.mark.parametrize("coverage", [False, True])
def test_additive_scores_by_pieces_of_the_queries_are_those_of_the_whole(
    coverage: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    additive = SingleHead("additive", query_width=4, memory_width=6, coverage=coverage)
    query_BTD, memory_BSC = torch.randn(2, 3, 4, requires_grad=True), torch.randn(2, 5, 6, requires_grad=True)
    covered = {"coverage_BTS": torch.rand(2, 3, 5)} if coverage else {}
    wanted = [query_BTD, memory_BSC, *additive.parameters()]
    found = []
    for numbers in (10**9, 50):
        in_pieces(monkeypatch, numbers)
        y, weight = additive(query_BTD, *additive.remember(memory_BSC), bias_B1S=torch.zeros(2, 1, 5), **covered)
        found.append([y, weight, *torch.autograd.grad(y.square().sum(), wanted)])
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-12)


def test_many_pieces_in_mixed_precision_add_up_in_single(monkeypatch: pytest.MonkeyPatch) -> None:
    additive = SingleHead("additive", query_width=8, memory_width=8).float()
    query_BTD, memory_BSC = torch.randn(2, 300, 8, dtype=torch.float32), torch.randn(2, 5, 8, dtype=torch.float32)
    memory_BSC.requires_grad_()
    slopes = []
    for numbers, mixed in ((10**9, False), (10**9, True), (80, True)):
        in_pieces(monkeypatch, numbers)
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            y, _ = additive(query_BTD, *additive.remember(memory_BSC), bias_B1S=torch.zeros(2, 1, 5))
        slopes.append(torch.autograd.grad(y.float().square().sum(), additive.key.weight)[0])
    exact, at_once, pieces = slopes
    assert (pieces - exact).norm() < 1.5 * (at_once - exact).norm() + 1e-3 * exact.norm()


@pytest.mark.parametrize("key_value_heads", [1, 2])
def test_grouped_queries_are_full_heads_with_repeated_weights(key_value_heads: int) -> None:
    grouped = MultiHead(8, memory_width=6, heads=4, key_value_heads=key_value_heads, rotary=True)
    full = MultiHead(8, memory_width=6, heads=4, rotary=True)
    full.query, full.out = grouped.query, grouped.out
    with torch.no_grad():
        for small, large in ((grouped.key, full.key), (grouped.value, full.value)):
            for ours, theirs in ((small.weight, large.weight), (small.bias, large.bias)):
                heads = ours.unflatten(0, (key_value_heads, 2)).repeat_interleave(4 // key_value_heads, 0)
                theirs.copy_(heads.flatten(0, 1))
    x_BTD, memory_BSC = torch.randn(2, 3, 8), torch.randn(2, 5, 6)
    found, expected = (
        attention(x_BTD, *attention.remember(memory_BSC), bias=bias_B11S()) for attention in (grouped, full)
    )
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("kind", ["additive", "dot", "general"])
def test_one_head_is_the_plain_loop(kind: Any) -> None:
    attention = SingleHead(kind, query_width=4, memory_width=4 if kind == "dot" else 6)
    query_BTD, memory_BSC = torch.randn(2, 3, 4), torch.randn(2, 5, 4 if kind == "dot" else 6)
    bias_B1S = padding_bias(VALID_BS, torch.float64)
    found, weight_BTS = attention(query_BTD, *attention.remember(memory_BSC), bias_B1S=bias_B1S)
    for row in range(2):
        real = [memory for memory, valid in zip(memory_BSC[row], VALID_BS[row], strict=True) if valid]
        for step in range(3):
            scores = [score(attention, query_BTD[row, step], memory) for memory in real]
            total = sum(math.exp(score) for score in scores)
            weights = [math.exp(score) / total for score in scores]
            expected = sum(weight * memory for weight, memory in zip(weights, real, strict=True))
            torch.testing.assert_close(found[row, step], expected)
            assert weight_BTS[row, step].tolist() == pytest.approx(weights + [0.0] * (5 - len(real)))


@torch.no_grad()
def score(attention: SingleHead, query_D: Tensor, memory_C: Tensor) -> float:
    match attention.kind:
        case "additive":
            inner_D = attention.query.weight @ query_D + attention.query.bias + attention.key.weight @ memory_C
            return float(attention.energy @ torch.tanh(inner_D))
        case "general":
            return float(query_D @ attention.key.weight @ memory_C)
    return float(query_D @ memory_C)


def test_a_query_never_sees_a_later_key() -> None:
    bias_TS = causal_bias(4, like=torch.zeros(1))
    assert (bias_TS == 0.0).tolist() == [[key <= query for key in range(4)] for query in range(4)]
    assert bias_TS[~torch.ones(4, 4).tril().bool()].isneginf().all()


def test_attention_dropout_is_on_the_weights_and_only_in_training() -> None:
    attention = MultiHead(8, memory_width=8, heads=2, dropout=0.5)
    x_BTD = torch.randn(2, 3, 8)
    memory = attention.remember(x_BTD)
    _, weight_BTS = attention.openly(x_BTD, *memory, bias=None)
    torch.testing.assert_close(weight_BTS.sum(2), torch.ones(2, 3))  # what is reported is what was looked at
    assert not torch.equal(attention(x_BTD, *memory, bias=None), attention(x_BTD, *memory, bias=None))
    attention.eval()
    assert torch.equal(attention(x_BTD, *memory, bias=None), attention(x_BTD, *memory, bias=None))
