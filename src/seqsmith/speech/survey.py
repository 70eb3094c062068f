"""What a set of recordings is like, from the headers of some of them: for the rules that choose settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from seqsmith.speech.codec import FRAMES_PER_SECOND, check_there
from seqsmith.speech.decoder import read_header
from seqsmith.speech.matrix import is_matrix, shape_of
from seqsmith.speech.names import parse

_LOOKED_AT = 300  # recordings, from all over the set


@dataclass(frozen=True)
class Survey:
    """Of recordings, or of ready-made features."""

    recordings: int
    rate_hz: int | None  # the commonest; None: features
    channels: int | None  # numbers of a frame; None: recordings
    mean_seconds: float

    @property
    def hours(self) -> float:
        return self.recordings * self.mean_seconds / 3600


def survey(names: Sequence[str]) -> Survey:
    """Look at some of the recordings. Raises UserError for one that cannot be read."""
    some = names[:: max(1, -(-len(names) // _LOOKED_AT))]
    rates: Counter[int] = Counter()
    seconds, channels = 0.0, None
    for name in some:
        paths, stretch = parse(name)
        check_there(paths)
        whole = 0.0
        for path in paths:
            if is_matrix(path):
                frames, channels = shape_of(path)
                whole += frames / FRAMES_PER_SECOND
            else:
                header = read_header(path)
                rates[header.rate_hz] += 1
                whole += header.seconds
        end = whole if stretch.end is None else min(whole, stretch.end)
        seconds += max(0.0, end - (stretch.start or 0.0))
    rate = rates.most_common(1)[0][0] if rates else None
    return Survey(len(names), rate, None if rate else channels, seconds / len(some))
