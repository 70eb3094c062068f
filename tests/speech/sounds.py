"""Small recordings for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile


def tone(seconds: float = 0.5, *, rate_hz: int = 16_000, hz: float = 440.0, level: float = 0.3) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate_hz: int = 16_000, **options: object) -> str:
    soundfile.write(path, samples, rate_hz, **options)
    return str(path)
