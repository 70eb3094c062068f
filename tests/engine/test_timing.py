"""Words get the times of their tokens, in order, whatever the tokens are."""

from __future__ import annotations

import numpy as np

from seqsmith.engine.timing import spans_of_attention, spans_of_ctc, word_times
from seqsmith.search.forced import Span

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
    assert spans_of_attention(weight_TS) == [Span(1, 2), Span(1, 3), Span(3, 4)]


def test_too_few_steps_are_shared_out_evenly():
    assert spans_of_ctc(np.log(np.full((2, 5), 0.2)), [1, 1, 1]) == [Span(0, 1), Span(0, 1), Span(1, 2)]
