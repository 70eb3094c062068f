"""When each word of an answer is said, from the CTC head or, where there is none, from the decoder's attention."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqsmith.search.forced import Span, forced_alignment
from seqsmith.speech.subtitles import Timed

Decode = Callable[[Sequence[int]], str]


def spans_of_attention(weight_TS: NDArray[np.floating[Any]]) -> list[Span]:
    """Where the decoder looked hardest for each token but END, made to run forwards; rougher than a CTC head."""
    best = np.maximum.accumulate(weight_TS[:-1].argmax(1)) if len(weight_TS) > 1 else np.zeros(0, np.int64)
    ends = [*best[1:].tolist(), weight_TS.shape[1]]
    return [Span(start, max(start + 1, end)) for start, end in zip(best.tolist(), ends, strict=False)]


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
