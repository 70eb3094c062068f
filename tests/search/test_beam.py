"""Beam search against exhaustive enumeration, a plain loop, greedy search and itself in other company."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from seqsmith.batch import State
from seqsmith.search.answer import Answer, NotFinite
from seqsmith.search.beam import beam_search
from seqsmith.search.greedy import greedy_search
from seqsmith.special import BEGIN, END

CELLS = 4999  # a model is a table of logits, looked up by a hash of the prefix; few prefixes meet, or answers would tie
FIRST = END + 1  # the first id that is text

seeds = st.integers(0, 10**6)
penalties = st.tuples(st.sampled_from([-1.0, -0.3, 0.0, 0.4, 1.0, 2.5]), st.booleans())


def tables(seed: int, *, sources: int, symbols: int, scale: float = 1.5, end: float = 0.0) -> Tensor:
    """Random logits of as many models as there are sources; `end` makes END likelier."""
    generator = torch.Generator().manual_seed(seed)
    logit_BCV = torch.randn(sources, CELLS, FIRST + symbols, generator=generator, dtype=torch.float64) * scale
    logit_BCV[:, :, END] += end
    return logit_BCV


def start(logit_BCV: Tensor) -> State:
    return State(row=(torch.zeros(len(logit_BCV), dtype=torch.int64),), source={"table": logit_BCV})


def step(id_N: Tensor, state: State) -> tuple[Tensor, State]:
    table_BCV = state.source["table"]
    cell_N = (state.row[0] * 31 + id_N) % CELLS
    source_N = torch.arange(len(table_BCV)).repeat_interleave(len(id_N) // len(table_BCV))
    return table_BCV[source_N, cell_N], State(row=(cell_N,), source=state.source)


def log_p_after(logit_CV: Tensor) -> Callable[[tuple[int, ...]], list[float]]:
    """The oracles' own view of the same model: ids so far -> log-probability of each next id."""
    log_p = logit_CV.log_softmax(1).tolist()

    def after(ids: tuple[int, ...]) -> list[float]:
        cell = 0
        for id in (BEGIN, *ids):
            cell = (cell * 31 + id) % CELLS
        return log_p[cell]

    return after


def score(log_p: float, length: int, penalty: float, gnmt: bool) -> float:
    return log_p / (((5 + length) / 6) ** penalty if gnmt else length**penalty)


Found = list[tuple[list[int], float, bool]]  # ids, score, ended


def enumerate_all(logit_CV: Tensor, *, longest: int, nbest: int, shortest: int, penalty: float, gnmt: bool) -> Found:
    """Every answer there is, ranked."""
    after = log_p_after(logit_CV)
    answers: Found = []
    for size in range(shortest, longest):
        for ids in itertools.product(range(FIRST, logit_CV.shape[1]), repeat=size):
            log_p = sum(after(ids[:i])[id] for i, id in enumerate((*ids, END)))
            answers.append((list(ids), score(log_p, size + 1, penalty, gnmt), True))
    return sorted(answers, key=lambda answer: -answer[1])[:nbest]


def plain_beam(
    logit_CV: Tensor, *, beam: int, longest: int, nbest: int, shortest: int, penalty: float, gnmt: bool
) -> Found:
    """Beam search as a plain loop that always runs to the longest length."""
    after = log_p_after(logit_CV)
    live: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    ended: Found = []
    for length in range(1, longest + 1):
        allowed = range(FIRST if length <= shortest else END, logit_CV.shape[1])
        candidates = [((*ids, id), log_p + after(ids)[id]) for ids, log_p in live for id in allowed]
        live, late = [], []
        for ids, log_p in sorted(candidates, key=lambda candidate: -candidate[1]):
            if ids[-1] == END:
                (ended if len(live) < beam else late).append(
                    (list(ids[:-1]), score(log_p, length, penalty, gnmt), True)
                )
            elif len(live) < beam:
                live.append((ids, log_p))
        if length == longest and ended:
            ended += late
    cut = [(list(ids), score(log_p, longest, penalty, gnmt), False) for ids, log_p in live]
    return (sorted(ended, key=lambda answer: -answer[1]) + cut)[:nbest]


