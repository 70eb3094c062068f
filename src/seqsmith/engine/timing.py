"""When each word of an answer is said, from the CTC head or, where there is none, from the decoder's attention.

Both mark the moment at which a symbol is recognised, which is near its beginning, and not how long it sounds. So a word
then reaches from where its sound begins to where it ends, by how loud the frames between its symbols and those of its
neighbours are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqsmith.search.forced import Span, forced_alignment
from seqsmith.speech.codec import FRAMES_PER_SECOND
from seqsmith.speech.subtitles import Timed

Decode = Callable[[Sequence[int]], str]

_LEAST_WEIGHT = 1e-4  # of attention, so that one stray look does not decide
_FLOOR, _TOP = 0.1, 0.9  # shares of the frames that are below what counts as the floor, and as loud
_WIDEST = 10.0  # nats from the floor to loud, 43 decibels: digital silence makes no room noise loud
_LEAST_RANGE = 1.0  # nats: a hum that never changes has no pauses
_QUIET = 0.1  # of the way from the floor to loud: what is below is a pause
_FARTHEST = FRAMES_PER_SECOND  # frames that a word may reach beyond its symbols


def spans_of_attention(weight_TS: NDArray[np.floating[Any]]) -> list[Span]:
    """Where the decoder looked for each token but END: of all ways that never turn back, that of the most weight."""
    if len(weight_TS) < 2:
        return []
    score_S, came = np.log(weight_TS[0] + _LEAST_WEIGHT), []
    for weight_S in weight_TS[1:-1]:
        best_S = np.maximum.accumulate(score_S)
        came.append(np.maximum.accumulate(np.where(score_S == best_S, np.arange(len(best_S)), 0)))
        score_S = best_S + np.log(weight_S + _LEAST_WEIGHT)
    steps = [int(score_S.argmax())]
    for came_S in reversed(came):
        steps.append(int(came_S[steps[-1]]))
    return [Span(step, step + 1) for step in reversed(steps)]


def spans_of_ctc(log_p_SV: NDArray[np.floating[Any]], ids: Sequence[int]) -> list[Span]:
    """Those of the likeliest alignment; evenly over the recording where it has too few steps for any."""
    found = forced_alignment(log_p_SV.astype(np.float64), ids)
    if found is not None:
        return found
    edges = np.linspace(0, len(log_p_SV), len(ids) + 1)
    return [Span(int(start), max(int(start) + 1, int(end))) for start, end in pairwise(edges.tolist())]


def word_times(
    ids: Sequence[int], spans: Sequence[Span], decode: Decode, *, step_seconds: float, offset_seconds: float
) -> list[Timed]:
    """The words of decode(ids) with the times of their tokens; a token that only brings space belongs to no word."""
    words = decode(ids).split()
    first: list[float | None] = [None] * len(words)
    last = [0.0] * len(words)
    before = ""
    for number, span in enumerate(spans, 1):
        text = decode(ids[:number])
        place = min(len(text.split()), len(words)) - 1
        if place >= 0 and text.rstrip() != before.rstrip():
            if first[place] is None:
                first[place] = offset_seconds + span.start * step_seconds
            last[place] = offset_seconds + span.end * step_seconds
        before = text
    timed, reached = [], offset_seconds
    for word, start, end in zip(words, first, last, strict=True):
        begun = reached if start is None else max(start, reached)
        reached = max(end, begun)
        timed.append(Timed(word, begun, reached))
    return timed


def sounding(words: Sequence[Timed], energy_L: NDArray[np.floating[Any]], *, offset_seconds: float) -> list[Timed]:
    """The words from where their sound begins to where it ends, given the log-energy of each frame.

    Between two words the longest quiet stretch is the pause; where nothing is quiet they meet at the quietest frame,
    and the first and last word reach the ends of the recording.
    """
    if not words:
        return []
    level_L = np.convolve(np.pad(energy_L.astype(np.float64), 1, mode="edge"), np.full(3, 1 / 3), "valid")
    floor, top = np.quantile(level_L, (_FLOOR, _TOP))
    floor = max(floor, top - _WIDEST)
    quiet_L = level_L < min(floor + _QUIET * (top - floor), top - _LEAST_RANGE)
    starts = [(word.start_seconds - offset_seconds) * FRAMES_PER_SECOND for word in words]
    ends = [(word.end_seconds - offset_seconds) * FRAMES_PER_SECOND for word in words]
    falls, rises = [], []
    for before, after in zip([0.0, *ends], [*starts, float(len(level_L))], strict=True):
        fall, rise = _pause(level_L, quiet_L, math.ceil(before), math.floor(after))
        falls.append(min(max(fall, before), after, before + _FARTHEST))
        rises.append(max(min(rise, after), before, after - _FARTHEST))
    begun, ended = (
        [round(offset_seconds + each / FRAMES_PER_SECOND, 3) for each in some] for some in (rises[:-1], falls[1:])
    )
    return [Timed(word.text, *edges) for word, *edges in zip(words, begun, ended, strict=True)]


def _pause(level_L: NDArray[np.float64], quiet_L: NDArray[np.bool_], first: int, last: int) -> tuple[float, float]:
    """Of the frames [first, last) between two words: where the one has ended, and where the other begins."""
    edges = np.flatnonzero(np.diff(quiet_L[first:last], prepend=False, append=False)).reshape(-1, 2) + first
    if len(edges):
        fall, rise = edges[(edges[:, 1] - edges[:, 0]).argmax()].tolist()
        return fall, rise + 2  # the mean of three frames hears a sound a frame early, and a frame of 25 ms another
    if first == 0 or first >= last:
        return first, first
    if last == len(level_L):
        return last, last
    quietest = first + int(level_L[first:last].argmin()) + 0.5
    return quietest, quietest
