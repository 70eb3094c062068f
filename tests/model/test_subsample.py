"""Subsampling: lengths, and that padding and neighbours change nothing."""

from __future__ import annotations

import pytest
import torch

from seqsmith.model.subsample import Subsample, joined_pairs


def padded(lengths: list[int], channels: int, *, to: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random sequences, with anything after their ends."""
    x_BLC = torch.randn(len(lengths), to, channels)
    return x_BLC, torch.arange(to) < torch.tensor(lengths)[:, None]


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_padding_and_neighbours_never_change_what_is_real(factor):
    layer = Subsample(5, 8, factor=factor).eval()
    lengths = [1, 7, 8, 9, 30]
    x_BLC, valid_BL = padded(lengths, 5, to=37)
    y_BSD, valid_BS = layer(x_BLC, valid_BL)
    assert valid_BS.sum(1).tolist() == [-(-length // factor) for length in lengths]
    for row, length in enumerate(lengths):
        alone, whole = layer(x_BLC[row : row + 1, :length], valid_BL[row : row + 1, :length])
        assert whole.all()
        torch.testing.assert_close(y_BSD[row][valid_BS[row]], alone[0])


@pytest.mark.parametrize("length", [1, 4, 7])
def test_joined_pairs_hold_both_neighbours_and_silence_after_the_end(length):
    x_BLC, valid_BL = padded([length, 9], 3, to=9)
    y, valid_BS = joined_pairs(x_BLC, valid_BL)
    assert valid_BS.sum(1).tolist() == [-(-length // 2), 5]
    flat = y[0].reshape(-1, 3)
    torch.testing.assert_close(flat[:length], x_BLC[0, :length])
    assert not flat[length:].any()


def test_every_frame_matters():
    layer = Subsample(2, 4, factor=4).eval()
    x_BLC, valid_BL = padded([16], 2, to=16)
    x_BLC.requires_grad_(True)
    layer(x_BLC, valid_BL)[0].sum().backward()
    assert x_BLC.grad.abs().sum(-1).gt(0).all()
