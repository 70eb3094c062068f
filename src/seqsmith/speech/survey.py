"""What a set of recordings is like, from their headers: for the rules that choose settings, and to tell what is odd."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from seqsmith import config
from seqsmith.errors import UserError
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
    some = some_of(names)
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


def some_of(names: Sequence[str]) -> Sequence[str]:
    """As many as are looked at before training, from all over the set."""
    return names[:: max(1, -(-len(names) // _LOOKED_AT))]


def tell_rates(names: Sequence[str], source: config.SpeechSource, say: Callable[[str], None]) -> None:
    """Say how many recordings have another rate than the model hears."""
    others: list[tuple[str, int]] = []
    for name in names if source.bins is not None else ():
        with suppress(UserError):  # what is wrong with a recording is said when it is read
            paths = [path for path in parse(name)[0] if not is_matrix(path)]
            rates = [header.rate_hz for header in map(read_header, paths) if header.rate_hz != source.rate_hz]
            others += [(name, rates[0])] if rates else []
    if others:
        name, rate = others[0]
        say(
            f"{len(others):,} of {len(names):,} recordings are resampled to the model's {source.rate_hz:,} Hz, "
            f"the first is {name} at {rate:,} Hz."
        )
