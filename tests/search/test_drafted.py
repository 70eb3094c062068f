"""Drafted search says what greedy search says, whatever the drafts, and asks for no step where they are right."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from search.test_beam import start, step, tables
from seqsmith.batch import State
from seqsmith.search.answer import Answer, NotFinite
from seqsmith.search.drafted import drafted_search
from seqsmith.search.greedy import greedy_search
from seqsmith.search.step import select
from seqsmith.special import BEGIN, END

targets = st.lists(st.integers(END + 1, END + 3), max_size=7)


class Asked:
    """A model of tables, and how often it is asked for whole targets and for steps."""

    def __init__(self, logit_BCV: Tensor, longest: list[int]):
        self.state, self.longest = start(logit_BCV), longest
        self.rows: list[int] = []
        self.steps = 0

    def follow(self, targets: list[list[int]], sources: list[int]) -> Tensor:
        self.rows.append(len(targets))
        return torch.cat([self._after(target, source) for target, source in zip(targets, sources, strict=True)])

    def greedy(self, sources: list[int], **rules: float) -> list[list[Answer]]:
        source_O = torch.tensor(sources)
        state = select(self.state, row_N=source_O, source_B=source_O)
        return greedy_search(self._counted, state, longest_B=torch.tensor(self.longest)[source_O], **rules)

    def _after(self, target: list[int], source: int) -> Tensor:
        one = torch.tensor([source])
        state, logits = select(self.state, row_N=one, source_B=one), []
        for id in (BEGIN, *target[:-1]):
            logit_1V, state = step(torch.tensor([id]), state)
            logits.append(logit_1V)
        return torch.cat(logits)

    def _counted(self, id_N: Tensor, state: State) -> tuple[Tensor, State]:
        self.steps += 1
        return step(id_N, state)


def drafted(asked: Asked, drafts: list[list[int]], **rules: float) -> list[list[Answer]]:
    found = drafted_search(
        asked.follow,
        lambda sources: asked.greedy(sources, **rules),
        drafts,
        width=asked.state.source["table"].shape[2],
        longest=asked.longest,
        **rules,
    )
    expected = asked.greedy(list(range(len(drafts))), **rules)
    for (answer,), (truth,) in zip(found, expected, strict=True):
        assert (answer.ids, answer.ended) == (truth.ids, truth.ended)
        assert answer.log_prob == pytest.approx(truth.log_prob, abs=1e-9)
        assert answer.token_log_prob == pytest.approx(truth.token_log_prob, abs=1e-9)
        assert answer.score == pytest.approx(truth.score, abs=1e-9)
    return found


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10**6),
    st.lists(st.tuples(targets, st.integers(1, 9)), min_size=1, max_size=4),
    st.integers(0, 3),
    st.sampled_from([0.0, 1.0, 2.0]),
    st.booleans(),
)
def test_whatever_the_drafts_the_answers_are_those_of_greedy_search(
    seed, cases, shortest, length_penalty, gnmt_penalty
):
    drafts, longest = ([*column] for column in zip(*cases, strict=True))
    asked = Asked(tables(seed, sources=len(cases), symbols=3, end=1.0), longest)
    drafted(asked, drafts, shortest=shortest, length_penalty=length_penalty, gnmt_penalty=gnmt_penalty)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), targets)
def test_a_draft_that_is_right_is_asked_for_no_step(seed, too_much):
    asked = Asked(tables(seed, sources=2, symbols=3, end=0.5), [20, 20])
    truths = asked.greedy([0, 1])
    assume(all(answer.ended and len(answer.ids) < 11 for (answer,) in truths))
    asked.steps = 0
    found = drafted_search(
        asked.follow,
        asked.greedy,
        [[*answer.ids, *too_much] for (answer,) in truths],
        width=7,
        longest=asked.longest,
    )
    assert (asked.rows, asked.steps) == ([2], 0)
    assert [answer.ids for (answer,) in found] == [answer.ids for (answer,) in truths]


def test_a_draft_that_is_wrong_is_left_to_greedy_search_alone():
    asked = Asked(tables(7, sources=3, symbols=3, end=-0.5), [30] * 3)
    truths = [answer.ids for (answer,) in asked.greedy([0, 1, 2])]
    greedy, left = asked.greedy, []
    asked.greedy = lambda sources, **rules: left.extend(sources) or greedy(sources, **rules)
    wrong = [END + 2 if truths[1][0] == END + 1 else END + 1, *truths[1][1:]]
    drafted_search(asked.follow, asked.greedy, [truths[0], wrong, truths[2]], width=7, longest=asked.longest)
    assert (left, asked.rows) == ([1], [3])


def test_answers_that_are_cut_are_left_to_greedy_search():
    asked = Asked(tables(3, sources=1, symbols=3, end=-30.0), [4])
    (answer,) = drafted(asked, [[4, 5, 6, 4, 5]])[0]
    assert (len(answer.ids), answer.ended, asked.rows) == (4, False, [])


def test_logits_that_are_no_numbers_are_an_error():
    asked = Asked(tables(3, sources=2, symbols=3) * float("nan"), [4, 4])
    with pytest.raises(NotFinite):
        drafted(asked, [[4], []])


def test_few_numbers_are_looked_at_together(monkeypatch):
    monkeypatch.setattr("seqsmith.search.drafted._MOST_NUMBERS", 7 * 8)
    asked = Asked(tables(5, sources=5, symbols=3), [9] * 5)
    drafted(asked, [[4, 5, 6]] * 5)
    assert max(asked.rows) <= 2
