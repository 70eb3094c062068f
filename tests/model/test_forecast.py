"""The laws of models of series, for every encoder, decoder and way of decoding, in float64."""

import pytest
import torch
from safetensors.torch import load, save

from seqsmith import config
from seqsmith.batch import Future, SeriesBatch, Values
from seqsmith.model.build import build_forecast
from seqsmith.objective.rollout import roll
from seqsmith.objective.value import point
from seqsmith.tensors import load_tensors, tensors_of

KINDS = ("lstm", "gru", "transformer")
PATCH, CHANNELS, KNOWN = 2, 3, 1
each_kind = pytest.mark.parametrize("kind", KINDS)
each_way = pytest.mark.parametrize("decoding", ["direct", "autoregressive"])


def model_of(kind, decoding, *, loss=None, dropout=0.0):
    shape = {"kind": kind, "width": 8, "dropout": dropout}
    if kind == "transformer":
        shape |= {"layers": 2, "heads": 2, "feed_forward": 8}
    else:
        shape |= {"layers": 1}
    table = {
        "model": {"encoder": shape, "decoder": shape},
        "series": {"patch": PATCH, "decoding": decoding, "loss": loss or "gaussian"},
    }
    settings = config.build(table, where="test")
    torch.manual_seed(3)
    model = build_forecast(settings.model, settings.series, channels=CHANNELS, targets=CHANNELS - 1, known=KNOWN)
    return model.double().eval()


def windows(rows=3, context=8, horizon=6):
    x, future = (torch.randn(rows, steps, CHANNELS, dtype=torch.float64) for steps in (context, horizon))
    known, later = (torch.randn(rows, steps, KNOWN, dtype=torch.float64) for steps in (context, horizon))
    seen = torch.rand(rows, context, CHANNELS) > 0.2
    targets = future[..., : CHANNELS - 1]
    ones = torch.ones(rows, CHANNELS - 1, dtype=torch.float64)
    return SeriesBatch(
        Values(torch.where(seen, x, 0.0), seen, known, torch.ones(rows, context, dtype=torch.bool)),
        Future(
            targets,
            torch.ones_like(targets, dtype=torch.bool),
            later,
            x[:, -PATCH:, : CHANNELS - 1],
            torch.zeros_like(ones),
            ones,
            targets.numel(),
        ),
        torch.arange(rows),
    )


@each_kind
@each_way
def test_a_whole_horizon_equals_step_after_step(kind, decoding):
    model, batch = model_of(kind, decoding), windows()
    whole = model(batch)
    truth = iter(batch.target.x_BLC.split(PATCH, dim=1))
    stepped, fed = roll(
        model.step,
        model.start(batch.source),
        begin_NMC=batch.target.begin_BMC,
        known_NLE=batch.target.known_BLE,
        feed=lambda _: next(truth),
    )
    torch.testing.assert_close(stepped, whole, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(fed, batch.target.x_BLC)


@each_kind
@each_way
def test_a_window_does_not_depend_on_its_neighbours(kind, decoding):
    model, batch = model_of(kind, decoding), windows()
    alone = SeriesBatch(
        Values(*(x[1:2] for x in vars(batch.source).values())),
        Future(*(x[1:2] for x in list(vars(batch.target).values())[:-1]), 0),
        batch.example_B[1:2],
    )
    torch.testing.assert_close(model(batch)[1:2], model(alone), rtol=1e-9, atol=1e-9)


@each_kind
@each_way
def test_padding_on_the_right_changes_nothing(kind, decoding):
    model, batch = model_of(kind, decoding), windows()
    longer = [torch.cat([x, torch.full_like(x[:, :PATCH], 9)], dim=1) for x in list(vars(batch.source).values())[:3]]
    valid = torch.cat([batch.source.valid_BL, torch.zeros(3, PATCH, dtype=torch.bool)], dim=1)
    padded = SeriesBatch(Values(longer[0], longer[1].bool(), longer[2], valid), batch.target, batch.example_B)
    torch.testing.assert_close(model(padded), model(batch), rtol=1e-9, atol=1e-9)


@each_kind
def test_a_direct_model_is_fed_no_number_of_the_future_and_another_none_before_its_time(kind):
    batch = windows()
    changed = batch.target.x_BLC.clone()
    changed[:, 2 * PATCH - 1 :] += 5.0
    other = SeriesBatch(batch.source, Future(changed, *list(vars(batch.target).values())[1:]), batch.example_B)
    direct, fed = model_of(kind, "direct"), model_of(kind, "autoregressive")
    assert direct.is_direct
    assert not fed.is_direct
    torch.testing.assert_close(direct(other), direct(batch))
    torch.testing.assert_close(fed(other)[:, : 2 * PATCH], fed(batch)[:, : 2 * PATCH])
    assert not torch.equal(fed(other)[:, 2 * PATCH :], fed(batch)[:, 2 * PATCH :])


@each_kind
@each_way
def test_each_step_of_the_horizon_is_told_apart(kind, decoding):
    """Even where nothing is known of the future, so that only the position tells them apart."""
    model, batch = model_of(kind, decoding), windows()
    flat = Future(
        torch.zeros_like(batch.target.x_BLC), batch.target.seen_BLC, torch.zeros_like(batch.target.known_BLE),
        torch.zeros_like(batch.target.begin_BMC), *list(vars(batch.target).values())[4:],
    )  # fmt: skip
    said = point(model(SeriesBatch(batch.source, flat, batch.example_B)), config.Gaussian())
    first, second = said[:, :PATCH], said[:, PATCH : 2 * PATCH]
    assert not torch.allclose(first, second, atol=1e-4)


@each_kind
@each_way
def test_gradients_are_finite_and_reach_every_weight(kind, decoding):
    model = model_of(kind, decoding, dropout=0.3).train()
    model(windows()).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@each_way
def test_saved_is_loaded(decoding):
    model, batch = model_of("gru", decoding), windows()
    other = model_of("gru", decoding)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    load_tensors(other, load(save(tensors_of(model))), where="test")
    torch.testing.assert_close(other(batch), model(batch))
