"""Log-mel filter banks, as Kaldi makes them (Povey et al. 2011): samples to frames of 25 ms every 10 ms.

Each frame loses its mean, is pre-emphasised, windowed and turned into a power spectrum; triangles that overlap by half
and stand evenly on the mel scale (1127 ln(1 + f / 700), O'Shaughnessy 1987) sum it up; then the logarithm. Equal to
kaldi-native-fbank without dither, within 1e-3 where a bin holds more than the rounding of single precision: some 80 dB
below the loudest of the frame. Here the transform is of double precision, so that empty bins are empty. Nothing is
measured against a maximum over the recording or the batch, so a frame depends on its own 25 ms alone.

Axes: X samples, W samples of a window, P points of the spectrum.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, assert_never

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqsmith.errors import UserError

WINDOW_SECONDS, HOP_SECONDS = 0.025, 0.010
PREEMPHASIS = 0.97
LOWEST_HZ = 20.0
FULL_SCALE = 32_768.0  # Kaldi counts in units of 16-bit samples
SMALLEST = float(torch.finfo(torch.float32).eps)


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
    with torch.autocast("cpu", enabled=False):  # who trains in half precision may be the one that asks
        return _log_mel(sample_X, bank)


def _log_mel(sample_X: NDArray[np.float32], bank: FilterBank) -> NDArray[np.float32]:
    wave_LW = (torch.from_numpy(sample_X) * FULL_SCALE).unfold(0, bank.window_samples, bank.hop_samples)
    wave_LW = wave_LW - wave_LW.mean(1, keepdim=True)
    before_LW = torch.cat([wave_LW[:, :1], wave_LW[:, :-1]], dim=1)
    wave_LW = (wave_LW - PREEMPHASIS * before_LW) * _window(bank)
    power_LP = torch.fft.rfft(wave_LW.double(), n=bank.points).abs().square()
    mel_LC = power_LP[:, :-1].float() @ triangles(bank)
    frames: NDArray[np.float32] = mel_LC.clamp_min(SMALLEST).log().numpy()
    return frames


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
