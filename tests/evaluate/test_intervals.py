"""Resampling by sums is resampling segments; intervals cover, tests keep their level."""

import numpy as np
import pytest

from seqsmith.evaluate import intervals
from seqsmith.evaluate.intervals import bootstrap, compare, interval
from seqsmith.evaluate.statistics import Array, Statistics


def mean_of(value_E: Array) -> Statistics:
    return Statistics(
        row_EQ=np.stack([value_E, np.ones_like(value_E)], axis=1),
        quantities=("sum", "segments"),
        value=lambda total_ZQ: total_ZQ[:, 0] / total_ZQ[:, 1],
        signature="",
        unit="points",
        better="higher",
    )


def test_every_resample_has_as_many_segments_as_the_corpus() -> None:
    value_E = np.arange(7.0)
    counts = Statistics(np.eye(7), tuple("abcdefg"), lambda total_ZQ: total_ZQ.sum(1), "", "points", "higher")
    drawn_Z, mean_Z = bootstrap([counts, mean_of(value_E)], resamples=100, seed=1)
    assert (drawn_Z == 7).all()
    assert ((mean_Z >= 0) & (mean_Z <= 6)).all()


def test_resampled_means_spread_as_theory_says() -> None:
    value_E = np.random.default_rng(1).normal(size=400)
    (mean_Z,) = bootstrap([mean_of(value_E)], resamples=4000, seed=1)
    assert mean_Z.std() == pytest.approx(value_E.std() / 20, rel=0.06)


def test_the_size_of_a_block_does_not_change_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    statistics = mean_of(np.arange(50.0))
    (whole_Z,) = bootstrap([statistics], resamples=30, seed=3)
    monkeypatch.setattr(intervals, "BLOCK", 170)
    (in_blocks_Z,) = bootstrap([statistics], resamples=30, seed=3)
    np.testing.assert_array_equal(whole_Z, in_blocks_Z)


def test_scores_resampled_together_see_the_same_corpora() -> None:
    statistics = mean_of(np.arange(20.0))
    first_Z, second_Z = bootstrap([statistics, statistics], resamples=50, seed=1)
    np.testing.assert_array_equal(first_Z, second_Z)


def test_an_interval_always_holds_the_value() -> None:
    assert interval(9.0, np.linspace(0, 1, 100)) == pytest.approx((0.025, 9.0))
    assert interval(-9.0, np.linspace(0, 1, 101)) == pytest.approx((-9.0, 0.975))


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    chance = np.random.default_rng(1)
    covered = 0
    for seed in range(200):
        statistics = mean_of(chance.normal(size=60))
        (value_Z,) = bootstrap([statistics], resamples=200, seed=seed)
        low, high = interval(float(statistics.value(statistics.total_1Q)[0]), value_Z)
        covered += low <= 0 <= high
    assert 0.89 <= covered / 200 <= 0.99


def test_systems_that_are_alike_are_rarely_called_different() -> None:
    chance = np.random.default_rng(1)
    found = 0
    for seed in range(200):
        first, second = (mean_of(chance.normal(size=40)) for _ in range(2))
        found += compare(first, second, resamples=200, seed=seed).p_value < 0.05
    assert found / 200 <= 0.10


def test_a_small_p_value_needs_more_than_one_segment() -> None:
    result = compare(mean_of(np.array([1.0])), mean_of(np.array([0.0])), resamples=100, seed=1)
    assert result.p_value == 1.0
