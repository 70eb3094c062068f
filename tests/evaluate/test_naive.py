"""The naive forecasts are what they say, see nothing of the horizon, and the linear one finds what is linear."""

import numpy as np
import pytest

from seqsmith.evaluate.naive import Linear, filled, repeat_last, repeat_season

CONTEXT = np.array([[[1.0, np.nan], [2.0, 5.0], [np.nan, 6.0], [4.0, np.nan]]], np.float32)


def test_holes_are_filled_from_before_else_from_after_else_with_zero():
    assert filled(CONTEXT)[0].T.tolist() == [[1, 2, 2, 4], [5, 5, 6, 6]]
    assert filled(np.full((1, 2, 1), np.nan, np.float32)).tolist() == [[[0], [0]]]


def test_the_last_number_and_the_last_season_come_again():
    assert repeat_last(CONTEXT, 2)[0].tolist() == [[4, 6], [4, 6]]
    assert repeat_season(CONTEXT, 5, 3)[0, :, 0].tolist() == [2, 2, 4, 2, 2]
    assert repeat_season(CONTEXT, 2, 9)[0].tolist() == repeat_last(CONTEXT, 2)[0].tolist()


def test_a_season_that_repeats_itself_is_forecast_without_error():
    x = np.tile(np.arange(4.0, dtype=np.float32), 6)[None, :, None]
    np.testing.assert_array_equal(repeat_season(x[:, :12], 12, 4), x[:, 12:])


def test_the_linear_model_finds_a_linear_rule_for_numbers_it_has_not_seen():
    chance = np.random.default_rng(1)
    weight = chance.normal(size=(6, 3)).astype(np.float32)

    def draw(windows):
        context = chance.normal(size=(windows, 6, 2)).astype(np.float32)
        last = context[:, -1:]
        return context, last + np.einsum("esc,st->etc", context - last, weight)

    blocks = [draw(100) for _ in range(5)]
    blocks[0][1][:50, 0] = np.nan  # is left out
    linear = Linear.fit(iter(blocks))
    context, truth = draw(20)
    np.testing.assert_allclose(linear.forecast(context), truth, atol=0.1)
    blocks = blocks[1:]
    for _, truth_ETC in blocks:
        truth_ETC[:, 2] = np.nan  # as every window has a hole, the last number before stands in it
    found = Linear.fit(iter(blocks)).forecast(context)
    np.testing.assert_allclose(found[:, :2], truth[:, :2], atol=0.1)
    np.testing.assert_allclose(found[:, 2], truth[:, 1], atol=0.1)
    assert linear.forecast(context + 7.0) == pytest.approx(linear.forecast(context) + 7.0, abs=1e-4)
