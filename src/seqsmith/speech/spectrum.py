"""Log-mel filter banks, as Kaldi makes them (Povey et al. 2011): samples to frames of 25 ms every 10 ms.

Each frame loses its mean, is pre-emphasised, windowed and turned into a power spectrum; triangles that overlap by half
and stand evenly on the mel scale (1127 ln(1 + f / 700), O'Shaughnessy 1987) sum it up; then the logarithm. Equal to
kaldi-native-fbank without dither within 1e-3, down to bins that hold nothing but its rounding (fourier.py): up to the
power of each point all is added in its order. Nothing is measured against a maximum over the recording or the batch, so
a frame depends on its own 25 ms alone.

Axes: X samples, L frames, W samples of a window, P points of the spectrum.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, assert_never

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from seqsmith.errors import UserError
from seqsmith.speech.fourier import power_spectrum

WINDOW_SECONDS, HOP_SECONDS = 0.025, 0.010
PREEMPHASIS = 0.97
LOWEST_HZ = 20.0
FULL_SCALE = 32_768.0  # Kaldi counts in units of 16-bit samples
SMALLEST = float(torch.finfo(torch.float32).eps)
_FRAMES_AT_ONCE = 512  # so that an hour needs no more memory than a second, and a step stays in the caches


@dataclass(frozen=True)
class FilterBank:
    """How a spectrum is taken."""

    rate_hz: int = 16_000
    bins: int = 80
    window: Literal["povey", "hamming"] = "povey"

    @property
    def window_samples(self) -> int:
        return int(self.rate_hz * WINDOW_SECONDS)

    @property
    def hop_samples(self) -> int:
        return int(self.rate_hz * HOP_SECONDS)

    @property
    def points(self) -> int:
        """Samples of the Fourier transform: the next power of two."""
        return 1 << (self.window_samples - 1).bit_length()


def log_mel(sample_X: NDArray[np.float32], bank: FilterBank) -> NDArray[np.float32]:
    """Samples at full scale 1 -> frames [1 + (L - window) // hop, bins]. Raises UserError where not one frame fits."""
    if len(sample_X) < bank.window_samples:
        raise UserError(
            f"a recording of {len(sample_X) / bank.rate_hz:.3f} seconds is shorter than one frame of {WINDOW_SECONDS} "
            "seconds: leave it out."
        )
    wave_LW = (torch.from_numpy(sample_X) * FULL_SCALE).unfold(0, bank.window_samples, bank.hop_samples)
    with torch.autocast("cpu", enabled=False):  # who trains in half precision may be the one that asks
        blocks = [_log_mel(block_LW.T, bank).numpy() for block_LW in torch.split(wave_LW, _FRAMES_AT_ONCE)]
    return np.concatenate(blocks)


def _log_mel(wave_WL: Tensor, bank: FilterBank) -> Tensor:
    """Frames, samples first so that each step of the transform takes whole rows -> mel_LC."""
    wave_WL = wave_WL - _sum_in_order(wave_WL) / len(wave_WL)
    before_WL = torch.cat([wave_WL[:1], wave_WL[:-1]])
    wave_WL = (wave_WL - PREEMPHASIS * before_WL) * _window(bank)[:, None]
    power_PL = power_spectrum(functional.pad(wave_WL, (0, 0, 0, bank.points - len(wave_WL))))
    return (power_PL.T @ triangles(bank)).clamp_min(SMALLEST).log()


def _sum_in_order(wave_WL: Tensor) -> Tensor:
    """One sample after the other in single precision; torch's own sums are nearer to the truth, not to Kaldi's."""
    return torch.from_numpy(np.add.accumulate(wave_WL.numpy())[-1])


@lru_cache(8)
def _window(bank: FilterBank) -> Tensor:
    """Povey's window is a Hann window to the power of 0.85, so that it reaches zero at its ends."""
    match bank.window:
        case "povey":
            return torch.hann_window(bank.window_samples, periodic=False, dtype=torch.float64).pow(0.85).float()
        case "hamming":
            return torch.hamming_window(bank.window_samples, periodic=False, dtype=torch.float64).float()
    assert_never(bank.window)


@lru_cache(8)
def triangles(bank: FilterBank) -> Tensor:
    """What each point of the spectrum gives to each mel bin -> weight_PC, without the point at half the rate."""
    point_P1 = _mel(torch.arange(bank.points // 2) * (bank.rate_hz / bank.points))[:, None]
    low, high = _mel(torch.tensor([LOWEST_HZ, bank.rate_hz / 2]))
    edge_E = low + (high - low) / (bank.bins + 1) * torch.arange(bank.bins + 2)
    left_C, peak_C, right_C = edge_E[:-2], edge_E[1:-1], edge_E[2:]
    rise_PC, fall_PC = (point_P1 - left_C) / (peak_C - left_C), (right_C - point_P1) / (right_C - peak_C)
    return torch.minimum(rise_PC, fall_PC).clamp_min(0.0)


def _mel(hz: Tensor) -> Tensor:
    return 1127.0 * torch.log(1.0 + hz / 700.0)
