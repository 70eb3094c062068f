"""Transformer layers are torch's own for the same weights; positions tell the order of the source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from seqsmith import config
from seqsmith.model.attention import MultiHead, causal_bias, padding_bias
from seqsmith.model.transformer import DecoderLayer, EncoderLayer, TransformerDecoder, TransformerEncoder

VALID_BS = torch.tensor([[True] * 5, [True, True, False, False, False]])
every_layout = pytest.mark.parametrize("norm_first", [True, False])
every_activation = pytest.mark.parametrize("activation", ["relu", "gelu"])


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def plain(**options: Any) -> config.Transformer:
    return config.Transformer(width=8, heads=2, layers=1, feed_forward=12, dropout=0.0, position="learned", **options)


def copy_attention(ours: MultiHead, theirs: nn.MultiheadAttention) -> None:
    parts = (ours.query, ours.key, ours.value)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
    theirs.out_proj = ours.out


@every_layout
@every_activation
def test_an_encoder_layer_is_that_of_torch(norm_first: bool, activation: Any) -> None:
    ours = EncoderLayer(plain(norm_first=norm_first, activation=activation))
    theirs = nn.TransformerEncoderLayer(8, 2, 12, 0.0, activation, norm_first=norm_first, batch_first=True)
    copy_attention(ours.self_attention, theirs.self_attn)
    theirs.norm1, theirs.norm2 = ours.self_part.norm, ours.forward_part.norm
    theirs.linear1, theirs.linear2 = ours.feed_forward.inner, ours.feed_forward.outer
    x_BSD = torch.randn(2, 5, 8)
    expected = theirs(x_BSD, src_key_padding_mask=~VALID_BS)
    found_PD = ours(x_BSD.flatten(0, 1), tuple(x_BSD.shape[:2]), padding_bias(VALID_BS, x_BSD.dtype)[:, None])
    found = found_PD.view_as(x_BSD)
    torch.testing.assert_close(found[VALID_BS], expected[VALID_BS])


@every_layout
@every_activation
def test_a_decoder_layer_is_that_of_torch(norm_first: bool, activation: Any) -> None:
    ours = DecoderLayer(plain(norm_first=norm_first, activation=activation), memory_width=8)
    theirs = nn.TransformerDecoderLayer(8, 2, 12, 0.0, activation, norm_first=norm_first, batch_first=True)
    copy_attention(ours.self_attention, theirs.self_attn)
    copy_attention(ours.cross_attention, theirs.multihead_attn)
    theirs.norm1, theirs.norm2, theirs.norm3 = ours.self_part.norm, ours.cross_part.norm, ours.forward_part.norm
    theirs.linear1, theirs.linear2 = ours.feed_forward.inner, ours.feed_forward.outer
    x_BTD, memory_BSD = torch.randn(2, 4, 8), torch.randn(2, 5, 8)
    later_TS = causal_bias(4, like=x_BTD)
    expected = theirs(x_BTD, memory_BSD, tgt_mask=later_TS, memory_key_padding_mask=~VALID_BS)
    memory_bias = padding_bias(VALID_BS, x_BTD.dtype)[:, None]
    for openly in (False, True):
        y_PD, _ = ours(x_BTD.flatten(0, 1), memory_BSD.flatten(0, 1), (2, 4), later_TS, memory_bias, openly=openly)
        torch.testing.assert_close(y_PD.unflatten(0, (2, 4)), expected)


@pytest.mark.parametrize("position", ["rotary", "sinusoidal", "learned", "relative"])
def test_every_kind_of_position_tells_the_order_of_the_source(position: Any) -> None:
    settings = config.Transformer(width=8, heads=2, layers=2, feed_forward=12, position=position)
    encoder = TransformerEncoder(settings).eval()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.normal_()
    x_BSD = torch.randn(1, 5, 8)
    there, back = (encoder(x, VALID_BS[:1]).x_BSD for x in (x_BSD, x_BSD.flip(1)))
    assert (there - back.flip(1)).abs().max() > 1e-3


def test_the_context_vector_is_the_mean_over_the_real_steps() -> None:
    memory = TransformerEncoder(plain())(torch.randn(2, 5, 8), VALID_BS)
    expected = torch.stack([row[valid].mean(0) for row, valid in zip(memory.x_BSD, VALID_BS, strict=True)])
    torch.testing.assert_close(memory.context_BZ, expected)


def test_the_reported_attention_is_that_of_the_last_layer_and_of_its_heads_the_mean() -> None:
    settings = config.Transformer(width=8, heads=2, layers=2, feed_forward=12, dropout=0.0)
    decoder, memory = (
        TransformerDecoder(settings, memory_width=8),
        TransformerEncoder(plain())(torch.randn(2, 5, 8), VALID_BS),
    )
    x_BTD = torch.randn(2, 4, 8)
    expected = decoder(x_BTD, memory, attention=True).attention_BTS
    with torch.no_grad():
        nn.init.normal_(decoder.layers[1].cross_attention.out.weight)  # after the weights: it cannot change them
        torch.testing.assert_close(decoder(x_BTD, memory, attention=True).attention_BTS, expected)
        nn.init.normal_(decoder.layers[1].cross_attention.query.weight)
        assert not torch.allclose(decoder(x_BTD, memory, attention=True).attention_BTS, expected)
