"""A model of series in use: forecasts that continue the table, in its units, the same after saving."""

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
import torch

import seqsmith
from seqsmith import config
from seqsmith.engine.values import new_engine
from seqsmith.errors import UserError
from seqsmith.evaluate.naive import Linear
from seqsmith.featurise_series import SeriesFeaturiser
from seqsmith.forecaster import LEVELS, Baselines, Forecaster, as_rows, new_forecast
from seqsmith.series.clock import HOUR, Clock
from seqsmith.series.scaling import Scaling
from seqsmith.series.windows import Windows

HORIZON = 6
HOURLY = Clock("microsecond", HOUR)


def forecaster(*, loss="mse", decoding="direct", covariates=(), independent=True, clock=HOURLY, seed=1):
    table = {
        "source": "series",
        "model": {name: {"kind": "gru", "width": 4, "dropout": 0.0} for name in ("encoder", "decoder")},
        "series": {"patch": 2, "loss": loss, "decoding": decoding, "samples": 30, "horizon": HORIZON},
    }
    settings = config.build(table, where="test")
    featuriser = SeriesFeaturiser(
        columns=("a", "b"), targets=2, covariates=covariates, clock=clock, cycles=("hour",) if clock else (),
        scaling=Scaling(np.array([10.0, -5.0]), np.array([2.0, 3.0])), groups=(), own_scaling=(),
        covariate_scaling=Scaling.none(len(covariates)), context=8, horizon=HORIZON, patch=2, season=24,
        independent=independent, window_scaling="last",
    )  # fmt: skip
    torch.manual_seed(seed)
    model = new_forecast(settings, featuriser).eval()
    error = np.tile((np.array(LEVELS, np.float32) - 0.5)[None, None], (HORIZON, 2, 1))
    baselines = Baselines(Linear(np.zeros((8, HORIZON), np.float32)), np.ones((1, 2)), error)
    return Forecaster(settings, featuriser, new_engine(settings, model, torch.device("cpu")), baselines)


def saved(folder, seed, **options):
    path = folder / f"model {seed}"
    forecaster(seed=seed, **options).save(path, card="A model.\n")
    return path


def write(folder, *, rows=12, head="time,a,b\n", tail="", cell=""):
    lines = [f"2020-01-01 {hour:02}:00,{10 + hour % 3},{-5.0 + hour % 5}{cell}\n" for hour in range(rows)]
    path = folder / "history.csv"
    path.write_text(head + "".join(lines) + tail)
    return str(path)


@pytest.mark.parametrize("loss", ["mse", "gaussian", "student_t", "quantiles"])
@pytest.mark.parametrize("decoding", ["direct", "autoregressive"])
def test_the_future_follows_the_table_and_lies_in_its_interval(tmp_path, loss, decoding):
    model = forecaster(loss=loss, decoding=decoding)
    (found,) = model.predict(write(tmp_path))
    assert found.times[0] == "2020-01-01 12:00:00"
    assert len(found.times) == HORIZON
    assert found.mean_TC.shape == found.low_TC.shape == (HORIZON, 2)
    assert np.isfinite(found.mean_TC).all()
    assert (found.low_TC < found.high_TC).all()
    if loss == "mse":
        np.testing.assert_allclose(found.high_TC - found.mean_TC, 0.4 * np.array([[2.0, 3.0]] * HORIZON), rtol=1e-4)
    again = model.predict(write(tmp_path))[0]
    np.testing.assert_array_equal(again.low_TC, found.low_TC)  # paths are seeded


@pytest.mark.parametrize("independent", [True, False])
def test_a_longer_horizon_begins_like_a_shorter_one(tmp_path, independent):
    model, path = forecaster(independent=independent), write(tmp_path)
    short, long = model.predict(path, horizon=4)[0], model.predict(path, horizon=15)[0]
    assert len(long.times) == 15
    assert long.times[:4] == short.times
    np.testing.assert_allclose(long.mean_TC[:4], short.mean_TC, rtol=1e-6)
    with pytest.raises(UserError, match=r"horizon: found -1 steps, expected 1 to 1,000,000"):
        model.predict(path, horizon=-1)


