"""A loop whose weights get their gradient at its end learns what a plain loop learns."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from seqsmith.model.unrolled import Unrolled


def fed_back(linear: Callable[[Tensor], Tensor], h_ND: Tensor, *, steps: int) -> Tensor:
    """Each step's output is the next one's input; some steps are read, so that not every gradient comes last."""
    read = []
    for step in range(steps):
        h_ND = torch.tanh(linear(h_ND))
        if step % 2:
            read.append(h_ND)
    return torch.stack(read).sum()


def test_the_gradients_are_those_of_a_product_a_step() -> None:
    torch.manual_seed(1)
    weight, bias, start = (
        torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((4, 4), (4,), (3, 4))
    )
    found = fed_back(Unrolled(weight, bias), start, steps=5)
    expected = fed_back(lambda x: F.linear(x, weight, bias), start, steps=5)
    torch.testing.assert_close(found, expected)
    parts = [weight, bias, start]
    torch.testing.assert_close(torch.autograd.grad(found, parts), torch.autograd.grad(expected, parts))


def test_two_loops_over_the_same_weights_add_up() -> None:
    torch.manual_seed(1)
    weight, bias, start = (
        torch.randn(4, 4, requires_grad=True),
        torch.zeros(4, requires_grad=True),
        torch.randn(3, 2, 4),
    )
    found = fed_back(Unrolled(weight, bias), start, steps=4) + fed_back(Unrolled(weight, bias), start, steps=2)
    expected = sum(fed_back(lambda x: F.linear(x, weight, bias), start, steps=steps) for steps in (4, 2))
    torch.testing.assert_close(
        torch.autograd.grad(found, [weight, bias]), torch.autograd.grad(expected, [weight, bias])
    )


def test_in_mixed_precision_products_are_halved_and_weights_are_not() -> None:
    weight, bias = torch.randn(4, 4, requires_grad=True), torch.zeros(4, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        linear = Unrolled(weight, bias)
        y = linear(torch.randn(3, 4))
        fed_back(linear, torch.randn(3, 4), steps=2).backward()
    assert y.dtype == torch.bfloat16
    assert weight.grad is not None
    assert weight.grad.dtype == torch.float32


def test_without_gradients_it_is_the_product() -> None:
    weight, bias, x = torch.randn(4, 4), torch.zeros(4), torch.randn(3, 4)
    with torch.no_grad():
        torch.testing.assert_close(Unrolled(weight, bias)(x), F.linear(x, weight, bias))


def test_the_matrices_of_a_batch_get_the_gradients_of_a_product_a_step() -> None:
    torch.manual_seed(1)
    weight_BOD, start_BTD = (
        torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((3, 4, 4), (3, 1, 4))
    )
    found = fed_back(Unrolled(weight_BOD), start_BTD, steps=5)
    expected = fed_back(lambda x: x @ weight_BOD.transpose(1, 2), start_BTD, steps=5)
    torch.testing.assert_close(found, expected)
    parts = [weight_BOD, start_BTD]
    torch.testing.assert_close(torch.autograd.grad(found, parts), torch.autograd.grad(expected, parts))
