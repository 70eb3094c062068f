"""Settings to models: what is shared is shared, and what does not fit is said."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from seqsmith import config
from seqsmith.batch import Batch, tokens
from seqsmith.errors import UserError
from seqsmith.model.build import build_model
from seqsmith.model.outlet import CopyOutlet, VocabularyOutlet
from seqsmith.model.seq2seq import Seq2Seq
from seqsmith.objective.token import token_loss

RECURRENT = {"encoder": config.RecurrentEncoder(width=8), "decoder": config.RecurrentDecoder(width=8)}
TRANSFORMER = {
    "encoder": config.Transformer(width=8, heads=2, feed_forward=12, layers=1),
    "decoder": config.Transformer(width=8, heads=2, feed_forward=12, layers=1),
}
BATCH = Batch(tokens([[4, 5, 3], [6, 3]]), tokens([[4, 3], [5, 4, 3]]), torch.arange(2))


def build(source_size: int = 9, target_size: int = 9, **settings: Any) -> Seq2Seq:
    chosen = {"embedding": 8, "share_embeddings": "none", **RECURRENT, **settings}
    target_of_source = list(range(source_size)) if settings.get("copy_source") else None
    return build_model(
        config.Model(**chosen), source_size=source_size, target_size=target_size, target_of_source=target_of_source
    )


def mistake(**settings: Any) -> str:
    with pytest.raises(UserError) as caught:
        build(**settings)
    return str(caught.value)


@pytest.mark.parametrize("share", ["source", "all"])
def test_one_embedding_for_both_sides_needs_one_vocabulary(share: str) -> None:
    assert mistake(source_size=9, target_size=7, share_embeddings=share) == (
        f"model.share_embeddings: '{share}' needs one vocabulary, found 9 source and 7 target symbols. "
        "Set joint_vocabulary = true, or share only 'target'."
    )


def test_dot_attention_needs_equal_widths() -> None:
    decoder = config.RecurrentDecoder(width=12, attention="dot")
    assert mistake(decoder=decoder) == (
        "model.decoder.attention: 'dot' needs an encoder as wide as the decoder, found 8 and 12. "
        "Make them equal, or take 'general'."
    )


def test_a_copied_state_needs_one_like_it() -> None:
    told = (
        "model.decoder.start: 'copy' needs an encoder of the decoder's kind and width, found a state of {} numbers "
        "where {} are wanted. Make them alike, or take 'bridge'."
    )
    copying = config.RecurrentDecoder(width=8, start="copy")
    assert mistake(decoder=copying.model_copy(update={"width": 12})) == told.format(16, 24)
    assert mistake(decoder=copying.model_copy(update={"kind": "gru"})) == told.format(16, 8)
    assert mistake(decoder=copying, encoder=TRANSFORMER["encoder"]) == told.format(8, 16)
    gru = config.RecurrentEncoder(kind="gru", width=16)
    assert mistake(decoder=copying, encoder=gru) == told.format(16, 16)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_a_copied_state_is_what_the_bridge_of_the_identity_gives(kind: str) -> None:
    encoder = config.RecurrentEncoder(kind=kind, width=8, layers=2)
    decoder = config.RecurrentDecoder(kind=kind, width=8, layers=2, dropout=0.0, input_feeding=True)
    bridged = build(encoder=encoder, decoder=decoder).eval()
    copying = build(encoder=encoder, decoder=decoder.model_copy(update={"start": "copy"})).eval()
    weights = bridged.state_dict()
    one = torch.eye(copying.encoder.context_width)
    weights["decoder.bridge.weight"].copy_(torch.cat([one, one]))
    weights["decoder.bridge.bias"].zero_()
    copying.load_state_dict({name: weight for name, weight in weights.items() if "bridge" not in name})
    assert copying(BATCH).scores.logits().allclose(bridged(BATCH).scores.logits(), atol=1e-6)


def test_a_transformer_shares_only_an_embedding_of_its_own_width() -> None:
    assert mistake(**TRANSFORMER, embedding=6, share_embeddings="target") == (
        "model.embedding: 6 differs from the decoder's width 8, so output and embedding cannot be shared. "
        "Leave embedding out, or set model.share_embeddings = 'none'."
    )


@pytest.mark.parametrize("kinds", [RECURRENT, TRANSFORMER], ids=["recurrent", "transformer"])
@pytest.mark.parametrize(("share", "tables"), [("none", 3), ("source", 2), ("target", 2), ("all", 1)])
def test_shared_embeddings_are_one_table(kinds: dict[str, Any], share: str, tables: int) -> None:
    model = build(**kinds, share_embeddings=share)
    assert isinstance(model.outlet, VocabularyOutlet)
    source, target = model.source_inlet.embedding.weight, model.target_inlet.embedding.weight
    assert len({source, target, model.outlet.weight}) == tables
    assert (target is model.outlet.weight) == (share in ("target", "all"))
    assert (source is target) == (share in ("source", "all"))


def test_a_recurrent_decoder_of_another_width_speaks_through_a_shared_embedding() -> None:
    for attention in ("none", "general"):
        decoder = config.RecurrentDecoder(width=12, attention=attention)
        model = build(decoder=decoder, embedding=6, share_embeddings="target")
        assert model(BATCH).scores.logits().shape == (5, 9)


def test_a_transformer_with_a_narrow_embedding_widens_it() -> None:
    model = build(**TRANSFORMER, embedding=6)
    assert model.source_inlet(torch.tensor([[4, 5]])).shape == (1, 2, 8)
    assert model(BATCH).scores.logits().shape == (5, 9)


def test_deep_encoders_go_with_shallow_decoders() -> None:
    deep = config.Transformer(width=8, heads=2, feed_forward=12, layers=5)
    model = build(encoder=deep, decoder=TRANSFORMER["decoder"])
    assert (len(model.encoder.layers), len(model.decoder.layers)) == (5, 1)  # type: ignore[attr-defined]


def test_the_copy_outlet_stands_around_the_shared_vocabulary() -> None:
    model = build(share_embeddings="all", copy_source=True)
    assert isinstance(model.outlet, CopyOutlet)
    assert model.outlet.vocabulary.weight is model.source_inlet.embedding.weight


@pytest.mark.parametrize("kinds", [RECURRENT, TRANSFORMER], ids=["recurrent", "transformer"])
@pytest.mark.parametrize("share", ["none", "all"])
def test_a_new_model_starts_near_the_even_distribution(kinds: dict[str, Any], share: str) -> None:
    wide = {side: settings.model_copy(update={"width": 64}) for side, settings in kinds.items()}
    model = build(source_size=500, target_size=500, **wide, embedding=64, share_embeddings=share).eval()
    assert BATCH.target is not None
    loss = token_loss(model(BATCH).scores, BATCH.target.id_P, smoothing=0.0)
    assert loss.loss_nats.item() / loss.count == pytest.approx(math.log(500), abs=1.5)
