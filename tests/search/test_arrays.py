"""The search over arrays gives the answers of the search over tensors, for any table of logits and any penalty."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from search import test_beam as tables_of
from seqsmith.search.answer import Answer, NotFinite
from seqsmith.search.arrays import ArrayState, Best, array_search
from seqsmith.search.beam import beam_search

CELLS = tables_of.CELLS


def start(logit_BCV: torch.Tensor) -> ArrayState:
    return ArrayState({"cell": np.zeros(len(logit_BCV), np.int64)}, {"table": logit_BCV.numpy()})


def step(id_N: NDArray[np.int64], state: ArrayState, most: int) -> tuple[Best, ArrayState]:
    table = state.source["table"]
    cell = (state.row["cell"] * 31 + id_N) % CELLS
    logit_NV = table[np.arange(len(table)).repeat(len(id_N) // len(table)), cell]
    id_NK = np.argsort(-logit_NV, axis=1, kind="stable")[:, :most]
    normaliser_N = torch.from_numpy(logit_NV).logsumexp(1).numpy()
    best = Best(np.take_along_axis(logit_NV, id_NK, 1), id_NK, normaliser_N)
    return best, ArrayState({"cell": cell}, state.source)


def same(one: list[list[Answer]], other: list[list[Answer]]) -> bool:
    return len(one) == len(other) and all(
        [answer.ids for answer in a] == [answer.ids for answer in b]
        and [answer.ended for answer in a] == [answer.ended for answer in b]
        and [answer.score for answer in a] == pytest.approx([answer.score for answer in b])
        and [answer.log_prob for answer in a] == pytest.approx([answer.log_prob for answer in b])
        for a, b in zip(one, other, strict=True)
    )


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 10**6),
    penalty=tables_of.penalties,
    beam=st.integers(1, 6),
    nbest=st.integers(1, 6),
    symbols=st.sampled_from([1, 2, 5, 40]),
    longest=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    shortest=st.integers(0, 3),
    end=st.sampled_from([-2.0, 0.0, 2.0]),
)
def test_arrays_and_tensors_give_the_same_answers(
    seed: int, penalty: tuple[float, bool], beam: int, nbest: int, symbols: int, longest: list[int], shortest: int,
    end: float,
) -> None:  # fmt: skip
    logit_BCV = tables_of.tables(seed, sources=len(longest), symbols=symbols, end=end)
    options: dict[str, Any] = {
        "beam": beam,
        "nbest": min(nbest, beam),
        "shortest": min(shortest, min(longest) - 1),
        "length_penalty": penalty[0],
        "gnmt_penalty": penalty[1],
    }
    tensors = beam_search(tables_of.step, tables_of.start(logit_BCV), longest_B=torch.tensor(longest), **options)
    assert same(array_search(step, start(logit_BCV), longest=longest, **options), tensors)


def test_logits_that_are_no_numbers_are_told() -> None:
    logit_BCV = tables_of.tables(1, sources=2, symbols=5)
    logit_BCV[1] = float("nan")
    with pytest.raises(NotFinite, match="no numbers for token 1 of an answer"):
        array_search(step, start(logit_BCV), longest=[3, 3], beam=2)


def test_a_source_without_any_answer_is_told() -> None:
    logit_BCV = tables_of.tables(1, sources=2, symbols=5)
    logit_BCV[1, :, 3:] = -float("inf")
    with pytest.raises(NotFinite, match="source 1 of the batch: every answer allowed has the probability zero"):
        array_search(step, start(logit_BCV), longest=[3, 3], beam=2)


def test_no_sources_have_no_answers() -> None:
    assert array_search(step, ArrayState({}, {}), longest=[], beam=2) == []
