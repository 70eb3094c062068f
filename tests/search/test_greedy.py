"""Greedy search against the loop one would write for a single source."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seqsmith.batch import State
from seqsmith.search.greedy import greedy_search
from seqsmith.special import BEGIN, END


def step(id_N: Tensor, state: State) -> tuple[Tensor, State]:
    """A model that sees the last two ids: row is the one before, source a table of logits."""
    logit_NV = state.source[torch.arange(len(id_N)), state.row, id_N]
    return logit_NV, State(row=id_N, source=state.source)


def start(logit_BUUV: Tensor) -> State:
    return State(row=torch.zeros(len(logit_BUUV), dtype=torch.int64), source=logit_BUUV)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(0, 3), st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_greedy_is_the_loop_of_argmax(seed: int, shortest: int, longest: list[int]) -> None:
    generator = torch.Generator().manual_seed(seed)
    logit_BUUV = torch.randn(len(longest), 8, 8, 8, generator=generator, dtype=torch.float64) * 2
    found = greedy_search(step, start(logit_BUUV), longest_B=torch.tensor(longest), shortest=shortest)
    for (answer,), table, most in zip(found, logit_BUUV.log_softmax(3).tolist(), longest, strict=True):
        ids, log_ps, before, last = [], [], 0, BEGIN
        while len(ids) < most and last != END:
            allowed = range(END if len(ids) >= shortest else END + 1, 8)
            log_p_after = table[before][last]
            before, last = last, max(allowed, key=log_p_after.__getitem__)
            ids.append(last)
            log_ps.append(log_p_after[last])
        assert answer.ids + [END] * answer.ended == ids
        assert answer.token_log_prob == pytest.approx(log_ps, abs=1e-12)
        assert answer.score == pytest.approx(sum(log_ps) / len(ids), abs=1e-12)


def test_of_equals_the_lowest_id_is_chosen() -> None:
    flat = torch.zeros(2, 8, 8, 8, dtype=torch.bfloat16)
    flat[:, :, :, END] = -1.0
    found = greedy_search(step, start(flat), longest_B=torch.tensor([2, 3]))
    assert [answers[0].ids for answers in found] == [[4, 4], [4, 4, 4]]
    assert not found[0][0].ended


def test_a_source_leaves_the_batch_when_its_answer_ends() -> None:
    logit_BUUV = torch.zeros(3, 8, 8, 8)
    logit_BUUV[1, :, :, END] = 9.0
    sizes = []

    def watched(id_N: Tensor, state: State) -> tuple[Tensor, State]:
        sizes.append((len(id_N), len(state.row), len(state.source)))
        return step(id_N, state)

    logit_BUUV[0::2, :, :, END] = -9.0
    found = greedy_search(watched, start(logit_BUUV), longest_B=torch.tensor([2, 5, 4]))
    assert sizes == [(3, 3, 3), (2, 2, 2), (1, 1, 1), (1, 1, 1)]
    assert [len(answers[0].ids) for answers in found] == [2, 0, 4]


def test_no_sources_have_no_answers() -> None:
    assert greedy_search(step, start(torch.zeros(0, 8, 8, 8)), longest_B=torch.zeros(0, dtype=torch.int64)) == []
