"""Settings to a model: the one place that knows every kind."""

from __future__ import annotations

from typing import assert_never

from torch import nn

from seqsmith import config
from seqsmith.errors import UserError
from seqsmith.model.inlet import TokenInlet, new_embedding
from seqsmith.model.outlet import CopyOutlet, VocabularyOutlet
from seqsmith.model.recurrent import RecurrentDecoder, RecurrentEncoder
from seqsmith.model.seq2seq import Seq2Seq
from seqsmith.model.transformer import TransformerDecoder, TransformerEncoder


def build_model(
    settings: config.Model, *, source_size: int, target_size: int, target_of_source: list[int] | None = None
) -> Seq2Seq:
    """A new model with random weights for vocabularies of these sizes (special ids included).

    `target_of_source` maps source ids to the target ids that look the same; the copy outlet needs it. Raises UserError
    for settings that do not fit each other.
    """
    assert settings.encoder is not None
    assert settings.decoder is not None
    assert settings.embedding is not None
    source_embedding = new_embedding(source_size, settings.embedding)
    target_embedding = source_embedding
    if settings.share_embeddings != "all":
        target_embedding = new_embedding(target_size, settings.embedding)
    elif source_size != target_size:
        raise UserError(
            f"model.share_embeddings: 'all' needs one vocabulary, found {source_size} source and {target_size} target "
            "symbols. Set joint_vocabulary = true, or share only 'target'."
        )
    source_inlet = _inlet(source_embedding, settings.encoder)
    encoder = _encoder(settings.encoder, source_inlet.width)
    target_inlet = _inlet(target_embedding, settings.decoder)
    tied = None if settings.share_embeddings == "none" else target_embedding
    decoder = _decoder(settings, encoder, target_inlet.width, tied=tied is not None)
    outlet: VocabularyOutlet | CopyOutlet
    outlet = vocabulary = VocabularyOutlet(target_size, decoder.output_width, tied=tied)
    if settings.copy_source:
        assert target_of_source is not None
        outlet = CopyOutlet(vocabulary, decoder.output_width, target_of_source=target_of_source)
    return Seq2Seq(
        source_inlet=source_inlet, encoder=encoder, target_inlet=target_inlet, decoder=decoder, outlet=outlet
    )


def _inlet(
    embedding: nn.Embedding, settings: config.RecurrentEncoder | config.RecurrentDecoder | config.Transformer
) -> TokenInlet:
    transformer = isinstance(settings, config.Transformer)
    return TokenInlet(embedding, width=settings.width if transformer else None, scaled=transformer)


def _encoder(
    settings: config.RecurrentEncoder | config.Transformer, input_width: int
) -> RecurrentEncoder | TransformerEncoder:
    match settings:
        case config.RecurrentEncoder():
            return RecurrentEncoder(settings, input_width)
        case config.Transformer():
            return TransformerEncoder(settings)
    assert_never(settings)


def _decoder(
    settings: config.Model, encoder: RecurrentEncoder | TransformerEncoder, input_width: int, *, tied: bool
) -> RecurrentDecoder | TransformerDecoder:
    assert settings.embedding is not None
    match settings.decoder:
        case config.RecurrentDecoder():
            if settings.decoder.attention == "dot" and encoder.width != settings.decoder.width:
                raise UserError(
                    f"model.decoder.attention: 'dot' needs an encoder as wide as the decoder, found "
                    f"{encoder.width} and {settings.decoder.width}. Make them equal, or take 'general'."
                )
            return RecurrentDecoder(
                settings.decoder,
                input_width=input_width,
                memory_width=encoder.width,
                context_width=encoder.context_width,
                output_width=settings.embedding if tied else settings.decoder.width,
            )
        case config.Transformer():
            if tied and settings.embedding != settings.decoder.width:
                raise UserError(
                    f"model.embedding: {settings.embedding} differs from the decoder's width "
                    f"{settings.decoder.width}, so output and embedding cannot be shared. "
                    "Leave embedding out, or set model.share_embeddings = 'none'."
                )
            return TransformerDecoder(settings.decoder, memory_width=encoder.width)
        case None:
            raise AssertionError("the decoder is resolved before a model is built")
    assert_never(settings.decoder)
