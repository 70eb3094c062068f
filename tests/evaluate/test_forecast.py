"""Scores of forecasts: equal to plain formulas, additive over blocks, blind to what is missing."""

import numpy as np
import pytest

from seqsmith.evaluate.forecast import Sums, Yardstick, at_level, naive_error, render_forecasts, score_block
from seqsmith.series.scaling import Levels, Scaling

YARD = Yardstick(Levels(np.array([[1.0, -2.0]]), np.array([[2.0, 4.0]])), np.array([[0.5, 3.0]]))
LEVELS = (0.1, 0.5, 0.9)


def windows(count=6):
    chance = np.random.default_rng(2)
    truth, mean = chance.normal(size=(2, count, 5, 2))
    return truth, mean, np.sort(chance.normal(size=(count, 5, 2, 3)), axis=-1)


def test_scores_are_those_of_the_formulas():
    truth, mean, value = windows()
    found = score_block(truth, mean, YARD, value_ETCQ=value, levels=LEVELS, interval=(0.1, 0.9)).scores()
    error, raw = truth - mean, (truth - mean) * [2.0, 4.0]
    truth_raw, mean_raw = truth * [2.0, 4.0] + [1.0, -2.0], mean * [2.0, 4.0] + [1.0, -2.0]
    pinball = [np.maximum(q * (truth - value[..., i]), (q - 1) * (truth - value[..., i])) for i, q in enumerate(LEVELS)]
    assert found == pytest.approx(
        {
            "mse": (error**2).mean(),
            "mae": np.abs(error).mean(),
            "mase": (np.abs(raw) / [0.5, 3.0]).mean(),
            "smape": (200 * np.abs(raw) / (np.abs(truth_raw) + np.abs(mean_raw))).mean(),
            "crps": 2 * np.mean(pinball),
            "coverage": 100 * ((truth >= value[..., 0]) & (truth <= value[..., 2])).mean(),
            "mse_unscaled": (raw**2).mean(),
            "mae_unscaled": np.abs(raw).mean(),
        }
    )


def test_blocks_add_up_and_missing_numbers_count_nowhere():
    truth, mean, _ = windows()
    whole = score_block(truth, mean, YARD).scores()
    parts = score_block(truth[:2], mean[:2], YARD) + score_block(truth[2:], mean[2:], YARD)
    assert parts.scores() == pytest.approx(whole)
    holes = np.concatenate([truth, np.full_like(truth, np.nan)])
    assert score_block(holes, np.concatenate([mean, mean]), YARD).scores() == pytest.approx(whole)
    assert Sums().scores()["mse"] == 0.0


def test_the_crps_of_a_point_is_its_absolute_error_and_a_perfect_forecast_scores_0():
    truth, mean, _ = windows()
    found = score_block(truth, mean, YARD).scores()
    assert found["crps"] == found["mae"]
    assert "coverage" not in found
    assert set(score_block(truth, truth, YARD).scores().values()) == {0.0}


def test_the_naive_forecast_has_a_mase_of_1_on_the_part_it_is_measured_by():
    x = np.random.default_rng(3).normal(size=(40, 2))
    error = naive_error([x], 4)
    np.testing.assert_allclose(error, np.abs(x[4:] - x[:-4]).mean(0))
    yard = Yardstick(Levels(np.zeros((1, 2)), np.ones((1, 2))), error[None])
    assert score_block(x[None, 4:], x[None, :-4], yard).scores()["mase"] == pytest.approx(1.0)
    assert naive_error([np.ones((5, 1))], 2).tolist() == [1.0]


def test_levels_between_are_on_a_line():
    value = np.array([[0.0, 1.0, 3.0]])
    assert [at_level(value, LEVELS, level)[0] for level in (0.05, 0.1, 0.3, 0.7, 0.9, 0.99)] == pytest.approx(
        [0.0, 0.0, 0.5, 2.0, 3.0, 3.0]
    )


def test_the_table_names_every_score():
    table = render_forecasts([("model", {"mse": 0.5, "coverage": 80.0}), ("repeat last", {"mse": 1.25})])
    assert [line.split() for line in table.splitlines()] == [
        ["forecast", "MSE", "coverage", "%"],
        ["model", "0.5", "80"],
        ["repeat", "last", "1.25", "-"],
    ]


def test_repeat_last_on_etth1_is_the_published_row(data_folder):
    """Input 336, horizon 96, the last incomplete batch of 32 windows dropped: 1.295 / 0.713 (Zeng et al. 2023)."""
    from seqsmith import config
    from seqsmith.evaluate.naive import repeat_last
    from seqsmith.series.split import split
    from seqsmith.series.table import read_table
    from seqsmith.series.windows import whole_batches, windows

    table = read_table(str(data_folder / "ett" / "ETTh1.csv"), config.Series()).groups[0].value_LC
    parts = split(len(table), rows=(8_640, 2_880, 2_880), dev_share=0.1, test_share=0.0)
    scaling = Scaling.fit([table[: parts.train]])
    x = scaling.scale(table)
    starts = windows([parts.part("test")], context=336, horizon=96).start_E
    starts = starts[: whole_batches(len(starts), 32)]
    truth = np.stack([x[start : start + 96] for start in starts])
    context = np.stack([x[start - 1 : start] for start in starts]).astype(np.float32)
    found = score_block(
        truth,
        repeat_last(context, 96),
        Yardstick(Levels(scaling.mean_C[None], scaling.deviation_C[None]), np.ones((1, 7))),
    ).scores()
    assert (round(found["mse"], 3), round(found["mae"], 3)) == (1.295, 0.713)
