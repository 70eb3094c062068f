"""Settings to a model: the one place that knows every kind."""

from __future__ import annotations

from typing import assert_never

from torch import nn

from seqsmith import config
from seqsmith.errors import UserError
from seqsmith.model.conformer import ConformerEncoder
from seqsmith.model.forecast import Forecast, FutureInlet, ValueInlet, ValueOutlet
from seqsmith.model.inlet import FrameInlet, TokenInlet, new_embedding
from seqsmith.model.outlet import CopyOutlet, VocabularyOutlet
from seqsmith.model.recurrent import RecurrentDecoder, RecurrentEncoder
from seqsmith.model.seq2seq import Seq2Seq
from seqsmith.model.transformer import TransformerDecoder, TransformerEncoder

EncoderSettings = config.RecurrentEncoder | config.Transformer | config.Conformer
AnyEncoder = RecurrentEncoder | TransformerEncoder | ConformerEncoder


def build_model(
    settings: config.Model,
    *,
    source_size: int,
    target_size: int,
    target_of_source: list[int] | None = None,
    channels: int | None = None,
) -> Seq2Seq:
    """A new model with random weights for vocabularies of these sizes (special ids included).

    `target_of_source` maps source ids to the target ids that look the same; the copy outlet needs it. With `channels`
    the source is frames of so many numbers and has no vocabulary. Raises UserError for settings that do not fit each
    other.
    """
    assert settings.encoder is not None
    assert settings.decoder is not None
    assert settings.embedding is not None
    source_inlet: TokenInlet | FrameInlet
    if channels is None:
        source_embedding = new_embedding(source_size, settings.embedding)
        source_inlet = _inlet(source_embedding, settings.encoder, copied=settings.copy_source)
        target_embedding = _target_embedding(settings, source_embedding, source_size, target_size)
    else:
        source_inlet = _frame_inlet(settings, channels)
        target_embedding = new_embedding(target_size, settings.embedding)
    encoder = _encoder(settings.encoder, source_inlet.width)
    target_inlet = _inlet(target_embedding, settings.decoder, copied=settings.copy_source)
    tied = target_embedding if settings.tied_output else None
    decoder = _decoder(settings, encoder, target_inlet.width, tied=tied is not None)
    outlet: VocabularyOutlet | CopyOutlet
    outlet = vocabulary = VocabularyOutlet(target_size, decoder.output_width, tied=tied)
    if settings.copy_source:
        assert target_of_source is not None
        outlet = CopyOutlet(vocabulary, decoder.output_width, target_of_source=target_of_source)
    return Seq2Seq(
        source_inlet=source_inlet,
        encoder=encoder,
        target_inlet=target_inlet,
        decoder=decoder,
        outlet=outlet,
        ctc=VocabularyOutlet(target_size, encoder.width, tied=None) if settings.ctc else None,
    )


def build_forecast(
    settings: config.Model, series: config.Series, *, channels: int, targets: int, known: int
) -> Forecast:
    """A new model with random weights for contexts of `channels` columns, of which the first `targets` are forecast."""
    assert settings.encoder is not None
    assert settings.decoder is not None
    assert series.patch is not None
    assert series.loss is not None
    source_inlet = ValueInlet(channels, known, patch=series.patch, width=settings.encoder.width)
    encoder = _encoder(settings.encoder, source_inlet.width)
    fed = targets if series.decoding == "autoregressive" else 0
    target_inlet = FutureInlet(fed, known, patch=series.patch, width=settings.decoder.width)
    decoder = _decoder(settings, encoder, target_inlet.width, tied=False)
    outlet = ValueOutlet(decoder.output_width, targets, patch=series.patch, outputs=series.loss.outputs)
    return Forecast(
        source_inlet=source_inlet, encoder=encoder, target_inlet=target_inlet, decoder=decoder, outlet=outlet
    )


def _target_embedding(
    settings: config.Model, source_embedding: nn.Embedding, source_size: int, target_size: int
) -> nn.Embedding:
    assert settings.embedding is not None
    if not settings.one_table:
        return new_embedding(target_size, settings.embedding)
    if source_size != target_size:
        raise UserError(
            f"model.share_embeddings: '{settings.share_embeddings}' needs one vocabulary, found {source_size} source "
            f"and {target_size} target symbols. Set joint_vocabulary = true, or share only 'target'."
        )
    return source_embedding


def _frame_inlet(settings: config.Model, channels: int) -> FrameInlet:
    """As wide as the encoder that follows it."""
    assert settings.encoder is not None
    if settings.copy_source:
        raise UserError("model.copy_source: copies source tokens, and recordings have none. Set it to false.")
    if settings.one_table:
        raise UserError(
            f"model.share_embeddings: '{settings.share_embeddings}' needs a source of text, found recordings. "
            "Set it to 'target' or 'none'."
        )
    return FrameInlet(channels, settings.encoder.width, factor=settings.subsample or 1)


def _inlet(embedding: nn.Embedding, settings: EncoderSettings | config.RecurrentDecoder, *, copied: bool) -> TokenInlet:
    transformer = isinstance(settings, config.Transformer | config.Conformer)
    width = settings.width if transformer else None
    return TokenInlet(embedding, width=width, scaled=transformer, copied=copied)


def _encoder(settings: EncoderSettings, input_width: int) -> AnyEncoder:
    match settings:
        case config.RecurrentEncoder():
            return RecurrentEncoder(settings, input_width)
        case config.Transformer():
            return TransformerEncoder(settings)
        case config.Conformer():
            return ConformerEncoder(settings)
    assert_never(settings)


def _check_start(decoder: config.RecurrentDecoder, encoder: AnyEncoder) -> None:
    """Raise UserError where the decoder is to copy a state that is not one of its own."""
    wanted = decoder.width * (2 if decoder.kind == "lstm" else 1)
    if decoder.start == "copy" and (encoder.width, encoder.context_width) != (decoder.width, wanted):
        raise UserError(
            f"model.decoder.start: 'copy' needs an encoder of the decoder's kind and width, found a state of "
            f"{encoder.context_width} numbers where {wanted} are wanted. Make them alike, or take 'bridge'."
        )


def _decoder(
    settings: config.Model, encoder: AnyEncoder, input_width: int, *, tied: bool
) -> RecurrentDecoder | TransformerDecoder:
    match settings.decoder:
        case config.RecurrentDecoder():
            if settings.decoder.attention == "dot" and encoder.width != settings.decoder.width:
                raise UserError(
                    f"model.decoder.attention: 'dot' needs an encoder as wide as the decoder, found "
                    f"{encoder.width} and {settings.decoder.width}. Make them equal, or take 'general'."
                )
            _check_start(settings.decoder, encoder)
            return RecurrentDecoder(
                settings.decoder,
                input_width=input_width,
                memory_width=encoder.width,
                context_width=encoder.context_width,
                output_width=settings.embedding if tied and settings.embedding else settings.decoder.width,
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
