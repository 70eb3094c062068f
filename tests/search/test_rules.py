"""Rules take ids out of the race and touch nothing else."""

from __future__ import annotations

import torch

from seqsmith.search.rules import answer_only, forbid
from seqsmith.special import BEGIN, END, PAD, UNKNOWN


def test_a_forbidden_id_is_impossible_and_all_others_are_as_they_were() -> None:
    logit_NV = torch.randn(3, 7)
    before_NV = logit_NV.clone()
    allowed_NV = forbid(logit_NV, (2, 5))
    assert allowed_NV[:, [2, 5]].isneginf().all()
    torch.testing.assert_close(allowed_NV[:, [0, 1, 3, 4, 6]], before_NV[:, [0, 1, 3, 4, 6]])
    torch.testing.assert_close(logit_NV, before_NV)


def test_end_is_possible_once_an_answer_is_long_enough() -> None:
    logit_NV = torch.zeros(1, 7)
    possible = [
        answer_only(logit_NV, length=length, shortest=2).isfinite()[0].nonzero()[:, 0].tolist() for length in (1, 2, 3)
    ]
    assert possible == [[4, 5, 6], [4, 5, 6], [3, 4, 5, 6]]
    assert not {PAD, UNKNOWN, BEGIN} & set(possible[2])
    assert END in possible[2]
