"""An ensemble is the mean of its models' probabilities, and nothing else."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seqsmith.batch import State, Step
from seqsmith.search.beam import beam_search
from seqsmith.search.ensemble import ensemble, joined
from seqsmith.special import BEGIN, END

V = END + 4


def model(seed: int) -> tuple[Step, Tensor]:
    """A model that sees how many tokens there are and which came last."""
    logit_TVV = torch.randn(5, V, V, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2

    def step(id_N: Tensor, state: State) -> tuple[Tensor, State]:
        return logit_TVV[state.row["length"], id_N], State({"length": state.row["length"] + 1}, state.source)

    return step, logit_TVV


def start(sources: int) -> State:
    return State({"length": torch.zeros(sources, dtype=torch.int64)}, ())


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_a_model_twice_is_the_model(seed: int, beam: int) -> None:
    step, _ = model(seed)
    longest_B = torch.tensor([5, 3])
    alone = beam_search(step, start(2), longest_B=longest_B, beam=beam, nbest=beam)
    both = beam_search(ensemble([step, step]), joined([start(2)] * 2), longest_B=longest_B, beam=beam, nbest=beam)
    for one, other in zip(itertools.chain(*alone), itertools.chain(*both), strict=True):
        assert (one.ids, one.ended) == (other.ids, other.ended)
        assert one.token_log_prob == pytest.approx(other.token_log_prob, abs=1e-9)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6))
def test_an_ensemble_finds_the_best_answer_by_mean_probability(seed: int) -> None:
    (first, first_TVV), (second, second_TVV), (third, third_TVV) = (model(seed + i) for i in range(3))
    mean_TVV = (first_TVV.softmax(2) + second_TVV.softmax(2) + third_TVV.softmax(2)) / 3
    log_p = mean_TVV.log().tolist()
    answers = {
        ids: sum(log_p[i][last][id] for i, (last, id) in enumerate(zip((BEGIN, *ids), (*ids, END), strict=True)))
        for size in range(4)
        for ids in itertools.product(range(END + 1, V), repeat=size)
    }
    expected = sorted(answers, key=lambda ids: -answers[ids])[:3]
    (found,) = beam_search(
        ensemble([first, second, third]),
        joined([start(1)] * 3),
        longest_B=torch.tensor([4]),
        beam=81,
        nbest=3,
        length_penalty=0.0,
    )
    assert [tuple(answer.ids) for answer in found] == expected
    assert [answer.score for answer in found] == pytest.approx([answers[ids] for ids in expected], abs=1e-9)
