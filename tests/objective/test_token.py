"""The loss in pieces is torch's loss of the whole, and sums over batches are the sum over all."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from seqsmith.batch import Mixture, Projection, Scores
from seqsmith.objective import token
from seqsmith.objective.token import Loss, cross_entropy, likeliest, linear_cross_entropy, token_loss


def in_pieces(patch: pytest.MonkeyPatch, numbers: int) -> None:
    """Let so many logits be made at once, and a softmax be taken of half as many."""
    patch.setattr(token, "_PIECE_BYTES", numbers * 4)
    patch.setattr(token, "_BLOCK_NUMBERS", max(1, numbers // 2))


smoothings = st.sampled_from([0.0, 0.1, 0.5])


def projection(positions: int, *, vocabulary: int = 9, dtype: torch.dtype = torch.float64) -> tuple[Projection, Tensor]:
    """Random, with the true tokens."""
    hidden_PD, weight_VD = torch.randn(positions, 4, dtype=dtype), torch.randn(vocabulary, 4, dtype=dtype)
    bias_V = torch.randn(vocabulary, dtype=dtype)
    for tensor in (hidden_PD, weight_VD, bias_V):
        tensor.requires_grad_()
    return Projection(hidden_PD, weight_VD, bias_V), torch.randint(0, vocabulary, (positions,))


def mixture(scores: Projection) -> Mixture:
    """The same logits, made of some positions when they are asked for."""

    def make(some: Any, hidden_PD: Tensor, weight_VD: Tensor, bias_V: Tensor) -> Scores:
        return Scores(F.linear(hidden_PD[some], weight_VD, bias_V))

    return Mixture(make, [scores.hidden_PD, scores.weight_VD, scores.bias_V], tuple(scores.logits().shape))


def gradients(loss: Tensor, scores: Projection) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss, [scores.hidden_PD, scores.weight_VD, scores.bias_V])


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 12), st.integers(1, 200), smoothings, st.integers(0, 10**6))
def test_the_loss_in_pieces_of_any_size_and_its_gradients_are_those_of_torch(
    positions: int, piece: int, smoothing: float, seed: int
) -> None:
    torch.manual_seed(seed)
    scores, id_P = projection(positions)
    expected = F.cross_entropy(scores.logits(), id_P, label_smoothing=smoothing, reduction="sum")
    with pytest.MonkeyPatch.context() as patch:
        in_pieces(patch, piece)  # logits at once; there are 9 a position
        found = token_loss(scores, id_P, smoothing=smoothing)
    torch.testing.assert_close(found.loss_nats, expected)
    torch.testing.assert_close(gradients(3 * found.loss_nats, scores), gradients(3 * expected, scores))
    torch.testing.assert_close(found.truth_nats, F.cross_entropy(scores.logits(), id_P, reduction="sum").detach())
    assert found.count == positions


@pytest.mark.parametrize("piece", [1, 20, 1000])
def test_what_is_likeliest_in_pieces_is_likeliest_in_the_whole(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    scores, _ = projection(11)
    in_pieces(monkeypatch, piece)
    expected = scores.logits().argmax(-1)
    assert torch.equal(likeliest(scores), expected)
    assert torch.equal(likeliest(mixture(scores)), expected)


@pytest.mark.parametrize("r_drop", [0.0, 2.0])
@pytest.mark.parametrize("piece", [1, 20, 60, 1000])
def test_the_loss_of_a_mixture_in_pieces_and_its_gradients_are_those_of_the_whole(
    piece: int, r_drop: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores, id_P = projection(12)
    whole = token_loss(Scores(scores.logits()), id_P, smoothing=0.1, r_drop=r_drop)
    in_pieces(monkeypatch, piece)
    found = token_loss(mixture(scores), id_P, smoothing=0.1, r_drop=r_drop)
    torch.testing.assert_close((found.loss_nats, found.truth_nats), (whole.loss_nats, whole.truth_nats))
    torch.testing.assert_close(gradients(found.loss_nats, scores), gradients(whole.loss_nats, scores))
    with torch.no_grad():
        again = token_loss(mixture(scores), id_P, smoothing=0.1, r_drop=r_drop)
    torch.testing.assert_close(again.loss_nats, whole.loss_nats)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_whole_logits_is_that_of_torch(smoothing: float) -> None:
    scores, id_P = projection(7)
    found = token_loss(Scores(scores.logits()), id_P, smoothing=smoothing)
    expected = F.cross_entropy(scores.logits(), id_P, label_smoothing=smoothing, reduction="sum")
    torch.testing.assert_close(found.loss_nats, expected)
    torch.testing.assert_close(gradients(found.loss_nats, scores), gradients(expected, scores))
    torch.testing.assert_close(found.truth_nats, F.cross_entropy(scores.logits(), id_P, reduction="sum").detach())
    assert not found.truth_nats.requires_grad


def test_words_of_other_sources_have_no_part_in_the_loss() -> None:
    logit_PV, id_P = torch.randn(4, 6, requires_grad=True), torch.tensor([0, 2, 1, 2])
    never_PU = torch.full((4, 2), -torch.inf)
    parts = {"smoothing": 0.1, "r_drop": 0.5}
    expected = token_loss(Scores(logit_PV), id_P, **parts).loss_nats
    found = token_loss(Scores(torch.cat([logit_PV, never_PU], 1), 2), id_P, **parts).loss_nats
    torch.testing.assert_close(found, expected)
    slopes = [torch.autograd.grad(loss, logit_PV)[0] for loss in (found, expected)]
    torch.testing.assert_close(*slopes)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_gradient_of_several_batches_is_that_of_one_with_all_their_positions(smoothing: float) -> None:
    scores, id_P = projection(12)
    whole = token_loss(scores, id_P, smoothing=smoothing)
    expected = gradients(whole.loss_nats / whole.count, scores)
    pieces = [
        token_loss(
            Projection(scores.hidden_PD[piece], scores.weight_VD, scores.bias_V), id_P[piece], smoothing=smoothing
        )
        for piece in (slice(0, 1), slice(1, 8), slice(8, 12))  # of unequal size: a mean of means would be wrong
    ]
    count = sum(piece.count for piece in pieces)
    for piece in pieces:
        (piece.loss_nats / count).backward()
    found = (scores.hidden_PD.grad, scores.weight_VD.grad, scores.bias_V.grad)
    torch.testing.assert_close(found, expected)
    assert sum(piece.truth_nats for piece in pieces).item() == pytest.approx(whole.truth_nats.item())


def test_an_even_distribution_costs_the_logarithm_of_the_vocabulary() -> None:
    loss = cross_entropy(torch.zeros(3, 8), torch.tensor([0, 5, 7]), smoothing=0.1)
    assert loss.loss_nats.item() == pytest.approx(3 * math.log(8))
    assert loss.truth_nats.item() == pytest.approx(3 * math.log(8))


@pytest.mark.parametrize("piece", [100, 30_000, 2_000_000])  # of one row, which is rounded to 32; of 100 to 128; all
def test_the_loss_is_a_float_of_single_precision_where_the_model_computes_in_half(
    piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_pieces(monkeypatch, piece)
    scores, id_P = projection(150, vocabulary=300, dtype=torch.float32)
    expected = cross_entropy(scores.logits(), id_P, smoothing=0.1).loss_nats
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = linear_cross_entropy(scores.hidden_PD, scores.weight_VD, scores.bias_V, id_P, smoothing=0.1)
    assert half.loss_nats.dtype == torch.float32
    assert half.loss_nats.item() == pytest.approx(expected.item(), rel=0.01)
    for found, exact in zip(gradients(half.loss_nats, scores), gradients(expected, scores), strict=True):
        assert found.dtype == torch.float32
        assert (found - exact).norm() < 0.03 * exact.norm()


def test_a_truth_that_a_model_holds_impossible_costs_a_number_and_has_its_gradient() -> None:
    hidden_PD = torch.tensor([[300.0, 0.0, 0.0]], requires_grad=True)
    loss = linear_cross_entropy(hidden_PD, torch.eye(3), torch.zeros(3), torch.tensor([1]), smoothing=0.1)
    assert 87 < loss.truth_nats.item() < 88  # the logarithm of the smallest number of single precision
    (slope,) = torch.autograd.grad(loss.loss_nats, hidden_PD)
    torch.testing.assert_close(slope, torch.tensor([[1 - 0.1 / 3, 0.1 - 1 - 0.1 / 3, -0.1 / 3]]))


def test_a_truth_that_a_model_is_sure_of_keeps_its_small_gradient_in_half() -> None:
    hidden_PD = torch.tensor([[8.0, 0.0]], requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = linear_cross_entropy(hidden_PD, torch.eye(2), torch.zeros(2), torch.tensor([0]), smoothing=0.0)
    slope = 1 / (1 + math.exp(8))
    assert loss.loss_nats.item() == pytest.approx(slope, rel=0.01)  # log(1 + x) is x for small ones
    torch.testing.assert_close(
        torch.autograd.grad(loss.loss_nats, hidden_PD)[0], torch.tensor([[-slope, slope]]), rtol=0.01, atol=0
    )


def test_the_same_loss_is_given_where_no_gradient_is_wanted() -> None:
    scores, id_P = projection(5)
    wanted = token_loss(scores, id_P, smoothing=0.1)
    with torch.no_grad():
        unwanted = token_loss(scores, id_P, smoothing=0.1)
    assert isinstance(unwanted, Loss)
    assert not unwanted.loss_nats.requires_grad
    assert torch.equal(unwanted.loss_nats, wanted.loss_nats.detach())
    frozen = Projection(scores.hidden_PD, scores.weight_VD.detach(), scores.bias_V.detach())
    torch.testing.assert_close(
        torch.autograd.grad(token_loss(frozen, id_P, smoothing=0.1).loss_nats, scores.hidden_PD)[0],
        torch.autograd.grad(wanted.loss_nats, scores.hidden_PD)[0],
    )


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 12), st.integers(1, 200), smoothings, st.floats(0.1, 10.0), st.integers(0, 10**6))
def test_r_drop_adds_the_papers_divergences_and_their_gradients(
    positions: int, piece: int, smoothing: float, weight: float, seed: int
) -> None:
    torch.manual_seed(seed)
    scores, _ = projection(2 * positions)
    id_P = torch.randint(0, 9, (positions,)).repeat(2)
    log_p, log_q = scores.logits().log_softmax(-1).chunk(2)
    both = [F.kl_div(right, left, log_target=True, reduction="sum") for right, left in ((log_p, log_q), (log_q, log_p))]
    expected = (
        F.cross_entropy(scores.logits(), id_P, label_smoothing=smoothing, reduction="sum") + weight * sum(both) / 2
    )
    with pytest.MonkeyPatch.context() as patch:
        in_pieces(patch, piece)
        found = token_loss(scores, id_P, smoothing=smoothing, r_drop=weight)
    whole = token_loss(Scores(scores.logits()), id_P, smoothing=smoothing, r_drop=weight)
    slopes = gradients(expected, scores)
    for loss in (found, whole):
        torch.testing.assert_close(loss.loss_nats, expected)
        torch.testing.assert_close(gradients(loss.loss_nats, scores), slopes)
