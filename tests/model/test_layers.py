"""Dropout drops its share and keeps the mean; norms and feed-forward layers are their formulas."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from seqsmith.batch import exact
from seqsmith.model.layers import Dropout, FeedForward, norm


@pytest.mark.parametrize("rate", [0.004, 0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_dropout_drops_its_share_and_scales_the_rest_so_that_the_mean_stays(rate: float, dtype: torch.dtype) -> None:
    y = Dropout(rate)(torch.ones(300_000, dtype=dtype))
    assert y.dtype == dtype
    dropped = round(rate * 256) / 256
    assert (y == 0.0).double().mean().item() == pytest.approx(dropped, abs=0.005)
    kept = y[y != 0.0].unique()
    assert kept.tolist() == pytest.approx([1 / (1 - dropped)], rel=torch.finfo(dtype).eps)


def test_dropout_draws_each_element_by_itself() -> None:
    keep_LD = Dropout(0.5)(torch.ones(10_000, 16)) != 0.0
    together = keep_LD.double().T.corrcoef()
    assert (together - torch.eye(16)).abs().max() < 0.06


def test_dropout_follows_the_seed() -> None:
    def drawn(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return Dropout(0.3)(torch.ones(1000))

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


@pytest.mark.parametrize("dropout", [Dropout(0.0), Dropout(0.5).eval(), Dropout(0.5, shared_axis=0).eval()])
def test_dropout_does_nothing_at_rate_zero_and_outside_of_training(dropout: Dropout) -> None:
    x = torch.randn(5, 3)
    assert dropout(x) is x


def test_a_shared_axis_has_one_mask_for_all_its_steps() -> None:
    y_BTD = Dropout(0.5, shared_axis=1)(torch.ones(4, 9, 50))
    assert (y_BTD == y_BTD[:, :1]).all()
    assert not (y_BTD[0] == y_BTD[1]).all()
    assert (y_BTD == 0.0).double().mean().item() == pytest.approx(0.5, abs=0.15)


def test_the_gradient_passes_where_the_value_does() -> None:
    x = torch.ones(1000, requires_grad=True)
    y = Dropout(0.3)(x)
    y.sum().backward()
    torch.testing.assert_close(x.grad, y.detach())


def test_norms_are_their_formulas() -> None:
    x_BD = torch.randn(3, 7, dtype=torch.float64) * 5 + 2
    rms, layer = norm("rms", 7).double(), norm("layer", 7).double()
    root_B1 = x_BD.square().mean(1, keepdim=True).add(1e-6).sqrt()
    torch.testing.assert_close(rms(x_BD), x_BD / root_B1)
    centred_BD = x_BD - x_BD.mean(1, keepdim=True)
    torch.testing.assert_close(layer(x_BD), centred_BD / (centred_BD.square().mean(1, keepdim=True) + 1e-5).sqrt())


def test_feed_forward_layers_are_their_formulas() -> None:
    x_BLD = torch.randn(2, 3, 4)

    def inner_and_outer(layer: FeedForward, inner_BLF: Tensor) -> Tensor:
        return inner_BLF @ layer.outer.weight.T + layer.outer.bias

    relu, gelu, swiglu = (FeedForward(4, 6, activation=kind, dropout=0.0) for kind in ("relu", "gelu", "swiglu"))
    torch.testing.assert_close(relu(x_BLD), inner_and_outer(relu, relu.inner(x_BLD).clamp_min(0.0)))
    share_BLF = 0.5 * (1 + torch.erf(gelu.inner(x_BLD) / math.sqrt(2)))
    torch.testing.assert_close(gelu(x_BLD), inner_and_outer(gelu, gelu.inner(x_BLD) * share_BLF))
    gate_BLF = swiglu.gate(x_BLD)
    gated_BLF = gate_BLF * torch.sigmoid(gate_BLF) * swiglu.inner(x_BLD)
    torch.testing.assert_close(swiglu(x_BLD), inner_and_outer(swiglu, gated_BLF))


def test_half_precision_is_made_single_and_double_is_kept() -> None:
    widened = [exact(torch.zeros(1, dtype=dtype)).dtype for dtype in (torch.bfloat16, torch.float32, torch.float64)]
    assert widened == [torch.float32, torch.float32, torch.float64]
