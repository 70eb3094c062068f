"""What the engines for CPUs can express, told from the settings alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seqsmith import config

LONGEST = 4096
"""Steps of an answer by CTranslate2, and those for which positions that are added are written down for it."""


def needs_torch(search: Mapping[str, Any]) -> bool:
    """Whether these settings of `[search]` ask for what torch alone has: draws, or a language model."""
    return bool(search.get("sample") or search.get("language_model"))


def ctranslate2_lacks(settings: config.Settings) -> str | None:
    """Why CTranslate2 cannot run a model, or None."""
    model = settings.model
    encoder, decoder = model.encoder, model.decoder
    if not isinstance(encoder, config.Transformer) or not isinstance(decoder, config.Transformer):
        return "it runs Transformers only"
    if settings.source.kind != "text" or settings.target.kind != "text":
        return "it takes text only"
    if model.copy_source:
        return "it has no copy outlet"
    for side in (encoder, decoder):
        if side.position == "relative":
            return "it has no relative positions of our kind"
        if side.position != "rotary" and max(settings.data.longest_source, settings.data.longest_target) > LONGEST:
            return f"its table of positions ends at {LONGEST:,}"
    if (encoder.width, encoder.norm) != (decoder.width, decoder.norm):
        return "it wants an encoder and a decoder of one width and one kind of norm"
    return None


def onnx_lacks(settings: config.Settings) -> str | None:
    """Why our ONNX graphs cannot express a model, or None."""
    if settings.source.kind != "text" or settings.target.kind != "text":
        return "it takes text only"
    if not isinstance(settings.model.encoder, config.RecurrentEncoder | config.Transformer):
        return "it has no encoder of this kind"
    if isinstance(settings.model.encoder, config.RecurrentEncoder) and settings.model.encoder.pyramid:
        return "it has no pyramid of layers"
    if isinstance(settings.model.decoder, config.RecurrentDecoder) and settings.model.decoder.coverage:
        return "its attention has no coverage"
    return "it has no copy outlet" if settings.model.copy_source else None
