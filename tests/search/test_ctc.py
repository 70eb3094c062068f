"""CTC decoding against exhaustive sums over all paths of tiny tables."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqsmith.search.ctc import BLANK, greedy_ctc, prefix_beam_search


def table(seed: int, *, steps: int, symbols: int, scale: float = 1.5, sources: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(sources, steps, symbols, generator=generator, dtype=torch.float64) * scale).log_softmax(-1)


def collapsed(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(id for id, _ in itertools.groupby(path) if id != BLANK)


def all_targets(log_p: list[list[float]]) -> dict[tuple[int, ...], float]:
    """Every target there is, and the sum over its paths."""
    total: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(len(log_p[0])), repeat=len(log_p)):
        target = collapsed(path)
        total[target] = total.get(target, 0.0) + math.exp(sum(row[id] for row, id in zip(log_p, path, strict=True)))
    return total


@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(2, 4))
@settings(max_examples=30, deadline=None)
def test_a_wide_prefix_beam_finds_every_target_and_its_exact_sum(seed, steps, symbols):
    log_p_BSV = table(seed, steps=steps, symbols=symbols)
    truth = sorted(all_targets(log_p_BSV[0].tolist()).items(), key=lambda pair: -pair[1])
    found = prefix_beam_search(log_p_BSV, torch.tensor([steps]), beam=200, nbest=200)[0]
    assert [tuple(answer.ids) for answer in found][: len(truth)] == [target for target, _ in truth]
    for answer, (_, probability) in zip(found, truth, strict=True):
        assert answer.log_prob == pytest.approx(math.log(probability), abs=1e-9)


@given(st.integers(0, 10**6), st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_a_narrow_beam_never_says_more_than_there_is_and_names_no_target_twice(seed, beam):
    log_p_BSV = table(seed, steps=5, symbols=4)
    truth = all_targets(log_p_BSV[0].tolist())
    found = prefix_beam_search(log_p_BSV, torch.tensor([5]), beam=beam, nbest=beam)[0]
    assert len({tuple(answer.ids) for answer in found}) == len(found)
    for answer in found:
        assert answer.log_prob <= math.log(truth[tuple(answer.ids)]) + 1e-9
    scores = [answer.log_prob for answer in found]
    assert scores == sorted(scores, reverse=True)


def test_the_sum_can_beat_the_likeliest_path():
    log_p_BSV = torch.tensor([[[0.6, 0.4], [0.6, 0.4]]], dtype=torch.float64).log()
    assert greedy_ctc(log_p_BSV, torch.tensor([2]))[0][0].ids == []
    assert prefix_beam_search(log_p_BSV, torch.tensor([2]), beam=2)[0][0].ids == [1]


def test_greedy_joins_repetitions_and_keeps_what_a_blank_parts():
    path = [1, 1, 0, 1, 2, 2, 0]
    log_p_BSV = torch.nn.functional.one_hot(torch.tensor(path), 3).double().mul(9).log_softmax(-1)[None]
    answer = greedy_ctc(log_p_BSV, torch.tensor([len(path)]))[0][0]
    assert answer.ids == [1, 1, 2]
    assert answer.log_prob == pytest.approx(float(log_p_BSV.max(2).values.sum()))


def test_neighbours_and_padding_change_nothing():
    alone = [table(seed, steps=steps, symbols=5) for seed, steps in ((1, 3), (2, 7), (3, 5))]
    lengths = torch.tensor([x.shape[1] for x in alone])
    padded = torch.randn(3, 9, 5, dtype=torch.float64)
    for row, x in enumerate(alone):
        padded[row, : x.shape[1]] = x[0]
    for search in (greedy_ctc, lambda *x: prefix_beam_search(*x, beam=4, nbest=4)):
        together = search(padded, lengths)
        for row, x in enumerate(alone):
            one = search(x, lengths[row : row + 1])[0]
            assert [answer.ids for answer in one] == [answer.ids for answer in together[row]]
            assert [a.log_prob for a in one] == pytest.approx([a.log_prob for a in together[row]])


def test_long_answers_outgrow_the_first_buffer():
    path = [number % 2 + 1 for number in range(40)]
    log_p_BSV = torch.nn.functional.one_hot(torch.tensor(path), 3).double().mul(9).log_softmax(-1)[None]
    assert prefix_beam_search(log_p_BSV, torch.tensor([40]), beam=3)[0][0].ids == path
