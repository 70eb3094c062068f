"""Augmentation: pure functions of a seed, within their bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqsmith.speech.augment import bent, louder, masked, noisy, stretched
from speech.sounds import tone


def frames(length: int = 50, channels: int = 8) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((length, channels)).astype(np.float32) + 5


@given(st.integers(0, 10**6), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_masks_are_zero_elsewhere_nothing_changes_and_none_is_wider_than_allowed(seed, band, span):
    before = frames()
    after = masked(before, np.random.default_rng(seed), bands=1, widest_band=band, spans=1, longest_span=span)
    hidden = after == 0
    np.testing.assert_array_equal(after[~hidden], before[~hidden])
    whole_channels, whole_frames = hidden.all(0).sum(), hidden.all(1).sum()
    assert whole_channels <= 8 * band or whole_frames == 50
    assert whole_frames <= 50 * span or whole_channels == 8


def test_the_same_seed_changes_the_same_and_the_input_stays():
    before = frames()
    copy = before.copy()
    shape = {"bands": 2, "widest_band": 0.3, "spans": 2, "longest_span": 0.3}
    once, again, other = (masked(before, np.random.default_rng(seed), **shape) for seed in (1, 1, 2))
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, other)
    np.testing.assert_array_equal(before, copy)


@given(st.integers(1, 200), st.floats(0.5, 2.0))
@settings(max_examples=50, deadline=None)
def test_stretching_changes_the_length_and_keeps_the_ends(length, speed):
    before = frames(length)
    after = stretched(before, speed)
    assert len(after) == max(1, round(length / speed))
    np.testing.assert_allclose(after[0], before[0], atol=1e-5)
    if len(after) > 1:
        np.testing.assert_allclose(after[-1], before[-1], atol=1e-5)
    assert after.min() >= before.min() - 1e-5
    assert after.max() <= before.max() + 1e-5


def test_a_tempo_of_one_changes_nothing():
    np.testing.assert_allclose(stretched(frames(), 1.0), frames(), atol=1e-6)


@pytest.mark.parametrize("cepstra", [False, True])
def test_bending_by_nothing_changes_nothing_and_what_is_the_same_everywhere_stays(cepstra):
    np.testing.assert_allclose(bent(frames(), 0.0, cepstra=cepstra), frames(), atol=1e-5)
    flat = np.ones((3, 8), np.float32) * (np.arange(8) == 0 if cepstra else 1)
    np.testing.assert_allclose(bent(flat, 0.1, cepstra=cepstra), flat, atol=1e-5)


@pytest.mark.parametrize("by", [-0.1, 0.03, 0.1])
def test_bending_moves_a_peak_of_the_spectrum_towards_where_it_should_be(by):
    bins, place = 200, 0.4
    u_C = (np.arange(bins) + 0.5) / bins
    peak = np.exp(-(((u_C - place) / 0.03) ** 2))[None].astype(np.float32)
    moved = u_C[bent(peak, by, cepstra=False)[0].argmax()]
    assert abs(moved + by * np.sin(np.pi * moved) - place) < 2 / bins


def test_bending_cepstra_is_bending_the_bins_that_they_are_a_transform_of():
    bins, orders = 400, 20
    u_C = (np.arange(bins) + 0.5) / bins
    smooth_C = np.cos(4 * np.pi * u_C) + np.sin(5 * u_C)
    cosine_KC = np.cos(np.pi * np.arange(orders)[:, None] * u_C)
    cepstrum_K = cosine_KC @ smooth_C * np.where(np.arange(orders), 2, 1) / bins
    expected_K = cosine_KC @ bent(smooth_C[None].astype(np.float32), 0.05, cepstra=False)[0]
    found_K = bent(cepstrum_K[None].astype(np.float32), 0.05, cepstra=True)[0]
    np.testing.assert_allclose(found_K, expected_K * np.where(np.arange(orders), 2, 1) / bins, atol=0.02)


def test_noise_stays_as_far_below_the_signal_as_it_should():
    sample_X = tone(2.0)
    for seed in range(10):
        noise_X = noisy(sample_X, np.random.default_rng(seed), quietest_decibels=10.0) - sample_X
        ratio = 10 * np.log10(np.square(sample_X).mean() / np.square(noise_X).mean())
        assert 9.5 < ratio < 30.5


@pytest.mark.parametrize("most", [0.0, 6.0])
def test_gain_is_one_factor_within_its_bounds(most):
    sample_X = tone()
    changed_X = louder(sample_X, np.random.default_rng(3), most_decibels=most)
    factors = changed_X[1:] / sample_X[1:]
    np.testing.assert_allclose(factors, factors[0], rtol=1e-3)
    assert abs(20 * np.log10(factors[0])) <= most + 1e-3
