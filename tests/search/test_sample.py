"""Draws have the model's own distribution, whatever stands beside them in the batch."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seqsmith.batch import State
from seqsmith.search import sample as sampling
from seqsmith.search.answer import Answer, NotFinite
from seqsmith.search.greedy import greedy_search
from seqsmith.search.sample import sample
from seqsmith.special import BEGIN, END

FIRST = END + 1


def step(id_N: Tensor, state: State) -> tuple[Tensor, State]:
    """A model that sees the last id: source is its table of logits."""
    return state.source[torch.arange(len(id_N)), id_N], state


def tables(seed: int, *, sources: int, symbols: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    size = FIRST + symbols
    return torch.randn(sources, size, size, generator=generator, dtype=torch.float64) * 1.5


def draw(
    logit_BUV: Tensor,
    *,
    longest: int = 4,
    shortest: int = 0,
    draws: int = 1,
    seed: int = 1,
    temperature: float = 1.0,
    names: list[int] | None = None,
) -> list[list[Answer]]:
    """Answers to sources that are told apart by their names."""
    sources = [np.array([name]) for name in names or range(len(logit_BUV))]
    state = State(row=torch.zeros(len(logit_BUV)), source=logit_BUV)
    longest_B = torch.full((len(logit_BUV),), longest)
    chance = {"seed": seed, "temperature": temperature}
    return sample(step, state, sources, longest_B=longest_B, draws=draws, shortest=shortest, **chance)


def distribution(logit_UV: Tensor, *, longest: int, shortest: int, temperature: float) -> dict[tuple[int, ...], float]:
    """Every answer, END included where it ends, and its probability: of each step, what is allowed divides it."""
    found = {}

    def follow(ids: tuple[int, ...], p: float) -> None:
        if len(ids) == longest or (ids and ids[-1] == END):
            found[ids] = p
            return
        weight_V = (logit_UV[ids[-1] if ids else BEGIN] / temperature).exp()
        allowed = range(FIRST if len(ids) < shortest else END, len(weight_V))
        total = sum(float(weight_V[id]) for id in allowed)
        for id in allowed:
            follow((*ids, id), p * float(weight_V[id]) / total)

    follow((), 1.0)
    return found


@pytest.mark.parametrize(("temperature", "shortest"), [(1.0, 0), (0.5, 0), (2.0, 1)])
def test_answers_come_as_often_as_their_probability_says(temperature: float, shortest: int) -> None:
    draws, longest = 20_000, 3
    (logit_UV,) = table = tables(5, sources=1)
    (answers,) = draw(table, longest=longest, shortest=shortest, draws=draws, temperature=temperature)
    seen = Counter((*answer.ids, *([END] if answer.ended else [])) for answer in answers)
    expected = distribution(logit_UV, longest=longest, shortest=shortest, temperature=temperature)
    assert sum(expected.values()) == pytest.approx(1.0)
    assert seen.keys() <= expected.keys()
    for ids, p in expected.items():
        deviation = math.sqrt(draws * p * (1 - p))
        assert abs(seen[ids] - draws * p) < 5 * deviation + 1, (ids, seen[ids], draws * p)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 4), st.randoms())
def test_a_source_draws_the_same_in_any_company(seed: int, sources: int, draws: int, random) -> None:  # type: ignore[no-untyped-def]  # hypothesis' own type has no name
    logit_BUV = tables(seed, sources=sources)
    together = draw(logit_BUV, draws=draws)
    order = random.sample(range(sources), sources)
    assert draw(logit_BUV[order], draws=draws, names=order) == [together[index] for index in order]
    for index in range(sources):
        assert draw(logit_BUV[[index]], draws=draws, names=[index]) == [together[index]]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6))
def test_more_draws_and_a_longer_limit_keep_the_first_draws(seed: int) -> None:
    logit_BUV = tables(seed, sources=2)
    for few, many in zip(draw(logit_BUV, draws=2, longest=30), draw(logit_BUV, draws=5, longest=40), strict=True):
        assert all(one == other for one, other in zip(few, many, strict=False) if one.ended)


def test_draws_that_are_not_made_together_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    logit_BUV = tables(2, sources=3)
    together = draw(logit_BUV, draws=7)
    monkeypatch.setattr(sampling, "_ROWS", 6)
    assert draw(logit_BUV, draws=7) == together


def test_cold_draws_are_greedy_search_and_another_seed_draws_anew() -> None:
    logit_BUV = tables(3, sources=4)
    state = State(row=torch.zeros(4), source=logit_BUV)
    for temperature in (1e-6, 1e-320):
        cold = draw(logit_BUV, temperature=temperature, shortest=1)
        assert cold == greedy_search(step, state, longest_B=torch.full((4,), 4), shortest=1)
    first, again, other = (draw(logit_BUV, draws=8, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_the_log_probability_is_the_models_whatever_the_temperature() -> None:
    (logit_UV,) = table = tables(9, sources=1)
    (answers,) = draw(table, draws=50, temperature=3.0)
    log_p_UV = logit_UV.log_softmax(1)
    for answer in answers:
        ids = [BEGIN, *answer.ids, *([END] if answer.ended else [])]
        assert answer.log_prob == pytest.approx(sum(float(log_p_UV[pair]) for pair in itertools.pairwise(ids)))


def test_logits_that_are_no_numbers_are_told() -> None:
    with pytest.raises(NotFinite, match="no numbers for token 1"):
        draw(torch.full((1, 7, 7), float("nan")))