def same(answers: list[Answer], expected: Found) -> None:
    assert [(answer.ids, answer.ended) for answer in answers] == [(ids, ended) for ids, _, ended in expected]
    assert [answer.score for answer in answers] == pytest.approx([score for _, score, _ in expected], abs=1e-9)


def equal(answers: list[list[Answer]], others: list[list[Answer]]) -> None:
    """The same answers; a sum over the vocabulary may differ in its last bit with the number of rows."""
    for one, other in zip(itertools.chain(*answers), itertools.chain(*others), strict=True):
        assert (one.ids, one.ended) == (other.ids, other.ended)
        assert one.token_log_prob == pytest.approx(other.token_log_prob, abs=1e-12)
        assert one.score == pytest.approx(other.score, abs=1e-12)


@settings(deadline=None, max_examples=50)
@given(seeds, st.integers(2, 4), st.integers(1, 4), st.integers(1, 6), st.integers(0, 2), penalties)
def test_full_width_finds_the_best_of_all_answers(
    seed: int, symbols: int, longest: int, nbest: int, shortest: int, law: tuple[float, bool]
) -> None:
    logit_BCV = tables(seed, sources=2, symbols=symbols)
    rules = {"nbest": nbest, "shortest": min(shortest, longest - 1)}
    found = beam_search(
        step,
        start(logit_BCV),
        longest_B=torch.tensor([longest, longest]),
        beam=max(symbols**longest + 1, nbest),  # no live hypothesis ever falls out
        length_penalty=law[0],
        gnmt_penalty=law[1],
        **rules,
    )
    for answers, logit_CV in zip(found, logit_BCV, strict=True):
        expected = enumerate_all(logit_CV, longest=longest, penalty=law[0], gnmt=law[1], **rules)
        same(answers[: len(expected)], expected)
        assert not any(answer.ended for answer in answers[len(expected) :])


@settings(deadline=None, max_examples=100)
@given(seeds, st.integers(1, 9), st.integers(1, 2), st.floats(-3, 2), st.sampled_from([0.5, 2, 6]), penalties)
def test_a_beam_as_wide_as_the_vocabulary_finds_the_best_of_all_short_answers(
    seed: int, symbols: int, longest: int, end: float, scale: float, law: tuple[float, bool]
) -> None:
    """Short is two tokens with END. Of three, no fixed width keeps all beginnings, and any may be the best one's."""
    logit_BCV = tables(seed, sources=2, symbols=symbols, scale=scale, end=end)
    found = beam_search(
        step,
        start(logit_BCV),
        longest_B=torch.tensor([longest, longest]),
        beam=logit_BCV.shape[2],
        length_penalty=law[0],
        gnmt_penalty=law[1],
    )
    for answers, logit_CV in zip(found, logit_BCV, strict=True):
        same(answers, enumerate_all(logit_CV, longest=longest, nbest=1, shortest=0, penalty=law[0], gnmt=law[1]))


@settings(deadline=None, max_examples=100)
@given(
    seeds, st.integers(1, 5), st.integers(2, 5), st.data(), penalties, st.floats(-2, 3), st.sampled_from([0.5, 2, 6])
)
def test_stopping_early_changes_nothing(
    seed: int, symbols: int, beam: int, data: st.DataObject, law: tuple[float, bool], end: float, scale: float
) -> None:
    logit_BCV = tables(seed, sources=3, symbols=symbols, scale=scale, end=end)
    longest = data.draw(st.lists(st.integers(1, 9), min_size=3, max_size=3))
    rules = {"beam": beam, "nbest": data.draw(st.integers(1, beam)), "shortest": data.draw(st.integers(0, 3))}
    found = beam_search(
        step,
        start(logit_BCV),
        longest_B=torch.tensor(longest),
        length_penalty=law[0],
        gnmt_penalty=law[1],
        **rules,
    )
    for answers, logit_CV, most in zip(found, logit_BCV, longest, strict=True):
        same(answers, plain_beam(logit_CV, longest=most, penalty=law[0], gnmt=law[1], **rules))


