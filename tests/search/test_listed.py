"""A search among listed ids is the search in which the logits of all others are -inf."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from search import test_beam as tables_of
from seqsmith.batch import State, Step
from seqsmith.search.beam import beam_search
from seqsmith.search.listed import listed_state, listed_step, unlisted


def narrowed(id_U: Tensor) -> Step:
    """The step of `test_beam` with the logits of these ids alone."""

    def step(id_N: Tensor, state: State) -> tuple[Tensor, State]:
        logit_NV, state = tables_of.step(id_N, state)
        return logit_NV[:, id_U], state

    return step


@settings(max_examples=100)
@given(
    seed=st.integers(0, 10**6),
    beam=st.integers(1, 5),
    nbest=st.integers(1, 5),
    symbols=st.sampled_from([1, 4, 20]),
    share=st.sampled_from([0.0, 0.2, 0.6, 1.0]),
    longest=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    shortest=st.integers(0, 2),
)
def test_what_is_not_listed_has_no_probability(
    seed: int, beam: int, nbest: int, symbols: int, share: float, longest: list[int], shortest: int
) -> None:
    logit_BCV = tables_of.tables(seed, sources=len(longest), symbols=symbols)
    keep_BV = torch.rand(len(longest), logit_BCV.shape[2], generator=torch.Generator().manual_seed(seed)) < share
    keep_BV[:, :5] = True  # the specials, and one other so that there is always an answer
    id_U = keep_BV.any(0).nonzero()[:, 0]
    never = torch.tensor(-float("inf"), dtype=torch.float64)
    options: dict[str, Any] = {
        "longest_B": torch.tensor(longest),
        "beam": beam,
        "nbest": min(nbest, beam),
        "shortest": min(shortest, min(longest) - 1),
    }
    expected = beam_search(tables_of.step, tables_of.start(logit_BCV.where(keep_BV[:, None], never)), **options)
    bias_BU = torch.zeros(len(longest), len(id_U), dtype=torch.float64).where(keep_BV[:, id_U], never)
    state = listed_state(tables_of.start(logit_BCV), bias_BU)
    found = beam_search(listed_step(narrowed(id_U), id_U), state, **options)
    tables_of.equal(unlisted(found, id_U.tolist()), expected)
