"""Words get the times of their tokens, in order, whatever the tokens are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from seqsmith import config
from seqsmith.engine.timing import sounding, spans_of_attention, spans_of_ctc, word_times
from seqsmith.search.forced import Span
from seqsmith.speech.codec import SpeechCodec
from seqsmith.speech.subtitles import Timed
from speech.sounds import tone, write

LETTERS = "____ab c"  # ids 4 to 7: a, b, a space, c


def decode(ids: list[int]) -> str:
    return "".join(LETTERS[id] for id in ids)


def test_words_begin_with_their_first_letter_and_end_with_their_last():
    spans = [Span(1, 2), Span(4, 6), Span(6, 7), Span(9, 10)]
    found = word_times([4, 5, 6, 7], spans, decode, step_seconds=0.1, offset_seconds=10.0)
    assert [word.text for word in found] == ["ab", "c"]
    np.testing.assert_allclose([(w.start_seconds, w.end_seconds) for w in found], [(10.1, 10.6), (10.9, 11.0)])


def test_times_never_run_backwards():
    spans = [Span(8, 9), Span(2, 3), Span(3, 4), Span(1, 2)]
    found = word_times([4, 6, 5, 7], spans, decode, step_seconds=1.0, offset_seconds=0.0)
    edges = [edge for word in found for edge in (word.start_seconds, word.end_seconds)]
    assert edges == sorted(edges)


def test_an_empty_answer_has_no_words():
    assert word_times([], [], decode, step_seconds=1.0, offset_seconds=0.0) == []
    assert spans_of_attention(np.ones((1, 5))) == []


def test_attention_gives_a_span_a_token_that_runs_forwards():
    weight_TS = np.array([[0.1, 0.8, 0.1, 0.0], [0.9, 0.1, 0.0, 0.0], [0.0, 0.0, 0.1, 0.9], [1.0, 0.0, 0.0, 0.0]])
    assert spans_of_attention(weight_TS) == [Span(0, 1), Span(0, 1), Span(3, 4)]


def test_one_stray_look_of_the_attention_takes_no_other_token_with_it():
    weight_TS = np.eye(8)[[0, 1, 7, 3, 4, 5, 6]] * 0.9 + 0.0125  # the third token looks to the end
    steps = [span.start for span in spans_of_attention(weight_TS)]
    assert steps[:2] + steps[3:] == [0, 1, 3, 4, 5]
    assert 1 <= steps[2] <= 3


def test_the_way_of_the_attention_has_the_most_weight_of_all_that_run_forwards():
    for seed in range(20):
        weight_TS = np.random.default_rng(seed).dirichlet(np.ones(5), 5)
        ways = itertools.combinations_with_replacement(range(5), 4)
        best = max(ways, key=lambda way: sum(np.log(weight_TS[t, s] + 1e-4) for t, s in enumerate(way)))
        assert tuple(span.start for span in spans_of_attention(weight_TS)) == best


def test_too_few_steps_are_shared_out_evenly():
    assert spans_of_ctc(np.log(np.full((2, 5), 0.2)), [1, 1, 1]) == [Span(0, 1), Span(0, 1), Span(1, 2)]


RECORDED = config.SpeechSource(rate_hz=16_000, bins=40, channels=40)


def recorded(path, parts: list[tuple[float, float]], noise: float = 1e-4) -> np.ndarray:
    """The energy of a recording of (seconds, level) end to end: tones of 700 Hz, in noise."""
    samples = np.concatenate([tone(seconds, hz=700.0, level=level) for seconds, level in parts])
    samples += np.random.default_rng(1).normal(0, noise, len(samples)).astype(np.float32)
    codec = SpeechCodec(RECORDED, None)
    return codec.energy(codec.encode([write(path / "parts.wav", samples)])[0])


def edges_of(words: list[Timed]) -> list[float]:
    return [edge for word in words for edge in (word.start_seconds, word.end_seconds)]


@pytest.mark.parametrize("noise", [1e-5, 1e-3, 1e-2])
def test_a_word_reaches_from_where_its_sound_begins_to_where_it_ends(tmp_path, noise):
    energy_L = recorded(tmp_path, [(0.3, 0.0), (0.4, 0.3), (0.5, 0.0), (0.6, 0.2), (0.2, 0.0)], noise)
    spikes = [Timed("one", 10.34, 10.38), Timed("two", 11.3, 11.34)]
    words = sounding(spikes, energy_L, offset_seconds=10.0)
    assert [word.text for word in words] == ["one", "two"]
    np.testing.assert_allclose(edges_of(words), [10.3, 10.7, 11.2, 11.8], atol=0.025)


def test_words_without_a_pause_meet_where_it_is_quietest_and_reach_the_ends_of_the_recording(tmp_path):
    energy_L = recorded(tmp_path, [(0.5, 0.3), (0.03, 0.15), (0.5, 0.3)])
    words = sounding([Timed("one", 0.1, 0.14), Timed("two", 0.7, 0.74)], energy_L, offset_seconds=0.0)
    np.testing.assert_allclose(edges_of(words), [0.0, 0.515, 0.515, 1.01], atol=0.025)


def test_a_word_reaches_no_more_than_a_second_beyond_its_symbols(tmp_path):
    energy_L = recorded(tmp_path, [(9.0, 0.3)])
    words = sounding([Timed("one", 2.0, 2.1), Timed("two", 6.0, 6.1)], energy_L, offset_seconds=0.0)
    assert edges_of(words)[::3] == pytest.approx([1.0, 7.1])
    assert words[0].end_seconds == pytest.approx(3.1)
    assert 5.0 <= words[1].start_seconds <= 6.0


def test_sounding_words_keep_what_was_recognised_and_never_overlap():
    for seed in range(30):
        random = np.random.default_rng(seed)
        energy_L = random.normal(0, 5, 80)
        spikes = [Timed("w", *edges) for edges in np.sort(random.uniform(0, 0.8, 8)).reshape(4, 2).tolist()]
        words = sounding(spikes, energy_L, offset_seconds=0.0)
        assert edges_of(words) == sorted(edges_of(words))
        for word, spike in zip(words, spikes, strict=True):
            assert 0.0 <= word.start_seconds <= spike.start_seconds + 1e-3
            assert spike.end_seconds - 1e-3 <= word.end_seconds <= 0.8
    assert sounding([], energy_L, offset_seconds=0.0) == []


def test_features_that_are_ready_are_as_loud_as_their_first_number():
    codec = SpeechCodec(config.SpeechSource(channels=3, cepstra=True), None)
    np.testing.assert_array_equal(codec.energy(np.arange(6, dtype=np.float32).reshape(2, 3)), [0.0, 3.0])