def test_a_penalty_on_long_answers_still_lets_the_next_length_win() -> None:
    logit_BCV = torch.full((1, CELLS, FIRST + 2), -40.0)
    logit_BCV[:, :, END] = 0.0
    logit_BCV[0, BEGIN, [END, FIRST]] = torch.tensor([0.2, 0.8]).log()  # then END for sure
    found = beam_search(step, start(logit_BCV), longest_B=torch.tensor([9]), beam=2, length_penalty=-1.0)
    assert found[0][0].ids == [FIRST]
    assert found[0][0].score == pytest.approx(2 * math.log(0.8))


def test_a_source_leaves_the_batch_as_soon_as_nothing_better_can_come() -> None:
    logit_BCV = tables(1, sources=3, symbols=4)
    logit_BCV[0, :, END] += 30.0  # ends at once
    logit_BCV[2, :, END] -= 30.0  # never ends
    sizes = []

    def watched(id_N: Tensor, state: State) -> tuple[Tensor, State]:
        sizes.append((len(id_N), len(state.source["table"]), len(state.row[0])))
        return step(id_N, state)

    found = beam_search(watched, start(logit_BCV), longest_B=torch.tensor([50, 4, 6]), beam=2)
    assert sizes == [(3, 3, 3), (4, 2, 4), (4, 2, 4), (4, 2, 4), (2, 1, 2), (2, 1, 2)]
    assert found[0][0].ids == []
    assert len(found[2][0].ids) == 6


@settings(deadline=None, max_examples=15)
@given(seeds, st.integers(1, 4), st.permutations(range(5)))
def test_company_and_order_of_sources_change_nothing(seed: int, beam: int, order: list[int]) -> None:
    logit_BCV = tables(seed, sources=5, symbols=6, end=1.0)
    longest_B = torch.tensor([3, 9, 5, 1, 7])
    together = beam_search(step, start(logit_BCV), longest_B=longest_B, beam=beam, nbest=beam)
    shuffled = beam_search(step, start(logit_BCV[order]), longest_B=longest_B[order], beam=beam, nbest=beam)
    alone = [
        beam_search(step, start(logit_BCV[i : i + 1]), longest_B=longest_B[i : i + 1], beam=beam, nbest=beam)[0]
        for i in range(5)
    ]
    equal(together, alone)
    equal([together[i] for i in order], shuffled)


@settings(deadline=None, max_examples=20)
@given(seeds, penalties)
def test_beam_1_is_greedy(seed: int, law: tuple[float, bool]) -> None:
    logit_BCV = tables(seed, sources=4, symbols=5)
    limits = {"longest_B": torch.tensor([2, 8, 5, 6]), "shortest": 1, "length_penalty": law[0], "gnmt_penalty": law[1]}
    assert beam_search(step, start(logit_BCV), beam=1, **limits) == greedy_search(step, start(logit_BCV), **limits)


def test_what_was_cut_comes_last_and_only_where_too_few_ended() -> None:
    never_ends = tables(3, sources=1, symbols=4, end=-60.0)
    cut = beam_search(step, start(never_ends), longest_B=torch.tensor([5]), beam=3, nbest=3)[0]
    assert [(answer.ended, len(answer.ids), len(answer.token_log_prob)) for answer in cut] == [(False, 5, 5)] * 3
    assert cut[0].score >= cut[1].score >= cut[2].score

    ends_once = never_ends.clone()
    ends_once[0, BEGIN, END] = 3.0  # only at the very start
    first, *others = beam_search(step, start(ends_once), longest_B=torch.tensor([1]), beam=3, nbest=3)[0]
    assert (first.ids, first.ended, first.token_log_prob) == ([], True, [first.log_prob])
    assert [answer.ended for answer in others] == [False, False]


def test_where_one_answer_ended_by_itself_the_longest_may_end_too_however_low_their_end_ranks() -> None:
    ends_once = tables(3, sources=1, symbols=4, end=-9.0)
    ends_once[0, BEGIN, END] = 3.0
    answers = beam_search(step, start(ends_once), longest_B=torch.tensor([4]), beam=2, nbest=2)[0]
    assert [(answer.ended, len(answer.ids)) for answer in answers] == [(True, 0), (True, 3)]
    ends_once[0, BEGIN, END] = -60.0
    answers = beam_search(step, start(ends_once), longest_B=torch.tensor([4]), beam=2, nbest=2)[0]
    assert [(answer.ended, len(answer.ids)) for answer in answers] == [(False, 4), (False, 4)]


