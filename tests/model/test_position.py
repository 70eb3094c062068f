"""Positions: what depends on the distance alone does, and a later start is a piece of the whole."""

from __future__ import annotations

import cmath
import math

import pytest
import torch
from torch import Tensor

from seqsmith.model.position import LearnedPositions, RelativeBias, rotate, sinusoid

DOUBLE = torch.zeros((), dtype=torch.float64)


def test_rotary_scores_depend_on_the_distance_alone() -> None:
    query_BHTK, key_BHSK = torch.randn(2, 3, 4, 6, dtype=torch.float64), torch.randn(2, 3, 5, 6, dtype=torch.float64)

    def score(query_first: int, key_first: int) -> Tensor:
        return rotate(query_BHTK, query_first) @ rotate(key_BHSK, key_first).transpose(2, 3)

    torch.testing.assert_close(score(1002, 1000), score(2, 0), rtol=0, atol=1e-10)
    assert (score(3, 0) - score(2, 0)).abs().max() > 0.1


def test_what_rotary_positions_give_back_is_their_gradient() -> None:
    x_BHLK = torch.randn(2, 3, 4, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: rotate(x, 2), x_BHLK)
    assert torch.autograd.gradgradcheck(lambda x: rotate(x, 2) ** 2, x_BHLK)


def test_rotary_turns_pairs_of_numbers_as_complex_ones() -> None:
    x_BHLK = torch.randn(1, 1, 7, 6, dtype=torch.float64)
    turned_BHLK = rotate(x_BHLK, 3)
    for step in range(7):
        for pair in range(3):
            number = complex(x_BHLK[0, 0, step, pair], x_BHLK[0, 0, step, pair + 3])
            expected = number * cmath.exp(1j * (3 + step) * 10_000 ** (-pair / 3))
            found = complex(turned_BHLK[0, 0, step, pair], turned_BHLK[0, 0, step, pair + 3])
            assert found == pytest.approx(expected, abs=1e-12)


def test_a_later_start_is_a_piece_of_the_whole() -> None:
    x_BHLK = torch.randn(1, 2, 9, 4)
    torch.testing.assert_close(rotate(x_BHLK[:, :, 5:], 5), rotate(x_BHLK, 0)[:, :, 5:])
    torch.testing.assert_close(sinusoid(5, 4, 6, like=DOUBLE), sinusoid(0, 9, 6, like=DOUBLE)[5:])
    learned, relative = LearnedPositions(20, 3), RelativeBias(2, farthest=3)
    torch.testing.assert_close(learned(5, 4), learned(0, 9)[5:])
    torch.nn.init.normal_(relative.bias)
    torch.testing.assert_close(relative(5, 4, 9), relative(0, 9, 9)[:, :, 5:])


@pytest.mark.parametrize("width", [2, 7, 8])
def test_sinusoids_are_sines_then_cosines_of_geometric_wavelengths(width: int) -> None:
    half = math.ceil(width / 2)
    angles = [[step * 10_000 ** (-i / half) for i in range(half)] for step in range(12)]
    expected = [[*map(math.sin, row), *map(math.cos, row)][:width] for row in angles]
    torch.testing.assert_close(sinusoid(0, 12, width, like=DOUBLE), torch.tensor(expected, dtype=torch.float64))


def test_learned_positions_past_the_last_share_it() -> None:
    positions_LD = LearnedPositions(3, 4)(1, 5)
    assert not torch.equal(positions_LD[0], positions_LD[1])
    assert (positions_LD[1:] == positions_LD[1]).all()


def test_relative_positions_are_one_number_for_each_head_and_clipped_distance() -> None:
    relative = RelativeBias(2, farthest=3)
    torch.nn.init.normal_(relative.bias)
    bias_1HTS = relative(4, 2, 10)
    for head in range(2):
        for query in (4, 5):
            for key in range(10):
                distance = min(3, max(-3, key - query))
                assert bias_1HTS[0, head, query - 4, key] == relative.bias[head, distance + 3]
