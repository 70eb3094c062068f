"""The best continuations by blocks are those of a full sort."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqsmith.search.candidates import best_candidates


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 5), st.integers(4, 200), st.integers(1, 12))
def test_blocks_find_what_a_full_sort_finds(seed: int, B: int, W: int, V: int, most: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logit_NV = torch.randn(B * W, V, generator=generator)
    log_p_BW = -torch.rand(B, W, generator=generator).double()
    normaliser_N = logit_NV.logsumexp(1)
    found = best_candidates(logit_NV, normaliser_N, log_p_BW, most=most)
    token_log_p_NV = logit_NV.double() - normaliser_N[:, None]
    log_p_BY = (log_p_BW.view(-1, 1) + token_log_p_NV).view(B, W * V)
    best_BA = log_p_BY.sort(dim=1, descending=True, stable=True).indices[:, :most]
    torch.testing.assert_close(found.log_p_BA, log_p_BY.gather(1, best_BA), rtol=0, atol=0)
    torch.testing.assert_close(found.row_BA, best_BA // V + torch.arange(B)[:, None] * W)
    torch.testing.assert_close(found.id_BA, best_BA % V)
    torch.testing.assert_close(found.token_log_p_BA, token_log_p_NV[found.row_BA, found.id_BA], rtol=0, atol=0)


def test_equals_come_in_the_order_of_parents_and_ids() -> None:
    found = best_candidates(torch.zeros(2, 5), torch.zeros(2), torch.zeros(1, 2).double(), most=10)
    assert found.row_BA.tolist() == [[0] * 5 + [1] * 5]
    assert found.id_BA.tolist() == [[0, 1, 2, 3, 4] * 2]


def test_a_longer_hypothesis_is_never_more_probable() -> None:
    logit_NV = torch.full((1, 64), -200.0)
    logit_NV[0, 7] = 31.7  # takes all the probability there is
    log_p_BW = torch.tensor([[-0.1]], dtype=torch.float64)
    found = best_candidates(logit_NV, logit_NV.logsumexp(1), log_p_BW, most=4)
    assert (found.log_p_BA <= log_p_BW).all()


def test_every_id_is_of_the_vocabulary_also_where_nothing_is_allowed() -> None:
    found = best_candidates(torch.full((1, 40), -float("inf")), torch.zeros(1), torch.zeros(1, 1).double(), most=40)
    assert int(found.id_BA.max()) < 40
    assert found.log_p_BA.isneginf().all()
