"""What the user leaves out, chosen from recordings: every rule of thumb for speech, each with its reason.

The numbers come from the experiments in `docs/experiments.md`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seqsmith.speech.codec import FRAMES_PER_SECOND
from seqsmith.speech.survey import Survey
from seqsmith.train.recipe import LAYER_NORM, Recipe, Side, heads_divide_the_width, pace, spelt_out

_STEPS_A_TOKEN = 2.5  # the least that the encoder should have, so that CTC finds room for blanks
_SHORT_SECONDS = 2.0
_FEW_CHANNELS = 40  # cepstra, which say little of where a sound is going


@dataclass(frozen=True)
class _Size:
    """A model and a length of training that suit an amount of speech."""

    most_hours: float
    most_symbols: float  # that targets are made of
    layers: int
    width: int
    decoder: int
    updates: int
    batch_frames: int
    rate: float
    layer_norm: bool = True


_SIZES = (
    _Size(1.0, 16, 2, 128, 128, 600, 4_000, 0.002, layer_norm=False),  # a few sounds: tones, commands
    _Size(10.0, 16, 2, 192, 128, 1_800, 5_000, 0.002, layer_norm=False),  # the same, often: connected digits
    _Size(10.0, math.inf, 3, 320, 256, 9_000, 3_000, 0.0015),
    _Size(100.0, math.inf, 4, 512, 512, 30_000, 20_000, 0.002),
    _Size(math.inf, math.inf, 5, 640, 512, 100_000, 60_000, 0.002),
)


def choose_speech(found: Survey, target: Side, *, table: Mapping[str, Any]) -> Recipe:
    """All choices that can be made before anything is encoded."""
    recipe = Recipe(spelt_out(table))
    amount = f"{found.recordings:,} recordings of {found.mean_seconds:.1f} seconds, {found.hours:.1f} hours"
    _frames(recipe, found)
    words = _are_words(target)
    _variations(recipe, found, words=words)
    kind = _tokeniser(recipe, found)
    tokens = target.tokens(kind)
    each = FRAMES_PER_SECOND * found.mean_seconds / tokens
    reason = f"about {each:.1f} frames to a target token"
    recipe.take("model.subsample", next((f for f in (4, 2) if each / f >= _STEPS_A_TOKEN), 1), reason)
    spaced = target.statistics.spaced >= 0.2
    recipe.take("train.score", "wer" if spaced else "cer", "words are counted" if spaced else "no words to count")
    symbols = len(target.statistics.alphabet)
    size = next(one for one in _SIZES if found.hours <= one.most_hours and symbols <= one.most_symbols)
    _model(recipe, size, amount, words=words)
    _training(recipe, size, found, amount)
    return recipe


def _frames(recipe: Recipe, found: Survey) -> None:
    if found.rate_hz is None:
        recipe.take("source.channels", found.channels, "ready-made features have so many")
        recipe.take("source.rate_hz", 16_000, "no recording is read")
        few = (found.channels or 0) <= _FEW_CHANNELS
        cepstra = recipe.take("source.cepstra", few, "few channels" if few else "many channels")
        recipe.take("source.deltas", 2 if few else 0, "few channels: cepstra" if few else "many channels")
    else:
        rate = recipe.take("source.rate_hz", min(16_000, found.rate_hz), f"most are at {found.rate_hz:,} Hz")
        bins = recipe.take("source.bins", 80 if rate >= 16_000 else 64, f"{rate:,} Hz")
        recipe.take("source.channels", bins, "a channel for each mel bin")
        recipe.take("source.deltas", 0, "a filter bank shows where sounds go")
        cepstra = False
    if cepstra:
        recipe.take("source.normalise", "global", "cepstra come from one hand")
    elif found.mean_seconds < _SHORT_SECONDS:
        recipe.take("source.normalise", "level", "the mean of a short recording is what was said")
    else:
        recipe.take("source.normalise", "recording", "microphones and voices differ")
    recipe.take("data.longest_source", 30 * FRAMES_PER_SECOND, "30 seconds")


def _are_words(target: Side) -> bool:
    """Whether answers are mostly letters: said by voices, and not tones, of which a digit or a sign is the name."""
    text = "".join(target.sample)
    return sum(map(str.isalpha, text)) > len(text) / 2


def _variations(recipe: Recipe, found: Survey, *, words: bool) -> None:
    if found.hours >= 10:
        return
    recipe.take("source.augment.tempo", 0.15, "little speech: what was heard once is heard in other tempos")
    if words:
        short = found.mean_seconds < _SHORT_SECONDS
        bend = 0.06 if short else 0.04
        reason = "little speech: few voices, so their spectra are bent into others"
        recipe.take("source.augment.bend", bend, f"{reason}; more where recordings are short" if short else reason)
    else:
        recipe.take("source.augment.bend", 0.0, "no words: sounds may be told apart by their pitch")


def _tokeniser(recipe: Recipe, found: Survey) -> Any:
    if found.hours < 50:
        kind = recipe.take("target.tokeniser.kind", "characters", "little speech: letters are heard often enough")
    else:
        kind = recipe.take("target.tokeniser.kind", "sentencepiece", f"{found.hours:.0f} hours are enough for pieces")
        if kind == "sentencepiece":
            recipe.take("target.tokeniser.vocabulary", 1_000, "short pieces keep close to the sound")
    recipe.take("target.normalise", "none", "answers are written as in the data")
    recipe.take("joint_vocabulary", False, "recordings have no vocabulary")
    return kind


def _model(recipe: Recipe, size: _Size, amount: str, *, words: bool) -> None:
    family = recipe.take("model.family", "lstm", amount)
    for side, layers, width in (("encoder", size.layers, size.width), ("decoder", 1, size.decoder)):
        kind = recipe.take(f"model.{side}.kind", recipe.said(f"model.{side}.kind") or family, "the model's family")
        recurrent = kind in ("lstm", "gru")
        recipe.take(f"model.{side}.layers", layers if recurrent else 6 if side == "encoder" else 3, amount)
        recipe.take(f"model.{side}.width", width if recurrent else 256 if size.most_hours > 10 else 144, amount)
        recipe.take(f"model.{side}.dropout", (0.3 if words else 0.1) if recurrent else 0.15, amount)
        if recurrent and size.layer_norm:
            recipe.take(f"model.{side}.layer_norm", True, LAYER_NORM)
        if not recurrent and side == "decoder":
            recipe.take("model.decoder.feed_forward", 4 * recipe.value("model.decoder.width"), "four times the width")
        if not recurrent and side == "encoder":
            recipe.take("model.encoder.feed_forward", 4 * recipe.value("model.encoder.width"), "four times the width")
    if recipe.value("model.decoder.kind") in ("lstm", "gru"):
        attention = "multihead" if size.layer_norm and heads_divide_the_width(recipe) else "general"
        recipe.take("model.decoder.attention", attention, "a product of matrices, so a long recording costs little")
        recipe.take("model.embedding", 128, "letters need little")
        recipe.take("model.share_embeddings", "none", "few symbols")
    else:
        recipe.take("model.embedding", recipe.value("model.decoder.width"), "the decoder's width")
        recipe.take("model.share_embeddings", "target", "what is read and what is written are the same words")
    weight = recipe.take("model.ctc", 0.5, "CTC leads the attention along the recording")
    match weight:
        case 0:
            recipe.take("search.ctc", 0.0, "there is no CTC head")
        case 1:
            recipe.take("search.ctc", 1.0, "the decoder is not trained")
        case _:
            recipe.take("search.ctc", 0.6, "the head keeps the decoder from skipping and repeating")
    recipe.take("search.beam", 8, "usual for speech")
    recipe.take("search.batch_tokens", 24_000, "there are many frames to a word")
    recipe.take("search.length_penalty", 1.0, "else short answers win, for each letter costs")


def _training(recipe: Recipe, size: _Size, found: Survey, amount: str) -> None:
    accumulate = recipe.said("train.accumulate") or 1
    batch = recipe.take("train.batch_tokens", max(1, size.batch_frames // accumulate), f"frames of a batch: {amount}")
    frames = found.recordings * found.mean_seconds * FRAMES_PER_SECOND
    each = max(1, round(frames * 1.05 / batch / accumulate))
    if recipe.said("train.updates") is None:
        epochs = recipe.take("train.epochs", max(6, round(size.updates / each)), f"about {size.updates:,} updates")
        updates = epochs * each
    else:
        updates = recipe.said("train.updates")
    recurrent = recipe.value("model.encoder.kind") in ("lstm", "gru")
    recipe.take("train.rate", size.rate if recurrent else 0.001, "a recurrent encoder" if recurrent else "attention")
    pace(recipe, each=each, updates=updates)
    recipe.take("train.early_stop", 0, "CTC learns nothing for long and then much")
