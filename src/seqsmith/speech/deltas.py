"""How fast frames change: regression over neighbours (Furui 1986), and the same of that, beside the frames.

The window is 2 frames to each side, the edges are repeated, as in HTK and Kaldi.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WINDOW = 2


def with_deltas(frame_LC: NDArray[np.float32], order: int) -> NDArray[np.float32]:
    """The frames and their first `order` derivatives side by side: (order + 1) C channels."""
    parts = [frame_LC]
    for _ in range(order):
        parts.append(_slope(parts[-1]))
    return np.concatenate(parts, axis=1)


def _slope(frame_LC: NDArray[np.float32]) -> NDArray[np.float32]:
    length = len(frame_LC)
    padded = np.pad(frame_LC, ((WINDOW, WINDOW), (0, 0)), mode="edge")
    total = np.zeros_like(frame_LC)
    for distance in range(1, WINDOW + 1):
        later, earlier = WINDOW + distance, WINDOW - distance
        total += distance * (padded[later : later + length] - padded[earlier : earlier + length])
    return total / np.float32(2 * sum(distance**2 for distance in range(1, WINDOW + 1)))
