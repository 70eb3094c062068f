"""Recordings that never were: masks, another tempo, noise, gain; each a pure function of its input and a generator.

- `masked`: bands of frequency and spans of time are set to zero, the mean of normalised frames (SpecAugment, Park et
  al. 2019, section 2, without its time warping). The spans grow with the length of the recording (Park et al. 2020).
- `bent`: the axis of frequency is warped, as by a vocal tract of another length (VTLP, Jaitly & Hinton 2013), with a
  sine in place of their two lines.
- `stretched`: another tempo at the same pitch, by linear interpolation between frames; for ready-made features.
- `resampled`: another speed and so another pitch (Ko et al. 2015), for waveforms.
- `noisy`, `louder`: white noise at a signal-to-noise ratio, and another level.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

_COSINE_POINTS = 256  # more than there are cepstra, so that a warp of nothing changes nothing


def masked(
    frame_LC: Samples,
    random: np.random.Generator,
    *,
    bands: int,
    widest_band: float,
    spans: int,
    longest_span: float,
) -> Samples:
    """A copy with up to `bands` bands and `spans` spans of zeros.

    A band is at most the share `widest_band` of the channels, a span at most the share `longest_span` of the frames.
    """
    frame_LC = np.array(frame_LC, np.float32)
    length, channels = frame_LC.shape
    for _ in range(bands):
        begin, end = _piece(channels, widest_band, random)
        frame_LC[:, begin:end] = 0.0
    for _ in range(spans):
        begin, end = _piece(length, longest_span, random)
        frame_LC[begin:end] = 0.0
    return frame_LC


def _piece(whole: int, most: float, random: np.random.Generator) -> tuple[int, int]:
    size = int(random.integers(0, int(whole * most) + 1))
    begin = int(random.integers(0, whole - size + 1))
    return begin, begin + size


def bent(frame_LC: Samples, by: float, *, cepstra: bool) -> Samples:
    """What stands at u on an axis of frequency from 0 to 1 comes from u + by sin(pi u); edges stay where they are.

    Linear interpolation between mel bins; of cepstra, which are a cosine transform of log mel bins, a matrix (Pitz &
    Ney 2005): the transform of the warped cosines.
    """
    channels = frame_LC.shape[1]
    points = _COSINE_POINTS if cepstra else channels
    u_X = (np.arange(points) + 0.5) / points
    from_X = u_X + by * np.sin(np.pi * u_X)
    if cepstra:
        order_C = np.arange(channels)
        cosine_XC = np.cos(np.pi * u_X[:, None] * order_C) * np.where(order_C, 2.0, 1.0) / points
        matrix_CC = cosine_XC.T @ np.cos(np.pi * from_X[:, None] * order_C)
        return frame_LC @ matrix_CC.T.astype(np.float32)
    place_C = np.clip(from_X * points - 0.5, 0, channels - 1)
    below_C = np.minimum(place_C.astype(np.int64), max(channels - 2, 0))
    above_C = np.minimum(below_C + 1, channels - 1)
    share_C = (place_C - below_C).astype(np.float32)
    between: Samples = frame_LC[:, below_C] * (1 - share_C) + frame_LC[:, above_C] * share_C
    return between.astype(np.float32)


def stretched(frame_LC: Samples, speed: float) -> Samples:
    """The same frames at `speed` times the tempo."""
    length = len(frame_LC)
    place = np.linspace(0, length - 1, stretched_length(length, speed))
    below = np.minimum(place.astype(np.int64), length - 1)
    above = np.minimum(below + 1, length - 1)
    share = (place - below).astype(np.float32)[:, None]
    between: Samples = frame_LC[below] * (1 - share) + frame_LC[above] * share
    return between.astype(np.float32)


def stretched_length(length: int, speed: float) -> int:
    """How many frames `stretched` makes: round(L / speed), and at least one."""
    return max(1, round(length / speed))


def noisy(sample_X: Samples, random: np.random.Generator, *, quietest_decibels: float) -> Samples:
    """With white noise, as far below the signal as a number drawn from `quietest_decibels` to 20 dB more says."""
    ratio = random.uniform(quietest_decibels, quietest_decibels + 20.0)
    level = float(np.sqrt(np.mean(np.square(sample_X, dtype=np.float64)))) * 10 ** (-ratio / 20)
    noise_L = random.standard_normal(len(sample_X), np.float32) * np.float32(level)
    return sample_X + noise_L


def louder(sample_X: Samples, random: np.random.Generator, *, most_decibels: float) -> Samples:
    """At another level: up to `most_decibels` more or less."""
    return sample_X * np.float32(10 ** (random.uniform(-most_decibels, most_decibels) / 20))