@pytest.mark.parametrize("independent", [True, False])
@pytest.mark.parametrize("decoding", ["direct", "autoregressive"])
def test_paths_are_drawn_from_what_the_interval_is_made_of(tmp_path, decoding, independent):
    model, path = forecaster(loss="gaussian", decoding=decoding, independent=independent), write(tmp_path)
    model = replace(model, engine=replace(model.engine, paths=400))
    plain, (found,) = model.predict(path, horizon=8)[0], model.predict(path, horizon=8, samples=400)
    assert plain.sample_NTC is None
    assert found.sample_NTC.shape == (400, 8, 2)
    np.testing.assert_array_equal(found.mean_TC, plain.mean_TC)
    np.testing.assert_array_equal(found.sample_NTC, model.predict(path, horizon=8, samples=400)[0].sample_NTC)
    low, high = np.quantile(found.sample_NTC[:, :HORIZON], (0.1, 0.9), axis=0)
    width = (found.high_TC - found.low_TC)[:HORIZON]
    np.testing.assert_allclose(high - low, width, rtol=0.3)
    np.testing.assert_allclose((low + high) / 2, found.mean_TC[:HORIZON], atol=0.3 * width.max())
    first, second = found.sample_NTC[:, 0].T
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.2  # each column is drawn for itself
    last, beyond = found.sample_NTC[:, HORIZON - 1, 0], found.sample_NTC[:, HORIZON, 0]
    assert np.corrcoef(last, beyond)[0, 1] > 0.4  # a path goes on from where it was


def test_paths_of_several_series_are_in_the_units_of_each(tmp_path):
    path = tmp_path / "groups.csv"
    path.write_text("group,a,b\n" + "".join(f"{name},{n % 3},{n % 5}\n" for name in "xy" for n in range(9)))
    model = forecaster(loss="quantiles", clock=None)
    scaling = Scaling(np.array([1e6, 0.0]), np.array([1e3, 1.0]))
    own = replace(model.featuriser, groups=("x", "y"), own_scaling=(model.featuriser.scaling, scaling))
    one, other = replace(model, featuriser=own).predict(str(path), samples=50)
    for found in (one, other):
        assert found.sample_NTC.shape == (50, HORIZON, 2)
        inside = (found.low_TC <= found.sample_NTC) & (found.sample_NTC <= found.high_TC)
        assert 0.7 < inside.mean() < 0.9
    assert not np.allclose(one.sample_NTC, other.sample_NTC)


def test_where_there_is_nothing_to_draw_from_is_said(tmp_path):
    path, folder = write(tmp_path), saved(tmp_path, 1, loss="gaussian")
    with pytest.raises(UserError, match=r"samples: this model says no distribution to draw from \(series.loss = mse\)"):
        forecaster().predict(path, samples=3)
    with pytest.raises(UserError, match=r"samples: several models together say quantiles alone"):
        seqsmith.load(folder, folder).predict(path, samples=3)
    for samples in (0, 2.5):
        with pytest.raises(UserError, match=r"samples: found .*, expected (1 to 1,000,000|a whole number of paths)"):
            forecaster(loss="gaussian").predict(path, samples=samples)


@pytest.mark.parametrize("loss", ["mse", "quantiles"])
def test_an_ensemble_says_the_mean_of_its_models(tmp_path, loss):
    folders, path = [saved(tmp_path, seed, loss=loss) for seed in (1, 2, 3)], write(tmp_path)
    alone = [seqsmith.load(folder).predict(path)[0] for folder in folders]
    together = seqsmith.load(*folders).predict(path)[0]
    assert not np.allclose(alone[0].mean_TC, alone[1].mean_TC)
    for part in ("mean_TC", "low_TC", "high_TC"):
        np.testing.assert_allclose(
            getattr(together, part), np.mean([getattr(one, part) for one in alone], 0), rtol=1e-5
        )
    with pytest.raises(
        UserError, match=r"model 4: its columns, scaling, horizon or loss differ from those of .*model 1"
    ):
        seqsmith.load(folders[0], saved(tmp_path, 4, loss=loss, independent=False))
    with pytest.raises(UserError, match=r"model 5: its columns, scaling, horizon or loss differ"):
        seqsmith.load(folders[0], saved(tmp_path, 5, loss="mae"))


