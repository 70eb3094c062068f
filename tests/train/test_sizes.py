"""Models and trainings grow with the text there is, and stay within what the machine at hand can do."""

from __future__ import annotations

from itertools import pairwise

import pytest

from seqsmith.train.sizes import TRANSDUCTION, TRANSLATION, size_for


@pytest.mark.parametrize("one_answer", [False, True])
@pytest.mark.parametrize("recurrent", [False, True])
def test_more_text_is_trained_on_for_longer(one_answer, recurrent):
    sizes = [size_for(10.0**digits, one_answer=one_answer) for digits in range(3, 10)]
    for size, larger in pairwise(sizes):
        (updates, tokens), (more_updates, more_tokens) = (s.course(recurrent=recurrent) for s in (size, larger))
        assert updates * tokens <= more_updates * more_tokens


def test_short_answers_are_not_taken_for_translations_where_there_are_many():
    assert size_for(1_270_000, one_answer=True) in TRANSDUCTION  # 234,000 words of old German and their modern forms
    assert size_for(1_270_000, one_answer=False) in TRANSLATION


def test_an_amount_at_a_border_belongs_to_the_smaller_size():
    for size in (*TRANSDUCTION, *TRANSLATION[:-1]):
        assert size_for(size.most_tokens, one_answer=size in TRANSDUCTION) == size
