"""Joint scoring: the CTC's prefix probabilities against exhaustive sums, and the leftover that goes to PAD."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from search.test_beam import log_p_after, start, step, tables
from search.test_ctc import all_targets, table
from seqsmith.batch import State, tokens
from seqsmith.search.beam import beam_search
from seqsmith.search.joint import ctc_forward, ctc_state, ctc_step, paired, with_ctc, with_language_model, with_leftover
from seqsmith.special import BEGIN, END, PAD

SYMBOLS = (4, 5)  # ids that are text


def ctc_table(seed: int, *, steps: int) -> Tensor:
    """CTC over PAD (the blank) and two symbols; the special ids never come."""
    small = table(seed, steps=steps, symbols=3)
    log_p_BSV = torch.full((1, steps, 6), -float("inf"), dtype=torch.float64)
    log_p_BSV[:, :, [PAD, *SYMBOLS]] = small
    return log_p_BSV


def targets_of(log_p_BSV: Tensor) -> dict[tuple[int, ...], float]:
    small = log_p_BSV[0][:, [PAD, *SYMBOLS]].tolist()
    return {tuple(SYMBOLS[id - 1] for id in target): p for target, p in all_targets(small).items()}


@given(st.integers(0, 10**6), st.integers(1, 5), st.lists(st.sampled_from(SYMBOLS), max_size=4))
@settings(max_examples=40, deadline=None)
def test_the_prefix_probability_is_the_sum_over_all_targets_that_begin_so(seed, steps, prefix):
    log_p_BSV = ctc_table(seed, steps=steps)
    truth = targets_of(log_p_BSV)
    state = ctc_state(log_p_BSV, torch.tensor([steps]))
    row, so_far = state.row, ()
    for id in (BEGIN, *prefix):
        so_far = so_far if id == BEGIN else (*so_far, id)
        log_psi_NV, row = ctc_step(torch.tensor([id]), row, state.source)
    starts = sum(p for target, p in truth.items() if target[: len(so_far)] == so_far)
    if starts < 1e-300:
        return
    for id in SYMBOLS:
        expected = sum(p for target, p in truth.items() if target[: len(so_far) + 1] == (*so_far, id)) / starts
        assert math.exp(float(log_psi_NV[0, id])) == pytest.approx(expected, abs=1e-9)
    assert math.exp(float(log_psi_NV[0, END])) == pytest.approx(truth.get(so_far, 0.0) / starts, abs=1e-9)


def joint_start(logit_BCV: Tensor, log_p_BSV: Tensor, length_B: Tensor) -> State:
    return paired(start(logit_BCV), ctc_state(log_p_BSV, length_B))


@given(st.integers(0, 10**6), st.sampled_from([0.2, 0.5, 0.9, 1.0]))
@settings(max_examples=15, deadline=None)
def test_a_wide_joint_beam_finds_the_best_of_all_targets(seed, weight):
    logit_BCV = tables(seed, sources=1, symbols=2)
    log_p_BSV = ctc_table(seed, steps=4)
    truth, after = targets_of(log_p_BSV), log_p_after(logit_BCV[0])
    best, target = -math.inf, ()
    for size in range(4):
        for ids in itertools.product(SYMBOLS, repeat=size):
            attention = sum(after(ids[:i])[id] for i, id in enumerate((*ids, END)))
            score = (1 - weight) * attention + weight * math.log(max(truth.get(ids, 0.0), 1e-300))
            if score > best:
                best, target = score, ids
    answer = beam_search(
        with_ctc(step, weight=weight),
        joint_start(logit_BCV, log_p_BSV, torch.tensor([4])),
        longest_B=torch.tensor([4]),
        beam=60,
        length_penalty=0.0,
    )[0][0]
    assert tuple(answer.ids) == target
    assert answer.log_prob == pytest.approx(best, abs=1e-6)


def test_neighbours_and_padding_change_no_joint_answer():
    logit_BCV = tables(3, sources=3, symbols=2)
    alone = [ctc_table(seed, steps=steps) for seed, steps in ((1, 3), (2, 6), (3, 4))]
    lengths = torch.tensor([x.shape[1] for x in alone])
    padded = torch.zeros(3, 6, 6, dtype=torch.float64)
    for number, x in enumerate(alone):
        padded[number, : x.shape[1]] = x[0]
    joint = with_ctc(step, weight=0.5)
    together = beam_search(joint, joint_start(logit_BCV, padded, lengths), longest_B=lengths + 1, beam=3, nbest=2)
    for number, x in enumerate(alone):
        state = joint_start(logit_BCV[number : number + 1], x, lengths[number : number + 1])
        one = beam_search(joint, state, longest_B=lengths[number : number + 1] + 1, beam=3, nbest=2)[0]
        assert [answer.ids for answer in one] == [answer.ids for answer in together[number]]
        assert [a.log_prob for a in one] == pytest.approx([a.log_prob for a in together[number]])


def test_a_language_model_of_weight_zero_changes_nothing():
    logit_BCV = tables(5, sources=2, symbols=3)
    longest_B = torch.tensor([6, 6])
    fused = with_language_model(step, step, weight=0.0)
    state = paired(start(logit_BCV), start(tables(6, sources=2, symbols=3)))
    plain = beam_search(step, start(logit_BCV), longest_B=longest_B, beam=3, length_penalty=0.0)
    both = beam_search(fused, state, longest_B=longest_B, beam=3, length_penalty=0.0)
    assert [answers[0].ids for answers in plain] == [answers[0].ids for answers in both]


def test_a_language_model_adds_its_weighted_log_probability():
    logit_BCV, language_BCV = tables(7, sources=1, symbols=2), tables(8, sources=1, symbols=2)
    fused = with_language_model(step, step, weight=0.7)
    state = paired(start(logit_BCV), start(language_BCV))
    answer = beam_search(fused, state, longest_B=torch.tensor([5]), beam=3, length_penalty=0.0)[0][0]
    ids = (*answer.ids, END) if answer.ended else tuple(answer.ids)
    model, language = log_p_after(logit_BCV[0]), log_p_after(language_BCV[0])
    expected = sum(model(ids[:i])[id] + 0.7 * language(ids[:i])[id] for i, id in enumerate(ids))
    assert answer.log_prob == pytest.approx(expected)


@given(st.integers(0, 10**6), st.floats(0.0, 1.0))
@settings(max_examples=30, deadline=None)
def test_weighted_sums_leave_something_over_and_rows_are_normalised(seed, weight):
    left, right = table(seed, steps=3, symbols=6)[0], table(seed + 1, steps=3, symbols=6)[0]
    log_p_NV = with_leftover((1 - weight) * left + weight * right)
    torch.testing.assert_close(log_p_NV.logsumexp(1), torch.zeros(3, dtype=torch.float64))


@given(st.integers(0, 10**6), st.lists(st.lists(st.sampled_from(SYMBOLS), max_size=5), min_size=1, max_size=3))
@settings(max_examples=30, deadline=None)
def test_whole_targets_hear_what_steps_hear(seed, targets):
    log_p_BSV = torch.cat([ctc_table(seed + row, steps=5) for row in range(len(targets))])
    state = ctc_state(log_p_BSV, torch.tensor([5 - row for row in range(len(targets))]))
    previous_BT = tokens([[BEGIN, *target] for target in targets]).id_BL
    log_psi_BTV = ctc_forward(previous_BT, state.row, state.source)
    row = state.row
    for place, id_B in enumerate(previous_BT.unbind(1)):
        log_psi_NV, row = ctc_step(id_B, row, state.source)
        for number, target in enumerate(targets):
            if place <= len(target):
                torch.testing.assert_close(log_psi_BTV[number, place], log_psi_NV[number])
