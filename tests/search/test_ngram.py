"""N-grams equal a naive count over all texts, are probabilities, and help a search over any step."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqsmith.batch import State
from seqsmith.search.beam import beam_search
from seqsmith.search.joint import paired, with_language_model
from seqsmith.search.ngram import NGrams
from seqsmith.special import BEGIN, END

SIZE = 8
TEXTS = st.lists(st.lists(st.integers(END + 1, SIZE - 1), max_size=6), max_size=8)


def naive(texts: list[list[int]], history: list[int], order: int) -> np.ndarray:
    """Witten-Bell by its equation, from the shortest context to the longest."""
    p_V = np.full(SIZE, 1 / SIZE)
    history = [BEGIN] * order + history
    for length in range(order):
        context = history[len(history) - length :]
        count: Counter[int] = Counter()
        for text in texts:
            padded = [BEGIN] * (order - 1) + [*text, END]
            for place in range(order - 1, len(padded)):
                if padded[place - length : place] == context:
                    count[padded[place]] += 1
        if count:
            kinds, total = len(count), count.total()
            p_V = np.array([(count[w] + kinds * p_V[w]) / (total + kinds) for w in range(SIZE)])
    return p_V


@given(texts=TEXTS, history=st.lists(st.integers(END + 1, SIZE - 1), max_size=4), order=st.integers(1, 4))
def test_steps_equal_counting_in_all_texts(texts: list[list[int]], history: list[int], order: int) -> None:
    model = NGrams.learn([[*text, END] for text in texts], order=order, size=SIZE)
    state = model.start(1)
    for number in [BEGIN, *history]:
        log_p_NV, state = model.step(torch.tensor([number]), state)
    np.testing.assert_allclose(log_p_NV[0].exp().numpy(), naive(texts, history, order), atol=1e-12)
    assert log_p_NV.exp().sum().item() == pytest.approx(1.0)


def test_a_search_that_is_undecided_says_what_the_texts_say() -> None:
    model = NGrams.learn([[4, 5, 6, END]] * 3 + [[7, END]], order=3, size=SIZE)

    def undecided(id_N: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        return torch.zeros(len(id_N), SIZE), state

    state = paired(State({"any_N": torch.zeros(2)}, {}), model.start(2))
    step = with_language_model(undecided, model.step, weight=5.0)
    answers = beam_search(step, state, longest_B=torch.tensor([6, 6]), beam=3, length_penalty=0.0)
    assert [list(each[0].ids) for each in answers] == [[4, 5, 6], [4, 5, 6]]


def test_the_state_is_where_the_search_is() -> None:
    model = NGrams.learn([[4, END]], order=3, size=SIZE, device="meta")
    assert model.start(2).row["last_NK"].is_meta
