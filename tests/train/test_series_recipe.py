"""What is chosen for a table: rules over its size and its clock, each with a reason, and never over what was said."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqsmith import config
from seqsmith.train.recipe import lines
from seqsmith.train.series_recipe import SeriesFacts, choose_series, choose_vectors


def facts(*, steps=8_640, dev=2_880, columns=7, season=24):
    return SeriesFacts(steps, dev, steps * columns, columns, season, "steps of an hour", scales_differ=False)


def chosen(found, **table):
    recipe = choose_series(found, {"source": {"kind": "series"}, **table})
    return config.build(recipe.resolved(), where="test")


def test_hours_are_read_a_day_at_a_time_over_two_weeks():
    series = chosen(facts()).series
    assert (series.season, series.patch, series.context, series.horizon) == (24, 24, 336, 24)
    assert (series.channels, series.decoding, series.window_scaling) == ("independent", "direct", "last")


def test_series_of_different_scale_are_scaled_each_by_its_own_numbers():
    assert chosen(facts()).series.scaling == "standard"
    assert chosen(replace(facts(), scales_differ=True)).series.scaling == "group"


@pytest.mark.parametrize(("season", "patch"), [(96, 96), (7, 7), (12, 12), (1440, 120), (1, 3), (52, 52)])
def test_a_patch_is_a_season_or_a_part_of_it(season, patch):
    series = chosen(facts(season=season)).series
    assert series.patch == patch
    assert series.context % patch == 0


@pytest.mark.parametrize(("horizon", "patch"), [(24, 6), (96, 24), (12, 3), (3, 1), (1, 1)])
@pytest.mark.parametrize("asked", [{"series": {"rollouts": True}}, {"train": {"scheduled_sampling": 0.5}}])
def test_what_is_fed_its_own_answers_has_steps_to_be_fed(horizon, patch, asked):
    asked = {**asked, "series": {"horizon": horizon, **asked.get("series", {})}}
    series = chosen(facts(), **asked).series
    assert (series.decoding, series.patch, series.context % patch) == ("autoregressive", patch, 0)


@given(st.integers(4, 3_000), st.integers(2, 1_000), st.sampled_from([1, 4, 7, 12, 24, 96, 1440]), st.integers(1, 9))
def test_a_window_fits_into_any_table(steps, dev, season, columns):
    settings = chosen(facts(steps=steps, dev=dev, season=season, columns=columns))
    context, horizon, patch = settings.series.context, settings.series.horizon, settings.series.patch
    assert context + horizon <= steps
    assert horizon <= dev
    assert context >= min(patch, steps - horizon - max(horizon, steps // 4))
    assert settings.train.updates >= 1


def test_what_was_said_stays_and_every_choice_has_a_reason():
    table = {"series": {"horizon": 96, "loss": "gaussian"}, "model": {"family": "transformer"}}
    recipe = choose_series(facts(), table)
    settings = config.build(recipe.resolved(), where="test")
    assert (settings.series.horizon, settings.series.loss, settings.model.encoder.kind) == (
        *(96, config.Gaussian()), "transformer")  # fmt: skip
    assert "series.horizon" not in {choice.key for choice in recipe.choices}
    assert all(choice.reason for choice in recipe.choices)
    assert any(line.startswith("series.patch=24  (a season") for line in lines(recipe))


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("gaussian", config.Gaussian()),
        ({"threshold": 0.5}, config.HuberError(threshold=0.5)),
        ({"levels": [0.1, 0.5, 0.9]}, config.Quantiles(levels=(0.1, 0.5, 0.9))),
    ],
)
@pytest.mark.parametrize("family", ["gru", "transformer"])
def test_the_loss_that_was_asked_for_is_the_one_that_is_told(loss, expected, family):
    table = {"source": "series", "series": {"loss": loss}, "model": {"family": family}}
    assert config.draft(table, where="test").series.loss == expected
    recipe = choose_series(facts(), table)
    assert config.build(recipe.resolved(), where="test").series.loss == expected
    told = [choice.value for choice in recipe.choices if choice.key == "series.loss.kind"]
    assert told == ([] if loss == "gaussian" else [expected.kind])


def test_epochs_of_vectors_are_not_cut_short():
    table = {"source": {"kind": "series"}, "train": {"epochs": 100}}
    assert (
        config.build(choose_vectors(2_000_000, pairs=1_000, table=table).resolved(), where="test").train.updates is None
    )
    assert choose_vectors(2_000_000, pairs=1_000, table={}).value("train.updates") == 5_000


def test_transformers_and_recurrent_models_learn_each_in_their_way():
    kinds = {family: chosen(facts(), model={"family": family}) for family in ("gru", "lstm", "transformer")}
    assert {family: (one.series.loss.kind, one.train.rate) for family, one in kinds.items()} == {
        "gru": ("huber", 0.002), "lstm": ("huber", 0.002), "transformer": ("mse", 0.001)}  # fmt: skip