@pytest.mark.parametrize("independent", [True, False])
def test_the_score_of_a_window_is_the_density_of_its_numbers_in_the_units_of_the_table(tmp_path, independent):
    model, path = forecaster(loss="gaussian", independent=independent), write(tmp_path, rows=20)
    scores = model.score(path)
    assert [one.time for one in scores] == [f"2020-01-01 {hour:02}:00:00" for hour in range(8, 15)]
    table = model.read(path)
    (group,) = table.groups
    first = {name: getattr(group, name)[:9] for name in ("time_L", "value_LC", "known_LE")}
    short = replace(table, groups=(replace(group, **first),))
    (found,) = model.predict(short)
    deviation = (found.high_TC - found.low_TC) / (2 * NormalDist().inv_cdf(0.9))
    truth = group.value_LC[9:15]
    density = -0.5 * ((truth - found.mean_TC) / deviation) ** 2 - np.log(deviation * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(scores[1].score, density.mean(), rtol=1e-4)


@pytest.mark.parametrize("decoding", ["direct", "autoregressive"])
def test_without_a_density_the_score_is_minus_the_loss_of_the_forecast(tmp_path, decoding):
    model, path = forecaster(decoding=decoding), write(tmp_path, rows=17)
    encoded = model.featuriser.encode(model.read(path).groups)
    where = Windows(np.zeros(4, np.int64), np.arange(8, 12))
    error = (encoded.truths(where) - model.forecast(encoded, where)[0]) ** 2
    np.testing.assert_allclose([one.score for one in model.score(path)], -error.mean((1, 2)), rtol=1e-4)


def test_a_number_that_is_missing_is_no_part_of_a_score(tmp_path):
    tail = "".join(f"2020-01-01 {hour}:00,,\n" for hour in range(12, 20))
    scores = forecaster(loss="student_t").score(write(tmp_path, tail=tail))
    assert np.isnan([one.score for one in scores]).tolist() == [False] * 4 + [True] * 3
    with pytest.raises(
        UserError, match=r"history.csv: no window fits into it: a series needs 8 steps to look at, and 6"
    ):
        forecaster().score(write(tmp_path))
    with pytest.raises(UserError, match=r"score takes the path of a table, found int"):
        forecaster().score(5)


@pytest.mark.parametrize("decoding", ["direct", "autoregressive"])
@pytest.mark.parametrize("loss", ["student_t", "quantiles"])
def test_an_ensemble_of_one_model_twice_scores_as_it_does_alone(tmp_path, loss, decoding):
    folder, path = saved(tmp_path, 1, loss=loss, decoding=decoding), write(tmp_path, rows=16)
    alone, twice = ([one.score for one in seqsmith.load(*[folder] * n).score(path)] for n in (1, 2))
    np.testing.assert_allclose(twice, alone, rtol=1e-5)


def test_what_is_no_folder_is_told():
    with pytest.raises(UserError, match=r"load takes the path of a model folder, found int"):
        seqsmith.load("model", 3)


@pytest.mark.parametrize("loss", ["mse", "quantiles"])
def test_intervals_of_a_longer_horizon_never_shrink_again(tmp_path, loss):
    (found,) = forecaster(loss=loss).predict(write(tmp_path), horizon=20)
    for width in (found.mean_TC - found.low_TC, found.high_TC - found.mean_TC):
        assert (np.diff(width[HORIZON - 1 :], axis=0) > -1e-4).all()


def test_months_go_on_where_the_history_was_written(tmp_path):
    dates = ["2019-08-31", "2019-09-30", "2019-10-31", "2019-11-30", "2019-12-31"]
    rows = "".join(f"{date} 00:00+02:00,{10 + row},{row}\n" for row, date in enumerate(dates))
    (tmp_path / "history.csv").write_text("time,a,b\n" + rows)
    (found,) = forecaster(clock=Clock("month", 1)).predict(str(tmp_path / "history.csv"))
    assert [time[:10] for time in found.times[:3]] == ["2020-01-31", "2020-02-29", "2020-03-31"]


def test_what_is_no_table_or_no_horizon_is_told(tmp_path):
    model, path = forecaster(), write(tmp_path)
    for horizon in (0, 2.5, "5", True):
        with pytest.raises(UserError, match=r"horizon: found .*, expected (1 to 1,000,000|a whole number of steps)"):
            model.predict(path, horizon=horizon)
    assert len(model.predict(path, horizon=np.int64(2))[0].times) == 2
    for history in (5, [path], None):
        with pytest.raises(UserError, match=r"predict takes the path of a table, found (int|list|NoneType)"):
            model.predict(history)


def test_what_is_added_to_a_series_is_added_to_its_forecast(tmp_path):
    """Window scaling by the last value: the model sees changes alone."""
    model = forecaster()
    low = model.predict(write(tmp_path))[0]
    rows = (tmp_path / "history.csv").read_text().splitlines(keepends=True)
    high = tmp_path / "high.csv"
    high.write_text(rows[0] + "".join(f"{(c := row.split(','))[0]},{float(c[1]) + 100},{c[2]}" for row in rows[1:]))
    np.testing.assert_allclose(model.predict(str(high))[0].mean_TC, low.mean_TC + np.array([100.0, 0.0]), atol=1e-3)


def test_a_short_history_is_enough_and_an_empty_one_is_not(tmp_path):
    model = forecaster()
    assert np.isfinite(model.predict(write(tmp_path, rows=3))[0].mean_TC).all()
    path = tmp_path / "empty.csv"
    path.write_text("time,a,b\n2020-01-01 00:00,,\n2020-01-01 01:00,,\n")
    with pytest.raises(UserError, match=r"the series of the table has no number to go on from"):
        model.predict(str(path))


def test_covariates_of_the_future_are_read_from_rows_without_numbers(tmp_path):
    model = forecaster(covariates=("k",))
    head, cell = "time,a,b,k\n", ",0"
    future = "".join(f"2020-01-01 {hour},,,{{}}\n" for hour in ("12:00", "13:00", "14:00", "15:00", "16:00", "17:00"))
    calm, wild = (
        model.predict(write(tmp_path, head=head, cell=cell, tail=future.format(*[number] * 6)))[0] for number in (0, 9)
    )
    assert calm.times == wild.times
    assert calm.times[0] == "2020-01-01 12:00:00"
    assert not np.allclose(calm.mean_TC, wild.mean_TC)
    holed = future.format(0, 0, "", 0, 0, 0)
    with pytest.raises(UserError, match=r"history\.csv: k is missing in row 3 after the last numbers\. What is known"):
        model.predict(write(tmp_path, head=head, cell=cell, tail=holed))
    with pytest.raises(UserError, match=r"the model needs k for all 6 steps to come, found 0 rows"):
        model.predict(write(tmp_path, head=head, cell=cell))


def test_columns_and_steps_must_be_those_of_the_model(tmp_path):
    model = forecaster()
    with pytest.raises(UserError, match=r"there is no column `b` for series.targets. Known: a, c, time."):
        model.predict(write(tmp_path, head="time,a,c\n"))
    daily = tmp_path / "daily.csv"
    daily.write_text("time,a,b\n2020-01-01,1,2\n2020-01-02,1,3\n2020-01-03,1,3\n")
    with pytest.raises(UserError, match=r"its rows follow each other by a day, those the model knows by an hour"):
        model.predict(str(daily))


def test_several_series_are_forecast_together_as_they_are_alone(tmp_path):
    model = forecaster(clock=None)
    head, one, two = "group,a,b\n", "".join(f"x,{n},{n}\n" for n in range(9)), "".join(f"y,{-n},5\n" for n in range(4))
    path = tmp_path / "groups.csv"
    path.write_text(head + one + two)
    together = model.predict(str(path))
    path.write_text(head + two)
    (alone,) = model.predict(str(path))
    assert [found.group for found in together] == ["x", "y"]
    assert alone.times == ("1", "2", "3", "4", "5", "6")
    np.testing.assert_allclose(together[1].mean_TC, alone.mean_TC, rtol=1e-5)
    rows = list(as_rows(together))
    assert len(rows) == 12
    assert list(rows[0]) == ["group", "time", "a", "a low", "a high", "b", "b low", "b high"]


def test_a_saved_model_forecasts_the_same(tmp_path):
    model, path = forecaster(loss="gaussian"), write(tmp_path)
    model.save(tmp_path / "model", card="# a model\n")
    other = seqsmith.load(tmp_path / "model")
    assert isinstance(other, Forecaster)
    assert other.settings == model.settings
    np.testing.assert_array_equal(other.predict(path)[0].high_TC, model.predict(path)[0].high_TC)
    (tmp_path / "model" / "series.json").write_text("{}")
    with pytest.raises(UserError, match=r"damaged: series.json is not what was saved"):
        seqsmith.load(tmp_path / "model")
