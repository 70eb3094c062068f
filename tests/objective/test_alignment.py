"""CTC against the sum over all paths, and its company in a mixture."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqsmith.batch import Aligned, Projection, tokens
from seqsmith.data.ragged import Ragged
from seqsmith.objective.alignment import alignment_loss, fewest_steps, mixed, steps_needed
from seqsmith.objective.token import Loss
from seqsmith.special import END


def aligned(seed: int, lengths: list[int], symbols: int) -> Aligned:
    """A head whose logits are its hidden states."""
    generator = torch.Generator().manual_seed(seed)
    hidden_PD = torch.randn(sum(lengths), symbols, generator=generator, dtype=torch.float64, requires_grad=True)
    eye_VD = torch.eye(symbols, dtype=torch.float64)
    return Aligned(Projection(hidden_PD, eye_VD, torch.zeros(symbols, dtype=torch.float64)), torch.tensor(lengths))


def probability(log_p: list[list[float]], target: list[int]) -> float:
    """The sum over every path that collapses to the target."""
    total = 0.0
    for path in itertools.product(range(len(log_p[0])), repeat=len(log_p)):
        if [id for id, _ in itertools.groupby(path) if id] == target:
            total += math.exp(sum(row[id] for row, id in zip(log_p, path, strict=True)))
    return total


targets = st.lists(st.integers(4, 5), min_size=1, max_size=3)


@given(st.integers(0, 10**6), st.lists(st.tuples(st.integers(1, 4), targets), min_size=1, max_size=3))
@settings(max_examples=25, deadline=None)
def test_the_loss_is_the_sum_over_all_alignments_and_impossible_targets_cost_nothing(seed, examples):
    steps = [length for length, _ in examples]
    said = aligned(seed, steps, symbols=6)
    found = alignment_loss(said, tokens([[*target, END] for _, target in examples]))
    log_p = said.scores.logits().log_softmax(-1).split(steps)
    chances = [probability(one.tolist(), target) for one, (_, target) in zip(log_p, examples, strict=True)]
    assert float(found.detach()) == pytest.approx(-sum(math.log(chance) for chance in chances if chance), abs=1e-6)


def test_gradients_are_finite_where_a_target_has_no_alignment():
    said = aligned(1, [2, 5], symbols=6)
    found = alignment_loss(said, tokens([[4, 4, END], [4, 5, END]]))
    found.backward()
    gradient_PD = said.scores.hidden_PD.grad
    assert gradient_PD.isfinite().all()
    assert not gradient_PD[:2].any()
    assert gradient_PD[2:].any()


def test_equal_neighbours_need_a_step_between():
    batch = tokens([[4, 4, 4, END], [4, 5, 4, END], [4, END]])
    assert steps_needed(batch.id_BL, batch.length_B - 1).tolist() == [5, 3, 1]


def test_neighbours_change_no_loss():
    lengths, goals = [4, 2, 6], [[4, 5], [5], [4, 4, 5]]
    said = aligned(2, lengths, symbols=6)
    together = float(alignment_loss(said, tokens([[*goal, END] for goal in goals])).detach())
    parts = said.scores.hidden_PD.split(lengths)
    alone = 0.0
    for hidden_PD, goal in zip(parts, goals, strict=True):
        one = Aligned(Projection(hidden_PD, said.scores.weight_VD, said.scores.bias_V), torch.tensor([len(hidden_PD)]))
        alone += float(alignment_loss(one, tokens([[*goal, END]])).detach())
    assert together == pytest.approx(alone)


def test_a_mixture_weighs_both_losses_and_keeps_the_decoders_truth_and_count():
    said = aligned(3, [4], symbols=6)
    ctc = alignment_loss(said, tokens([[4, 5, END]]))
    attention = Loss(torch.tensor(6.0), torch.tensor(5.0), 3)
    found = mixed(attention, ctc, weight=0.25)
    assert float(found.loss_nats.detach()) == pytest.approx(0.75 * 6.0 + 0.25 * float(ctc.detach()))
    assert (float(found.truth_nats), found.count) == (5.0, 3)


@given(st.lists(st.lists(st.integers(4, 6), max_size=6), min_size=1, max_size=5))
def test_both_ways_to_count_the_steps_that_are_needed_agree(targets):
    rows = [[*target, END] for target in targets]
    length_B = torch.tensor([len(row) - 1 for row in rows])
    id_BL = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
    assert fewest_steps(Ragged.of(rows)).tolist() == steps_needed(id_BL, length_B).tolist()
