"""Long recordings in pieces that are cut where it is quiet, so that no word is cut in two."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

QUIET_FRAMES = 20  # what a pause is measured over
SEARCHED = 0.5  # of the longest piece: its second half is searched for the pause


def pieces(level_L: NDArray[np.floating], *, longest: int) -> list[tuple[int, int]]:
    """(start, end) of neighbouring pieces that cover the frames, each of at most `longest`, given how loud each is.

    Each cut is in the middle of the quietest 20 frames (0.2 seconds) of the second half of what a piece may hold; where
    it is equally quiet in several places, in the last of them.
    """
    assert longest >= 2
    smooth_L = np.convolve(level_L, np.ones(QUIET_FRAMES) / QUIET_FRAMES, mode="same") if len(level_L) else level_L
    smooth_L = smooth_L[: len(level_L)]
    found: list[tuple[int, int]] = []
    start = 0
    while len(level_L) - start > longest:
        first = start + max(1, int(longest * SEARCHED))
        window = smooth_L[first : start + longest + 1][::-1]
        cut = start + longest - int(window.argmin())
        found.append((start, cut))
        start = cut
    return [*found, (start, len(level_L))]
