"""Recurrent layers are torch's own for the same weights, over padding as over packed sequences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqsmith import config
from seqsmith.model.layers import Dropout
from seqsmith.model.memory import Memory
from seqsmith.model.recurrent import Between, RecurrentDecoder, RecurrentEncoder, RecurrentLayer

LENGTH_B = torch.tensor([6, 1, 4])
VALID_BL = torch.arange(6) < LENGTH_B[:, None]

both_cells = pytest.mark.parametrize("cell", ["lstm", "gru"])
both_ways = pytest.mark.parametrize("bidirectional", [False, True])


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def twins(cell: Any, *, bidirectional: bool) -> tuple[RecurrentLayer, nn.LSTM | nn.GRU]:
    """A layer of ours and one of torch's with the same random weights."""
    ours = RecurrentLayer(cell, 3, 5, bidirectional=bidirectional)
    theirs = (nn.LSTM if cell == "lstm" else nn.GRU)(3, 5, batch_first=True, bidirectional=bidirectional)
    with torch.no_grad():
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            mine.normal_()
            other.copy_(mine)
    return ours, theirs


def final_of(state: Any) -> list[Tensor]:
    """h, and c of an LSTM, the directions side by side."""
    return [part.transpose(0, 1).flatten(1) for part in (state if isinstance(state, tuple) else (state,))]


@both_cells
@both_ways
def test_without_padding_a_layer_is_that_of_torch(cell: str, bidirectional: bool) -> None:
    ours, theirs = twins(cell, bidirectional=bidirectional)
    x_BLC = torch.randn(3, 6, 3)
    found, final = ours(x_BLC, valid_BL=None, start=None)
    expected, state = theirs(x_BLC)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(list(final), final_of(state))


@both_cells
@both_ways
def test_over_padding_a_layer_and_its_gradients_are_those_of_packed_sequences(cell: str, bidirectional: bool) -> None:
    ours, theirs = twins(cell, bidirectional=bidirectional)
    x_BLC = torch.randn(3, 6, 3)
    found, final = ours(x_BLC, valid_BL=VALID_BL, start=None)
    packed = pack_padded_sequence(x_BLC, LENGTH_B, batch_first=True, enforce_sorted=False)
    output, state = theirs(packed)
    expected, _ = pad_packed_sequence(output, batch_first=True)
    torch.testing.assert_close(found[VALID_BL], expected[VALID_BL])
    torch.testing.assert_close(list(final), final_of(state))

    weights = [torch.randn_like(part) for part in (found[VALID_BL], *final)]

    def gradients(module: nn.Module, parts: list[Tensor]) -> tuple[Tensor, ...]:
        loss = sum((weight * part).sum() for weight, part in zip(weights, parts, strict=True))
        return torch.autograd.grad(loss, list(module.parameters()))

    torch.testing.assert_close(
        gradients(ours, [found[VALID_BL], *final]), gradients(theirs, [expected[VALID_BL], *final_of(state)])
    )


@both_cells
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_padding_holds_the_state_to_the_last_bit(cell: str, dtype: torch.dtype) -> None:
    ours, _ = twins(cell, bidirectional=False)
    ours = ours.to(dtype)
    x_BLC = torch.randn(3, 6, 3, dtype=dtype) * 100
    _, final = ours(x_BLC, valid_BL=VALID_BL, start=None)
    other_BLC = torch.where(VALID_BL[..., None], x_BLC, -x_BLC)
    _, other = ours(other_BLC, valid_BL=VALID_BL, start=None)
    assert all(torch.equal(one, two) for one, two in zip(final, other, strict=True))


@both_cells
@both_ways
@pytest.mark.parametrize("rows", [3, 33])
def test_in_mixed_precision_a_layer_answers_and_learns_as_in_single(cell: str, bidirectional: bool, rows: int) -> None:
    layer = RecurrentLayer(cell, 3, 8, bidirectional=bidirectional).float()  # type: ignore[arg-type]
    directions = 2 if bidirectional else 1
    x_BLC, valid_BL = torch.randn(rows, 6, 3).float(), torch.arange(6) < torch.randint(1, 7, (rows, 1))
    start = None if bidirectional else tuple(torch.randn(rows, 8).float() for _ in range(2 if cell == "lstm" else 1))
    results = []
    for mixed in (True, False):
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            y_BLD, final = layer(x_BLC, valid_BL=valid_BL, start=start)
        assert y_BLD.shape == (rows, 6, 8 * directions)
        real = [y_BLD[valid_BL].float(), *(part.float() for part in final)]
        slopes = torch.autograd.grad(sum((part**2).sum() for part in real), list(layer.parameters()))
        results.append([*real, *slopes])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=0.05, atol=0.03 * float(expected.detach().abs().max()))


