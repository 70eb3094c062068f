"""Losses of numbers: equal to torch's distributions and to plain loops, blind to what is missing, and what was said."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqsmith import config
from seqsmith.batch import Future, SeriesBatch
from seqsmith.objective.value import (
    freedom_of,
    own_previous_values,
    point,
    quantiles,
    sample,
    scale_of,
    teacher_forced_values,
    value_loss,
)

KINDS = (
    *(config.SquaredError(), config.AbsoluteError(), config.HuberError(threshold=0.5), config.Gaussian()),
    *(config.StudentT(), config.Quantiles(levels=(0.1, 0.5, 0.9))),
)
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)


def future(seen=None, spread=1.0):
    x = torch.randn(2, 4, 3, dtype=torch.float64)
    seen = torch.ones_like(x, dtype=torch.bool) if seen is None else seen
    ones = torch.full((2, 3), spread, dtype=torch.float64)
    return Future(x, seen, x[..., :0], x[:, :2], torch.zeros_like(ones), ones, int(seen.sum()))


def said(kind):
    return torch.randn(2, 4, 3, kind.outputs, dtype=torch.float64, requires_grad=True)


def expected(number, target, kind, spread):
    """By torch's own losses and distributions."""
    truth, mean = target.x_BLC * spread, number[..., 0] * spread
    match kind.kind:
        case "mse":
            return torch.nn.functional.mse_loss(mean, truth, reduction="sum")
        case "mae":
            return torch.nn.functional.l1_loss(mean, truth, reduction="sum")
        case "huber":
            return torch.nn.functional.huber_loss(mean, truth, reduction="sum", delta=0.5)
        case "gaussian":
            return -torch.distributions.Normal(mean, scale_of(number) * spread).log_prob(truth).sum()
        case "student_t":
            told = torch.distributions.StudentT(freedom_of(number), mean, scale_of(number) * spread)
            return -told.log_prob(truth).sum()
        case "quantiles":
            total = 0.0
            for q, level in enumerate(kind.levels):
                over = truth - number[..., q] * spread
                total = total + (over * (level - (over < 0).double())).sum()
            return total * 2 / len(kind.levels)
    raise AssertionError


@each_kind
@pytest.mark.parametrize("spread", [1.0, 2.5])
def test_the_loss_is_that_of_torch(kind, spread):
    number, target = said(kind), future(spread=spread)
    found = value_loss(number, target, kind)
    torch.testing.assert_close(found.loss_nats, expected(number, target, kind, spread))
    assert found.count == 24


@each_kind
def test_missing_numbers_change_neither_loss_nor_gradient(kind):
    number = said(kind)
    seen = torch.rand(2, 4, 3) > 0.4
    target = future(seen)
    other = Future(torch.where(seen, target.x_BLC, torch.nan), *list(vars(target).values())[1:])
    losses = [value_loss(number, one, kind).loss_nats for one in (target, other)]
    torch.testing.assert_close(*losses)
    (gradient,) = torch.autograd.grad(losses[1], number)
    assert gradient.isfinite().all()
    assert (gradient[~seen] == 0).all()
    torch.testing.assert_close(
        losses[0], sum(value_loss(number[b : b + 1], cut(target, b), kind).loss_nats for b in range(2))
    )


def cut(target, row):
    return Future(*(part[row : row + 1] for part in list(vars(target).values())[:-1]), 0)


@pytest.mark.parametrize("kind", KINDS[3:5], ids=lambda kind: kind.kind)
def test_samples_lie_below_a_quantile_as_often_as_it_says(kind):
    number = torch.randn(1, kind.outputs, dtype=torch.float64).expand(40_000, -1)
    draws = sample(number[None], kind)[0]
    levels = (0.1, 0.5, 0.9)
    for level, bound in zip(levels, quantiles(number, kind, levels)[0], strict=True):
        assert (draws < bound).double().mean().item() == pytest.approx(level, abs=0.012)


def test_samples_of_quantiles_follow_them():
    kind = KINDS[5]
    number = torch.tensor([[-1.0, 0.0, 3.0]]).expand(20_000, -1)
    assert (sample(number[None], kind) < 0.0).double().mean().item() == pytest.approx(0.5, abs=0.02)
    assert quantiles(number[:1], kind, (0.1, 0.3, 0.7, 0.95))[0].tolist() == pytest.approx([-1.0, -0.5, 1.5, 3.0])


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=3))
def test_quantiles_that_cross_are_put_in_order(numbers):
    found = quantiles(torch.tensor([numbers]), KINDS[5], (0.1, 0.3, 0.5, 0.9))[0]
    assert (found.diff() >= 0).all()


@each_kind
def test_the_forecast_is_the_mean_or_the_median(kind):
    number = said(kind)
    median = number.median(-1).values if kind.kind == "quantiles" else number[..., 0]  # of three levels, in order
    torch.testing.assert_close(point(number, kind), median)
    assert (quantiles(number, kind, (0.5,)) is None) == (kind.outputs == 1)


def test_scheduled_sampling_feeds_the_model_its_own_forecasts():
    target, kind = future(), config.SquaredError()
    batch = SeriesBatch(None, target, torch.arange(2))
    own = torch.randn(2, 4, 3, 1, dtype=torch.float64)
    none, every = (own_previous_values(lambda *_: own, batch, kind, share) for share in (0.0, 1.0))
    torch.testing.assert_close(none, target.previous())
    torch.testing.assert_close(every, torch.cat([target.begin_BMC, own[:, :2, :, 0]], dim=1))
    seen = []
    teacher_forced_values(lambda _, previous: seen.append(previous) or own, batch, kind, own_share=1.0)
    torch.testing.assert_close(seen[-1], every)
