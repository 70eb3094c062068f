"""Length penalties are the published formulas; answers are read back along their own nodes."""

from __future__ import annotations

import pytest
import torch

from seqsmith import config
from seqsmith.search.answer import Answer, divisors, longest_answers
from seqsmith.search.trellis import Ranking, Trellis, divisor_table
from seqsmith.special import END


def test_divisors_are_powers_of_the_length() -> None:
    divisor = divisors(4, length_penalty=0.5, gnmt_penalty=False)
    assert divisor[1:] == pytest.approx([1.0, 2**0.5, 3**0.5, 2.0, 5**0.5])


def test_gnmt_divisors_are_those_of_equation_14() -> None:
    divisor = divisors(7, length_penalty=0.6, gnmt_penalty=True)
    assert divisor[7] == pytest.approx((5 + 7) ** 0.6 / (5 + 1) ** 0.6)


def test_without_a_penalty_the_score_is_log_p() -> None:
    assert divisors(3, length_penalty=0.0, gnmt_penalty=False)[1:] == [1.0] * 4


def test_an_answer_of_no_tokens_at_all_is_our_mistake() -> None:
    with pytest.raises(AssertionError, match="at least one token"):
        divisor_table(torch.tensor([3, 0]), length_penalty=1.0, gnmt_penalty=False)


def test_the_longest_answer_grows_with_its_source_unless_it_is_given() -> None:
    assert longest_answers([1, 10], config.Search(longest_ratio=1.5, longest_extra=3)) == [5, 18]
    assert longest_answers([1, 10], config.Search(longest=7)) == [7, 7]


def test_no_setting_makes_answers_longer_than_a_machine_can_hold() -> None:
    assert longest_answers([10**6], config.Search(longest_ratio=1000.0)) == [10**6]
    for penalty in (-10.0, 10.0):
        for divisor in divisors(10**6, length_penalty=penalty, gnmt_penalty=False)[-2:]:
            assert 0.0 < divisor < float("inf")


def test_answers_are_read_along_their_parents() -> None:
    trellis = Trellis()
    for parents, ids, log_ps in (
        ([0, 1], [10, 20], [-1.0, -2.0]),
        ([1, 0, 1], [21, 11, END], [-0.1, -0.2, -0.3]),
        ([1, 0], [END, 22], [-0.5, -0.6]),
    ):
        trellis.add(parent_Y=torch.tensor(parents), id_Y=torch.tensor(ids), log_p_Y=torch.tensor(log_ps).double())
    late = Ranking(
        torch.tensor([0]), torch.tensor([[-9.0, -float("inf")]]), torch.tensor([[0, 0]]), torch.tensor([[3, 0]])
    )
    early = Ranking(torch.tensor([1]), torch.tensor([[-2.3, -2.7]]), torch.tensor([[2, 1]]), torch.tensor([[2, 3]]))
    (first,), (second, third) = trellis.read([early, late])
    assert first == Answer([10, 11], -9.0, pytest.approx(-1.7), pytest.approx([-1.0, -0.2, -0.5]), True)
    assert (second.ids, second.ended, second.log_prob) == ([20], True, pytest.approx(-2.3))
    assert (third.ids, third.ended) == ([20, 21, 22], False)
