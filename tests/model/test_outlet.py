"""The copy outlet is a distribution over the vocabulary: a plain loop's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from seqsmith.model.outlet import CopyOutlet, VocabularyOutlet
from seqsmith.special import UNKNOWN

TARGET_OF_SOURCE = [0, 1, 2, 3, 6, 5, UNKNOWN, 4]  # 8 source ids; 6 has no counterpart among 7 target ids


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def outlet() -> CopyOutlet:
    return CopyOutlet(VocabularyOutlet(7, 4, tied=None), 4, target_of_source=TARGET_OF_SOURCE)


def test_the_copy_outlet_is_the_plain_loop_and_sums_to_one() -> None:
    model = outlet()
    y_PD, attention_PS, id_PS = torch.randn(6, 4), torch.rand(6, 5).softmax(1), torch.randint(0, 8, (6, 5))
    attention_PS[0, 3:] = 0.0
    attention_PS /= attention_PS.sum(1, keepdim=True)
    p_PV = model(y_PD, attention_PS, id_PS).logits().exp()
    torch.testing.assert_close(p_PV.sum(1), torch.ones(6))
    for position in range(6):
        y_1D = y_PD[position, None]
        spoken_V = model.vocabulary(y_1D).logits()[0].softmax(0)
        speak = torch.sigmoid(model.gate(y_1D)).item()
        expected = [speak * p for p in spoken_V.tolist()]
        for step, source_id in enumerate(id_PS[position].tolist()):
            expected[TARGET_OF_SOURCE[source_id]] += (1 - speak) * attention_PS[position, step].item()
        assert p_PV[position].tolist() == pytest.approx(expected, abs=1e-12)


def test_words_without_an_id_stand_behind_the_vocabulary_and_each_source_has_its_own() -> None:
    model = outlet()
    y_PD, attention_PS = torch.randn(3, 4), torch.rand(3, 4).softmax(1)
    id_PS = torch.tensor([[8, 4, 9, 8], [4, 8, 5, 3], [4, 7, 5, 3]])  # 8 and 9 are behind the source's vocabulary
    p_PX = model(y_PD, attention_PS, id_PS).logits().exp()
    assert p_PX.shape == (3, 9)
    torch.testing.assert_close(p_PX.sum(1), torch.ones(3))
    copied_P1 = 1 - torch.sigmoid(model.gate(y_PD))
    own_PX = torch.stack(
        [attention_PS[:, 0] + attention_PS[:, 3], attention_PS[:, 2]], 1
    )  # of the first row; the second has one of them, the third none
    torch.testing.assert_close(p_PX[0, 7:], copied_P1[0] * own_PX[0])
    torch.testing.assert_close(p_PX[1, 7:], torch.stack([copied_P1[1, 0] * attention_PS[1, 1], torch.tensor(0.0)]))
    assert (p_PX[2, 7:] == 0.0).all()
    alone_PX = model(y_PD[2:], attention_PS[2:], id_PS[2:]).logits()
    torch.testing.assert_close(alone_PX.exp(), p_PX[2:, :7])


def test_a_shut_gate_points_at_the_source_alone_and_an_open_one_never() -> None:
    model = outlet()
    y_PD, attention_PS, id_PS = torch.randn(1, 4), torch.tensor([[0.75, 0.25]]), torch.tensor([[4, 6]])
    with torch.no_grad():
        model.gate.bias.fill_(-1000.0)
        p_V = model(y_PD, attention_PS, id_PS).logits()[0].exp()
        assert p_V.tolist() == pytest.approx([0.0, 0.25, 0.0, 0.0, 0.0, 0.0, 0.75])
        model.gate.bias.fill_(1000.0)
        p_V = model(y_PD, attention_PS, id_PS).logits()[0].exp()
    torch.testing.assert_close(p_V, model.vocabulary(y_PD).logits()[0].softmax(0))


def test_gradients_are_finite_where_nothing_points_and_where_the_gate_is_shut() -> None:
    model = outlet()
    with torch.no_grad():
        model.gate.bias.fill_(-1000.0)
    attention_PS = torch.tensor([[1.0, 0.0]], requires_grad=True)
    y_PD = torch.randn(1, 4, requires_grad=True)
    model(y_PD, attention_PS, torch.tensor([[4, 5]])).logits().sum().backward()
    found = [attention_PS.grad, y_PD.grad, *(parameter.grad for parameter in model.parameters())]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in found)