@both_cells
@pytest.mark.parametrize("attention", ["additive", "dot", "general", "multihead"])
@pytest.mark.parametrize("rows", [3, 33])
def test_in_mixed_precision_input_feeding_answers_and_learns_as_in_single(cell: Any, attention: Any, rows: int) -> None:
    settings = config.RecurrentDecoder(kind=cell, width=8, attention=attention, input_feeding=True, dropout=0.0)
    decoder = RecurrentDecoder(settings, input_width=4, memory_width=8, context_width=8, output_width=8).float()
    valid_BS = torch.arange(6) < torch.randint(1, 7, (rows, 1))
    x_BTC, memory_BSD, context_BZ = (torch.randn(shape).float() for shape in ((rows, 5, 4), (rows, 6, 8), (rows, 8)))
    parts = [part.requires_grad_() for part in (x_BTC, memory_BSD, context_BZ)] + list(decoder.parameters())
    results = []
    for mixed in (True, False):
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            decoded = decoder(x_BTC, Memory(memory_BSD, valid_BS, context_BZ), attention=True)
        found = decoded.y_BTD.float(), decoded.attention_BTS.float()
        assert [len(part) for part in found] == [rows, rows]
        results.append([*found, *torch.autograd.grad((found[0] ** 2).sum(), parts)])
    for half, single in zip(*results, strict=True):
        torch.testing.assert_close(half, single, rtol=0.1, atol=0.05 * float(single.detach().abs().max()) + 2e-3)


@both_cells
def test_steps_from_a_start_state_are_the_whole_sequence(cell: str) -> None:
    layer, _ = twins(cell, bidirectional=False)
    x_BLC, start = torch.randn(3, 6, 3), tuple(torch.randn(3, 5) for _ in range(2 if cell == "lstm" else 1))
    whole_BLD, final = layer(x_BLC, valid_BL=None, start=start)
    state, steps = start, []
    for x_NC in x_BLC.unbind(1):
        h_ND, state = layer.advance(layer.project(x_NC), layer.recall(state[0]), state)
        steps.append(h_ND)
    torch.testing.assert_close(torch.stack(steps, dim=1), whole_BLD)
    torch.testing.assert_close(state, final)


@both_cells
def test_a_new_layer_is_orthogonal_between_steps_and_its_forget_gate_starts_open(cell: str) -> None:
    layer = RecurrentLayer(cell, 3, 5, bidirectional=True)  # type: ignore[arg-type]
    for suffix in ("", "_reverse"):
        for gate in layer.get_parameter(f"weight_hh{suffix}").split(5):
            torch.testing.assert_close(gate @ gate.T, torch.eye(5), rtol=0, atol=1e-6)
        bias = layer.get_parameter(f"bias_ih{suffix}")
        assert [gate.unique().tolist() for gate in bias.split(5)][1] == ([1.0] if cell == "lstm" else [0.0])
        assert bias.sum() == (5.0 if cell == "lstm" else 0.0)


def test_a_residual_connection_needs_equal_widths_and_comes_after_the_norm() -> None:
    between = Between(4, residual=True, layer_norm=True, dropout=Dropout(0.0))
    y, narrow, wide = torch.randn(2, 4), torch.randn(2, 3), torch.randn(2, 4)
    torch.testing.assert_close(between(y, wide), nn.functional.layer_norm(y, (4,)) + wide)
    torch.testing.assert_close(between(y, narrow), nn.functional.layer_norm(y, (4,)))


def test_the_context_vector_is_the_final_state_of_both_directions() -> None:
    encoder = RecurrentEncoder(config.RecurrentEncoder(kind="lstm", width=8, dropout=0.0), 3)
    x_BSC = torch.randn(3, 6, 3)
    memory = encoder(x_BSC, VALID_BL)
    assert memory.context_BZ.shape == (3, 16) == (3, encoder.context_width)
    for row, length in enumerate(LENGTH_B.tolist()):
        torch.testing.assert_close(memory.context_BZ[row, :4], memory.x_BSD[row, length - 1, :4])
        torch.testing.assert_close(memory.context_BZ[row, 4:8], memory.x_BSD[row, 0, 4:])


def test_variational_dropout_has_one_mask_for_all_steps() -> None:
    drops = {
        variational: RecurrentEncoder(config.RecurrentEncoder(width=8, dropout=0.5, variational=variational), 3).dropout
        for variational in (True, False)
    }
    masks = {variational: dropout(torch.ones(2, 30, 8)) for variational, dropout in drops.items()}
    assert (masks[True] == masks[True][:, :1]).all()
    assert not (masks[False] == masks[False][:, :1]).all()


