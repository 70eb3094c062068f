"""In mixed precision a linear layer is torch's, whatever rows it adds to save a kernel."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from seqsmith.model.linear import Linear, side_by_side


def answer(layer: nn.Linear, x: Tensor) -> tuple[Tensor, ...]:
    """What it makes of x in bf16, and the gradients."""
    x = x.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    return y, *torch.autograd.grad((y.float() ** 2).sum(), [x, *layer.parameters()])


@pytest.mark.parametrize("shape", [(7, 16), (3, 5, 16), (512, 16), (513, 16), (31, 19, 16), (2, 3, 200, 16)])
@pytest.mark.parametrize("bias", [True, False])
def test_rows_of_zeros_change_neither_the_answers_nor_the_gradients(shape: tuple[int, ...], bias: bool) -> None:
    torch.manual_seed(1)
    ours, theirs = Linear(16, 24, bias=bias), nn.Linear(16, 24, bias=bias)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(shape)
    for found, expected in zip(answer(ours, x), answer(theirs, x), strict=True):
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02 * float(expected.detach().abs().max()))


def test_without_mixed_precision_nothing_is_halved() -> None:
    assert Linear(16, 24)(torch.randn(600, 16)).dtype == torch.float32


@pytest.mark.parametrize("rows", [3, 600])
@pytest.mark.parametrize("mixed", [True, False])
def test_layers_side_by_side_answer_and_learn_as_each_alone(rows: int, mixed: bool) -> None:
    torch.manual_seed(1)
    layers = [Linear(16, width) for width in (24, 8)]
    x = torch.randn(rows, 16, requires_grad=True)
    parts = [x, *(parameter for layer in layers for parameter in layer.parameters())]
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        together, apart = side_by_side(x, layers), [layer(x) for layer in layers]
    for found, expected in zip(together, apart, strict=True):
        torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)
    slopes = [torch.autograd.grad(sum((y.float() ** 2).sum() for y in each), parts) for each in (together, apart)]
    for found, expected in zip(*slopes, strict=True):
        torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02 * float(expected.abs().max()))
