"""Only mixed precision changes the types of products and sums, and a weight's layout changes no product."""

from __future__ import annotations

import pytest
import torch

from seqsmith.products import as_product_type, as_sum_type, product


def test_only_mixed_precision_halves_what_products_are_taken_in() -> None:
    x = torch.randn(600, 16)
    assert as_product_type(x) is x
    with torch.autocast("cpu", torch.bfloat16):
        assert as_product_type(x).dtype == torch.bfloat16
        assert as_sum_type(x) is x
        assert as_sum_type(x.bfloat16()).dtype == torch.float32
    assert as_sum_type(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("laid_out", [True, False])
def test_a_weight_that_is_laid_out_once_multiplies_as_it_did(
    dtype: torch.dtype, laid_out: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not laid_out:
        monkeypatch.setattr("seqsmith.products._can_lay_out", lambda: False)
    x_ND, weight_OD, bias_O = torch.randn(5, 16).to(dtype), torch.randn(24, 16).to(dtype), torch.randn(24).to(dtype)
    expected = x_ND.float() @ weight_OD.float().t()
    tolerance = 0.1 if dtype == torch.bfloat16 else 1e-5
    torch.testing.assert_close(product(weight_OD)(x_ND).float(), expected, rtol=0.01, atol=tolerance)
    torch.testing.assert_close(product(weight_OD, bias_O)(x_ND).float(), expected + bias_O, rtol=0.01, atol=tolerance)
    grad = expected.to(dtype)
    torch.testing.assert_close(
        product(weight_OD.t())(grad).float(), grad.float() @ weight_OD.float(), rtol=0.02, atol=10 * tolerance
    )
