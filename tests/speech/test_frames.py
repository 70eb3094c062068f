"""Deltas, normalisation, silences and names: the small steps between a recording and a model."""

from __future__ import annotations

import itertools
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqsmith.errors import UserError
from seqsmith.speech.deltas import with_deltas
from seqsmith.speech.names import WHOLE, Stretch, parse
from seqsmith.speech.normalise import Normalisation, learnt, own
from seqsmith.speech.silence import pieces


def test_the_deltas_of_a_line_are_its_slope_and_those_of_a_parabola_its_bend():
    step = np.arange(40, dtype=np.float32)[:, None]
    line = with_deltas(3 * step + 1, 1)
    np.testing.assert_allclose(line[4:-4, 1], 3.0, rtol=1e-5)
    bend = with_deltas(step**2, 2)
    np.testing.assert_allclose(bend[8:-8, 2], 2.0, rtol=1e-4)
    np.testing.assert_array_equal(bend[:, :1], step**2)


def recordings() -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [(random.standard_normal((length, 3)) * [1, 5, 0] + [0, 9, 2]).astype(np.float32) for length in (7, 30, 1)]


def test_normalised_frames_have_mean_zero_and_deviation_one_and_come_back():
    several = recordings()
    normalisation = learnt(several)
    normal = np.concatenate([normalisation(one) for one in several])
    np.testing.assert_allclose(normal.mean(0), 0.0, atol=1e-5)
    np.testing.assert_allclose(normal[:, :2].std(0), 1.0, atol=1e-4)
    for one in several:
        np.testing.assert_allclose(normalisation.inverse(normalisation(one)), one, atol=1e-4)
    assert np.isfinite(normal).all()


def test_a_recording_normalised_by_itself_forgets_its_level():
    one, every = recordings()[1][:, :2], np.ones(30, np.bool_)
    np.testing.assert_allclose(own(one * 7 + 100, every), own(one, every), atol=1e-3)


def test_a_normalisation_is_saved_whole_and_a_damaged_one_is_named(tmp_path):
    path = tmp_path / "source.normalisation.json"
    normalisation = learnt(recordings())
    normalisation.save(path)
    again = Normalisation.open(path)
    np.testing.assert_array_equal(again.mean_C, normalisation.mean_C)
    np.testing.assert_array_equal(again.deviation_C, normalisation.deviation_C)
    for content in ("{", '{"mean": [1]}', '{"mean": [1, 2], "deviation": [1]}', '{"mean": [1], "deviation": [0]}'):
        path.write_text(content)
        with pytest.raises(UserError, match=r"source\.normalisation\.json: damaged"):
            Normalisation.open(path)


@given(st.integers(0, 500), st.integers(2, 80), st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_pieces_cover_everything_once_and_none_is_too_long(length, longest, seed):
    level_L = np.random.default_rng(seed).random(length)
    found = pieces(level_L, longest=longest)
    assert found[0][0] == 0
    assert found[-1][1] == length
    assert all(left[1] == right[0] for left, right in itertools.pairwise(found))
    assert all(0 < end - start <= longest for start, end in found) or length == 0


def test_a_cut_lies_in_the_pause():
    level_L = np.ones(300)
    level_L[120:150] = 0.0
    level_L[70:75] = 0.5
    (_, cut), *_ = pieces(level_L, longest=200)
    assert 120 <= cut <= 150


def test_names_are_paths_lists_of_paths_or_parts_of_one(tmp_path):
    assert parse("a.wav") == (["a.wav"], WHOLE)
    assert parse("a.wav, b.wav") == (["a.wav", "b.wav"], WHOLE)
    assert parse("a.wav#t=1.5,3") == (["a.wav"], Stretch(1.5, 3.0))
    assert parse("a.wav#t=,3") == (["a.wav"], Stretch(None, 3.0))
    assert parse("a.wav#t=2") == (["a.wav"], Stretch(2.0, None))
    odd = os.fspath(tmp_path / "so, or so#t=1.wav")
    open(odd, "w").close()
    assert parse(odd) == ([odd], WHOLE)
    with pytest.raises(UserError, match="found 'soon' for a start or end"):
        parse("a.wav#t=soon,3")
