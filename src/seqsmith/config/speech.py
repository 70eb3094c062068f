"""The settings of speech: how recordings become frames, and how training makes new ones of them.

A field whose default is None is chosen from the data by the rules in `train/speech_recipe.py`, unless its comment gives
None a meaning of its own.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from seqsmith.config.table import Count, Fraction, Table, check_heads, kind_from_string


class Augment(Table):
    """What training changes in each recording anew, seeded by (seed, epoch, example)."""

    tempo: Annotated[float, Field(ge=0.0, le=0.5)] = 0.1  # frames come up to so much faster or slower; 0: as they are
    bend: Annotated[float, Field(ge=0.0, le=0.2)] = 0.0  # share of the axis of frequency that is warped by (VTLP)
    bands: Count = 2  # of channels set to zero (Park et al. 2019)
    widest_band: Fraction = 0.2  # share of the channels
    spans: Count = 2  # of time set to zero
    longest_span: Fraction = 0.1  # share of the frames
    # the following change the recording itself, which is then read and analysed anew in every epoch
    speeds: tuple[Annotated[float, Field(ge=0.5, le=2.0)], ...] = ()  # as 0.9, 1.0, 1.1 (Ko et al. 2015)
    noise: Annotated[float, Field(ge=0.0)] = 0.0  # decibels that the strongest white noise stays below; 0: none
    gain: Annotated[float, Field(ge=0.0, le=40.0)] = 0.0  # decibels up to which a recording gets louder or softer

    @property
    def of_recordings(self) -> bool:
        """Whether the samples themselves are changed."""
        return bool(self.speeds or self.noise or self.gain)


class SpeechSource(Table):
    """Recordings (WAV, FLAC, OGG, MP3) or ready-made matrices of features (.npy, .npz)."""

    kind: Literal["speech"] = "speech"
    rate_hz: Annotated[int, Field(ge=4_000, le=192_000)] | None = None  # what recordings are brought to
    bins: Annotated[int, Field(ge=4, le=256)] | None = None  # of the mel filter bank
    window: Literal["povey", "hamming"] = "povey"
    deltas: Annotated[int, Field(ge=0, le=2)] | None = None  # derivatives beside each frame
    normalise: Literal["none", "global", "level", "recording"] | None = None
    channels: PositiveInt | None = None  # None: found from the data; of ready-made features, or the bins
    longest_seconds: Annotated[float, Field(gt=0.0)] = 3600.0  # a longer recording is refused
    longest_piece: Annotated[int, Field(ge=2)] | None = None  # frames answered at once; more are cut at silences
    cepstra: bool = False  # channels are a cosine transform of log mel bins, c0 first
    augment: Augment = Augment()


class Conformer(Table):
    """A Conformer encoder (Gulati et al. 2020)."""

    kind: Literal["conformer"] = "conformer"
    layers: PositiveInt = 4
    width: PositiveInt = 144
    heads: PositiveInt = 4
    feed_forward: PositiveInt = 576
    kernel: PositiveInt = 15  # steps that the convolution sees; odd
    position: Literal["rotary", "sinusoidal", "learned", "relative"] = "rotary"
    longest: PositiveInt = 1024  # steps that learned positions reach
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    attention_dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0

    @model_validator(mode="after")
    def _fits(self) -> Conformer:
        check_heads(self.width, self.heads)
        if self.position == "rotary" and self.width // self.heads % 2:
            raise ValueError(f"rotary positions need an even width per head, found {self.width}/{self.heads}")
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel} has no middle: give an odd number")
        return self


def text_if_nothing_else(value: object) -> object:
    """A source that names no kind is text."""
    value = kind_from_string(value)
    return {"kind": "text", **value} if isinstance(value, dict) and "kind" not in value else value


SourceKind = BeforeValidator(text_if_nothing_else)