@settings(deadline=None, max_examples=20)
@given(seeds, st.integers(1, 4), st.integers(0, 5))
def test_no_answer_is_shorter_than_the_shortest(seed: int, beam: int, shortest: int) -> None:
    logit_BCV = tables(seed, sources=2, symbols=3, end=4.0)
    found = beam_search(
        step, start(logit_BCV), longest_B=torch.tensor([6, 9]), beam=beam, nbest=beam, shortest=shortest
    )
    assert all(len(answer.ids) >= shortest for answers in found for answer in answers)


def test_of_equals_the_lower_ids_come_first() -> None:
    flat = torch.zeros(1, CELLS, FIRST + 3)
    found = beam_search(step, start(flat), longest_B=torch.tensor([2]), beam=6, nbest=6, shortest=2)[0]
    assert [answer.ids for answer in found] == [[4, 4], [4, 5], [4, 6], [5, 4], [5, 5], [5, 6]]


@pytest.mark.parametrize("beam", [1, 3])
def test_logits_that_are_no_numbers_are_an_error_and_no_answer(beam: int) -> None:
    logit_BCV = tables(0, sources=2, symbols=3, end=-30.0)
    logit_BCV[1, :, 5] = float("nan")
    with pytest.raises(NotFinite, match="no numbers for token 1 of an answer"):
        beam_search(step, start(logit_BCV), longest_B=torch.tensor([4, 4]), beam=beam)


@pytest.mark.parametrize("beam", [1, 3])
def test_a_source_without_any_possible_answer_is_an_error(beam: int) -> None:
    logit_BCV = tables(0, sources=2, symbols=3)
    logit_BCV[1, :, END:] = -float("inf")
    with pytest.raises(NotFinite, match="source 1 of the batch: every answer allowed has the probability zero"):
        beam_search(step, start(logit_BCV), longest_B=torch.tensor([4, 4]), beam=beam)


def test_no_sources_have_no_answers() -> None:
    assert beam_search(step, start(tables(0, sources=0, symbols=3)), longest_B=torch.tensor([]).long(), beam=3) == []


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_log_prob_is_what_scoring_the_answer_gives(beam: int, dtype: torch.dtype) -> None:
    """With a small network whose hidden state the search has to carry along."""
    torch.manual_seed(5)
    V, D = 70, 16  # more ids than a block holds, and the last block short
    embedding, cell, outlet = nn.Embedding(V, D), nn.GRUCell(D, D), nn.Linear(D, V)

    def gru(id_N: Tensor, state: State) -> tuple[Tensor, State]:
        memory_ND = state.source["memory"].repeat_interleave(len(id_N) // len(state.source["memory"]), 0)
        hidden_ND = cell(embedding(id_N) + memory_ND, state.row["hidden"])
        return (outlet(hidden_ND) * 4).to(dtype), State({"hidden": hidden_ND}, state.source)

    with torch.no_grad():
        outlet.bias[END] += 0.4
        state = State({"hidden": torch.randn(6, D)}, {"memory": torch.randn(6, D)})
        found = beam_search(gru, state, longest_B=torch.full((6,), 12), beam=beam, nbest=beam)
        for source, answers in enumerate(found):
            for answer in answers:
                one = State({"hidden": state.row["hidden"][[source]]}, {"memory": state.source["memory"][[source]]})
                expected = []
                previous = BEGIN
                for id in answer.ids + [END] * answer.ended:
                    logit_NV, one = gru(torch.tensor([previous]), one)
                    expected.append(float(logit_NV.double().log_softmax(1)[0, id]))
                    previous = id
                near = 0.2 if dtype is torch.bfloat16 else 1e-4
                assert answer.token_log_prob == pytest.approx(expected, abs=near)
                assert answer.log_prob == pytest.approx(math.fsum(answer.token_log_prob))
                assert answer.score == pytest.approx(answer.log_prob / len(expected))
