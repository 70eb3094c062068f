"""Teacher forcing, what a model's own words change in it, and the cost of looking twice at the same place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seqsmith.batch import Batch, Mixture, Output, Scores, Tokens, tokens
from seqsmith.objective.teacher import overlap, own_previous, teacher_forced
from seqsmith.objective.token import cross_entropy
from seqsmith.special import BEGIN, END

SIZE = 12
targets = st.lists(
    st.lists(st.integers(END + 1, SIZE - 1), max_size=6).map(lambda ids: [*ids, END]), min_size=1, max_size=4
)


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def batch_of(sequences: list[list[int]]) -> Batch:
    return Batch(tokens(sequences), tokens(sequences), torch.arange(len(sequences)))


class Bigrams:
    """A model for which the next token depends on the last alone; it remembers what it was fed."""

    def __init__(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.logit_VV = torch.randn(SIZE, SIZE, generator=generator)
        self.attention_PS = torch.zeros(0, 0)
        self.fed: list[Tensor] = []

    def __call__(self, batch: Batch, previous_BT: Tensor | None, *, attention: bool = False) -> Output:
        assert batch.target is not None
        previous_BT = batch.target.previous() if previous_BT is None else previous_BT
        self.fed.append(previous_BT)
        assert isinstance(batch.target, Tokens)
        logit_PV = self.logit_VV[previous_BT.flatten()[batch.target.position_P]]
        scores = Mixture(lambda some, logit_PV: Scores(logit_PV[some]), [logit_PV], (len(logit_PV), SIZE))
        return Output(scores, self.attention_PS if attention else None)


def test_r_drop_answers_each_example_twice_and_counts_it_once() -> None:
    model, batch = Bigrams(1), batch_of([[5, 6, 7, END], [8, END]])
    plain = teacher_forced(model, batch, smoothing=0.1)
    twice = teacher_forced(model, batch, smoothing=0.1, r_drop=5.0)  # no dropout here: the answers agree
    torch.testing.assert_close((twice.loss_nats, twice.truth_nats), (plain.loss_nats, plain.truth_nats))
    assert twice.count == plain.count
    assert torch.equal(model.fed[1], model.fed[0].repeat(2, 1))


def test_with_r_drop_both_answers_are_fed_the_same_own_words() -> None:
    model, batch = Bigrams(1), batch_of([[5, 6, 7, 4, 5, 6, END]] * 20)
    teacher_forced(model, batch, smoothing=0.1, r_drop=5.0, own_words=0.5)
    first_BT, second_BT = model.fed[-1].chunk(2)
    assert torch.equal(first_BT, second_BT)
    assert not torch.equal(first_BT, model.fed[0])


def test_teacher_forcing_feeds_the_target_one_step_late() -> None:
    model, batch = Bigrams(1), batch_of([[5, 6, 7, END], [8, END]])
    assert batch.target is not None
    loss = teacher_forced(model, batch, smoothing=0.1)
    expected = cross_entropy(
        model.logit_VV[[BEGIN, 5, 6, 7, BEGIN, 8]], torch.tensor([5, 6, 7, END, 8, END]), smoothing=0.1
    )
    assert (loss.loss_nats, loss.truth_nats, loss.count) == (expected.loss_nats, expected.truth_nats, 6)
    assert len(model.fed) == 1


@settings(deadline=None, max_examples=20)
@given(targets, st.integers(0, 1000))
def test_no_share_of_own_words_is_teacher_forcing_and_the_full_share_feeds_them_alone(
    sequences: list[list[int]], seed: int
) -> None:
    model, batch = Bigrams(seed), batch_of(sequences)
    assert batch.target is not None
    truth_BT = batch.target.previous()
    assert torch.equal(own_previous(model, batch, 0.0), truth_BT)

    fed_BT = own_previous(model, batch, 1.0)
    said_BT = model.logit_VV[truth_BT].argmax(-1)  # at each step, after the true last word
    assert (fed_BT[:, 0] == BEGIN).all()
    real_BT = batch.target.valid_BL[:, 1:]
    assert torch.equal(fed_BT[:, 1:][real_BT], said_BT[:, :-1][real_BT])


def test_the_share_of_own_words_is_kept_and_each_is_drawn_by_itself() -> None:
    model, batch = Bigrams(1), batch_of([[4] * 99 + [END]] * 100)
    model.logit_VV[:, 5] = 99.0  # it always says 5
    share_T = (own_previous(model, batch, 0.25)[:, 1:] == 5).double().mean(0)
    assert share_T.mean().item() == pytest.approx(0.25, abs=0.03)
    assert 0.0 < share_T.std() < 0.1


def test_own_words_are_fed_and_the_true_ones_are_still_what_is_asked_for() -> None:
    model, batch = Bigrams(3), batch_of([[5, 6, 7, END], [8, END]])
    assert batch.target is not None
    loss = teacher_forced(model, batch, smoothing=0.0, own_words=1.0)
    fed_P = model.fed[1].flatten()[batch.target.position_P]
    assert not torch.equal(model.fed[0], model.fed[1])
    assert loss.loss_nats == cross_entropy(model.logit_VV[fed_P], batch.target.id_P, smoothing=0.0).loss_nats


@settings(deadline=None, max_examples=20)
@given(targets, st.integers(0, 1000))
def test_the_cost_of_coverage_is_the_plain_loop(sequences: list[list[int]], seed: int) -> None:
    model, batch = Bigrams(seed), batch_of(sequences)
    assert batch.target is not None
    torch.manual_seed(seed)
    model.attention_PS = torch.randn(len(batch.target.id_P), 5).softmax(1).requires_grad_()
    expected = torch.zeros(())
    rows = model.attention_PS.split([len(sequence) for sequence in sequences])
    for attention_TS in rows:
        seen_S = torch.zeros(5)
        for attention_S in attention_TS:
            expected = expected + torch.minimum(attention_S, seen_S).sum()
            seen_S = seen_S + attention_S
    torch.testing.assert_close(overlap(model.attention_PS, batch.target), expected)
    with_coverage, without = (teacher_forced(model, batch, smoothing=0.0, coverage=weight) for weight in (0.5, 0.0))
    torch.testing.assert_close(with_coverage.loss_nats - without.loss_nats, 0.5 * expected)
    assert with_coverage.truth_nats == without.truth_nats
    found = torch.autograd.grad(with_coverage.loss_nats, model.attention_PS)[0]
    torch.testing.assert_close(found, 0.5 * torch.autograd.grad(expected, model.attention_PS)[0])


def test_the_cost_of_coverage_keeps_its_digits_in_half_precision() -> None:
    """It takes differences of sums over a whole batch."""
    _, batch = Bigrams(1), batch_of([[5, 6, 7, 4, 5, 6, END]] * 300)
    assert batch.target is not None
    torch.manual_seed(1)
    attention_PS = torch.randn(batch.target.count, 5).softmax(1).bfloat16()
    half, single = attention_PS.clone().requires_grad_(), attention_PS.float().requires_grad_()
    costs = [overlap(half, batch.target), overlap(single, batch.target)]
    torch.testing.assert_close(costs[0], costs[1])
    sum(costs).backward()
    assert half.grad is not None
    assert single.grad is not None
    torch.testing.assert_close(half.grad.float(), single.grad, rtol=0.01, atol=0.01)
