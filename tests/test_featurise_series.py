"""Windows become batches: every number in its place, nothing from elsewhere, and all of it can be undone."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from seqsmith import config
from seqsmith.featurise_series import Examples, SeriesFeaturiser, TrainingWindows, fit_featuriser
from seqsmith.series.clock import HOUR, Clock
from seqsmith.series.columns import Layout
from seqsmith.series.repair import Findings
from seqsmith.series.scaling import Scaling
from seqsmith.series.table import Group, Table
from seqsmith.series.windows import Windows, windows


def featuriser(*, independent=True, window_scaling="last", context=5, horizon=3, patch=2, targets=2):
    return SeriesFeaturiser(
        columns=("a", "b") if independent else ("a", "b", "c"),
        targets=targets,
        covariates=("k",),
        clock=Clock("microsecond", HOUR),
        cycles=("hour",),
        scaling=Scaling(
            np.array([1.0, 2.0, 3.0][: 2 if independent else 3]), np.array([2.0, 4.0, 8.0][: 2 if independent else 3])
        ),
        groups=(),
        own_scaling=(),
        covariate_scaling=Scaling.none(1),
        context=context,
        horizon=horizon,
        patch=patch,
        season=24,
        independent=independent,
        window_scaling=window_scaling,
    )


def group(steps, *, columns=2, seed=1, holes=0.0, name=""):
    chance = np.random.default_rng(seed)
    value = chance.normal(size=(steps, columns))
    value[chance.random(value.shape) < holes] = np.nan
    return Group(name, np.arange(steps) * HOUR, value, np.arange(steps, dtype=float)[:, None])


def unscaled(batch):
    """The numbers of the horizon in standard units, NaN where they were not seen."""
    target = batch.target
    x = target.x_BLC * target.spread_BC[:, None] + target.shift_BC[:, None]
    return np.where(target.seen_BLC.numpy(), x.numpy(), np.nan)


@pytest.mark.parametrize("scaling", ["none", "last", "mean_std"])
@pytest.mark.parametrize("independent", [True, False])
def test_a_batch_holds_the_numbers_of_its_windows(independent, scaling):
    f = featuriser(independent=independent, window_scaling=scaling)
    source = group(20, columns=len(f.columns), holes=0.2)
    encoded = f.encode([source])
    scaled = f.scaling.scale(source.value_LC)
    found = Examples.of(encoded, windows([(0, 20)], context=5, horizon=3))
    batch = found.batch(np.arange(len(found)))
    assert batch.source.x_BLC.shape[1:] == (6, f.channels)  # the context, rounded up to whole patches
    assert not batch.source.seen_BLC[:, 0].any()
    for row, start in enumerate(found.windows.start_E.tolist()):
        columns = [int(found.channel_E[row])] if independent else [0, 1]
        np.testing.assert_allclose(unscaled(batch)[row, :3], scaled[start : start + 3, columns], rtol=1e-5, atol=1e-5)
        seen = ~np.isnan(scaled[start - 5 : start, columns if independent else slice(None)])
        np.testing.assert_array_equal(batch.source.seen_BLC[row, 1:].numpy(), seen)
        assert batch.target.known_BLE[row, :3, 1].tolist() == [start, start + 1, start + 2]
        assert batch.source.known_BLE[row, -1, 1] == start - 1
    assert batch.target.count == int(batch.target.seen_BLC.sum())
    assert not batch.target.seen_BLC[:, 3:].any()


def test_each_series_can_have_its_own_scale_and_an_unknown_one_takes_that_of_its_numbers():
    series = [replace(group(30, name=name, seed=seed), value_LC=group(30, seed=seed).value_LC * scale + scale)
              for name, seed, scale in (("a", 1, 1.0), ("b", 2, 1e7), ("c", 3, 100.0))]  # fmt: skip
    table = Table(
        "t",
        tuple(series[:2]),
        ("x", "y"),
        2,
        (),
        None,
        Layout("t", ("x", "y"), None, None, ("x", "y"), 2, ()),
        Findings(),
    )
    settings = config.Series(context=5, horizon=3, patch=1, scaling="group", channels="independent")
    f = fit_featuriser(table, [(0, 20), (0, 20)], settings, cycles=(), season=1)
    f = SeriesFeaturiser.from_dict(json.loads(json.dumps(f.as_dict())))
    encoded = f.encode([series[2], series[1], series[0]])
    assert encoded.group_S.tolist() == [2, 1, 0]
    for x, fitted in zip(encoded.x, (30, 20, 20), strict=True):
        np.testing.assert_allclose(x[:fitted].mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(x[:fitted].std(0), 1, atol=1e-5)
    found = windows([(0, 30)] * 3, context=5, horizon=3)
    raw = encoded.scaling(found).inverse(encoded.truths(found))
    for row, (index, start) in enumerate(zip(found.series_E.tolist(), found.start_E.tolist(), strict=True)):
        truth = (series[2], series[1], series[0])[index].value_LC[start : start + 3]
        np.testing.assert_allclose(raw[row], truth, rtol=1e-5, atol=1e-5 * np.abs(truth).max())


def test_a_window_takes_nothing_from_its_neighbours_in_the_file():
    f = featuriser()
    left, right = group(9, seed=1, name="x"), group(9, seed=2, name="y")
    together, alone = f.encode([left, right]), f.encode([right])
    here, there = Windows(np.array([1]), np.array([2])), Windows(np.array([0]), np.array([2]))
    channel = np.array([0])
    one, other = together.batch(here, channel_E=channel), alone.batch(there, channel_E=channel)
    for a, b in zip(vars(one.source).values(), vars(other.source).values(), strict=True):
        torch.testing.assert_close(a, b)
    assert one.source.seen_BLC[0, :, 0].tolist() == [False] * 4 + [True] * 2  # a short history is missing at its start


def test_examples_without_anything_to_see_or_to_learn_are_left_out():
    f, source = featuriser(), group(20)
    source.value_LC[:, 0] = np.nan
    source.value_LC[8:14, 1] = np.nan
    found = Examples.of(f.encode([source]), windows([(0, 20)], context=5, horizon=3))
    assert set(found.channel_E.tolist()) == {1}
    assert found.windows.start_E.tolist() == [5, 6, 7, 12, 15, 16, 17]


@given(st.integers(1, 9), st.integers(0, 5))
@hypothesis(max_examples=10, deadline=None)
def test_an_epoch_has_every_example_once_and_is_the_same_for_the_same_seed(size, epoch):
    found = Examples.of(featuriser().encode([group(20)]), windows([(0, 20)], context=5, horizon=3))
    batches = TrainingWindows(found, size, 7, epoch)
    again = TrainingWindows(found, size, 7, epoch)
    sizes = [len(batches[index].example_B) for index in range(len(batches))]
    assert sum(sizes) == len(found)
    assert all(count == size for count in sizes[:-1])
    torch.testing.assert_close(batches[0].source.x_BLC, again[0].source.x_BLC)
    assert sorted(batches._order.tolist()) == list(range(len(found)))


def test_what_is_known_of_a_table_is_written_and_read():
    f = featuriser(independent=False)
    other = SeriesFeaturiser.from_dict(f.as_dict())
    assert other.as_dict() == f.as_dict()
    assert (other.clock, other.cycles, other.columns) == (f.clock, f.cycles, f.columns)
