"""Frames of mean 0 and deviation 1 in each channel: over the training set, or over each recording by itself.

Over a recording it takes away the voice's and the microphone's own colour, which helps where speakers are few; over the
training set it keeps how loud and lively a recording is, unless that is taken away before. What a recording is itself
normalised by are its frames that sound, so that silence before, after or in it leaves the sound of its words alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqsmith.errors import UserError

FLOOR = 1e-3  # a channel that hardly moves is not blown up
LOUD_FRAMES = 10  # a tenth of a second: no click is as long and no word shorter
SOUNDING = 9.2  # natural logarithms below the loudest tenth, 40 dB: words are above, digital silence far below
QUIETEST = 11.5  # 50 dB


@dataclass(frozen=True, eq=False)
class Normalisation:
    """Mean and deviation of each channel."""

    mean_C: NDArray[np.float64]
    deviation_C: NDArray[np.float64]

    def __call__(self, frame_LC: NDArray[np.float32]) -> NDArray[np.float32]:
        normal_LC: NDArray[np.float32] = ((frame_LC - self.mean_C) / self.deviation_C).astype(np.float32)
        return normal_LC

    def inverse(self, normal_LC: NDArray[np.float32]) -> NDArray[np.float32]:
        """What `__call__` was given."""
        frame_LC: NDArray[np.float32] = (normal_LC * self.deviation_C + self.mean_C).astype(np.float32)
        return frame_LC

    def save(self, path: Path) -> None:
        form = {"mean": self.mean_C.tolist(), "deviation": self.deviation_C.tolist()}
        path.write_text(json.dumps(form) + "\n", encoding="utf-8")

    def digest_bytes(self) -> bytes:
        """What it depends on, for a digest."""
        return self.mean_C.tobytes() + self.deviation_C.tobytes()

    @classmethod
    def open(cls, path: Path) -> Normalisation:
        try:
            form = json.loads(path.read_text(encoding="utf-8"))
            mean, deviation = (np.array(form[name], np.float64) for name in ("mean", "deviation"))
        except (OSError, ValueError, KeyError, TypeError):
            raise UserError(f"{path}: damaged: no mean and deviation in it. Copy or train the model again.") from None
        if mean.ndim != 1 or mean.shape != deviation.shape or not (deviation > 0).all():
            raise UserError(f"{path}: damaged: mean and deviation do not fit. Copy or train the model again.")
        return cls(mean, deviation)


def learnt(recordings: Iterable[NDArray[np.float32]]) -> Normalisation:
    """Over all frames of the recordings, in one pass."""
    count, total_C, square_C = 0, np.zeros(1), np.zeros(1)
    for frame_LC in recordings:
        exact_LC = frame_LC.astype(np.float64)
        count += len(exact_LC)
        total_C = total_C + exact_LC.sum(0)
        square_C = square_C + np.square(exact_LC).sum(0)
    mean_C = total_C / count
    variance_C = np.maximum(square_C / count - np.square(mean_C), 0.0)
    return Normalisation(mean_C, np.maximum(np.sqrt(variance_C), FLOOR))


def heard(frame_LC: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Log mel frames in which nothing is far below the recording's loudest tenth of a second, and which of them sound.

    The logarithm of digital silence is 80 dB and more below that, where nothing was ever heard in training.
    """
    level_L = frame_LC.mean(1)
    tenth = min(LOUD_FRAMES, len(level_L))
    loudest = float(np.convolve(level_L, np.ones(tenth) / tenth, mode="valid").max())
    floored_LC: NDArray[np.float32] = np.maximum(frame_LC, np.float32(loudest - QUIETEST))
    return floored_LC, level_L > loudest - SOUNDING


def own(frame_LC: NDArray[np.float32], sounding_L: NDArray[np.bool_]) -> NDArray[np.float32]:
    """A recording normalised by those of its own frames that sound."""
    return learnt([frame_LC[sounding_L]])(frame_LC)


def levelled(frame_LC: NDArray[np.float32], sounding_L: NDArray[np.bool_], *, cepstra: bool) -> NDArray[np.float32]:
    """A recording as loud and as lively as any other: mean 0 and deviation 1 of all log mel bins, or of c0, that sound.

    One mean and one deviation for all channels leave the colour of its sounds as it is.
    """
    loudness = frame_LC[sounding_L, :1] if cepstra else frame_LC[sounding_L]
    mean, deviation = loudness.mean(dtype=np.float64), max(loudness.std(dtype=np.float64), FLOOR)
    mean_C = np.zeros(frame_LC.shape[1])
    mean_C[: loudness.shape[1]] = mean
    level_LC: NDArray[np.float32] = ((frame_LC - mean_C) / deviation).astype(np.float32)
    return level_LC