@both_cells
@pytest.mark.parametrize("feeding", [True, False])
def test_in_a_loop_variational_dropout_has_one_mask_for_all_steps_and_another_for_each_row(
    cell: Any, feeding: bool
) -> None:
    decoder = RecurrentDecoder(
        config.RecurrentDecoder(kind=cell, layers=2, width=8, input_feeding=feeding, variational=True, dropout=0.5),
        input_width=3,
        memory_width=8,
        context_width=16,
        output_width=8,
    )
    x_BTC, memory = torch.randn(3, 30, 3), Memory(torch.randn(3, 6, 8), VALID_BL, torch.randn(3, 16))
    states: list[list[Tensor]] = [[] for _ in decoder.layers]
    for between, seen in zip(decoder.between, states, strict=True):
        between.register_forward_hook(lambda _, __, y, seen=seen: seen.append(y))
    row, source, said = decoder.start(memory), decoder.look(memory), []
    for x_BC in x_BTC.unbind(1):
        decoded, row = decoder.step(x_BC, row, source)
        said.append(decoded.y_BTD[:, 0])
    loops = [said, *states]
    if feeding:
        loops.append(list(decoder(x_BTC, memory).y_BTD.unbind(1)))
    for loop in loops:
        kept_BTD = torch.stack(loop, 1)[:, :30] != 0
        assert (kept_BTD == kept_BTD[:, :1]).all()
        assert not torch.equal(kept_BTD[0], kept_BTD[1])
    assert "keep" not in decoder.eval().start(memory)


@both_cells
def test_additive_attention_sees_what_it_has_looked_at_as_the_plain_loop_does(cell: Any) -> None:
    """See et al. 2017, equations 10, 11 and 2."""
    decoder = RecurrentDecoder(
        config.RecurrentDecoder(kind=cell, width=8, attention="additive", coverage=True, dropout=0.0),
        input_width=3,
        memory_width=8,
        context_width=16,
        output_width=8,
    )
    attention = decoder.attention
    x_BTC, memory = torch.randn(3, 5, 3), Memory(torch.randn(3, 6, 8), VALID_BL, torch.randn(3, 16))
    found = decoder(x_BTC, memory, attention=True)
    state_BTD, _ = decoder.layers[0](x_BTC, valid_BL=None, start=decoder.start(memory)["hidden"][0])
    for row, valid_S in enumerate(VALID_BL):
        coverage_S = torch.zeros(6)
        for step, state_D in enumerate(state_BTD[row]):
            query_D = attention.query(state_D)
            key_SD = attention.key(memory.x_BSD[row])
            energies = [
                torch.tanh(key_D + query_D + covered * attention.covered) @ attention.energy
                for key_D, covered in zip(key_SD, coverage_S, strict=True)
            ]
            weight_S = torch.stack(energies).masked_fill(~valid_S, -torch.inf).softmax(0)
            torch.testing.assert_close(found.attention_BTS[row, step], weight_S)
            coverage_S = coverage_S + weight_S


def test_coverage_counts_in_full_precision() -> None:
    settings = config.RecurrentDecoder(kind="gru", width=8, attention="additive", coverage=True, dropout=0.0)
    decoder = RecurrentDecoder(settings, input_width=3, memory_width=8, context_width=16, output_width=8).bfloat16()
    memory = Memory(torch.randn(3, 6, 8).bfloat16(), VALID_BL, torch.randn(3, 16).bfloat16())
    with torch.no_grad():
        row, source = decoder.start(memory), decoder.look(memory)
        for x_BC in torch.randn(300, 3, 3).bfloat16():
            _, row = decoder.step(x_BC, row, source)
    assert row["coverage_NS"].dtype == torch.float32
    assert row["coverage_NS"].sum(1).tolist() == pytest.approx([300.0] * 3, rel=0.01)


def test_without_attention_the_decoder_knows_the_context_vector_alone() -> None:
    decoder = RecurrentDecoder(
        config.RecurrentDecoder(width=8, attention="none"),
        input_width=3,
        memory_width=8,
        context_width=16,
        output_width=8,
    ).eval()
    x_BTC, context_BZ = torch.randn(3, 4, 3), torch.randn(3, 16)
    one, two = (decoder(x_BTC, Memory(torch.randn(3, 6, 8), VALID_BL, context_BZ), attention=True) for _ in range(2))
    assert torch.equal(one.y_BTD, two.y_BTD)
    other = decoder(x_BTC, Memory(torch.randn(3, 6, 8), VALID_BL, context_BZ + 1))
    assert not torch.equal(one.y_BTD, other.y_BTD)
    expected_BS = VALID_BL / LENGTH_B[:, None]  # it looks nowhere, which is even everywhere
    torch.testing.assert_close(one.attention_BTS, expected_BS[:, None].expand(-1, 4, -1))
