"""When each symbol of a given target is said: the likeliest of its CTC alignments (Viterbi 1967 over the states of
Graves et al. 2006, section 4.1).

Axes: S encoder steps, Y states: a blank before, between and after the symbols.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqsmith.special import PAD


@dataclass(frozen=True)
class Span:
    """Where a symbol lies: encoder steps [start, end)."""

    start: int
    end: int


def forced_alignment(log_p_SV: NDArray[np.float64], ids: Sequence[int]) -> list[Span] | None:
    """The span of each id on the likeliest path; None where there are too few steps for the ids."""
    state_Y = np.full(2 * len(ids) + 1, PAD, np.int64)  # PAD is the blank
    state_Y[1::2] = ids
    may_skip_Y = np.zeros(len(state_Y), bool)  # over the blank before it
    may_skip_Y[3::2] = state_Y[3::2] != state_Y[1:-2:2]
    score_Y = np.full(len(state_Y), -np.inf)
    score_Y[:2] = log_p_SV[0, state_Y[:2]]
    came_SY = np.zeros((len(log_p_SV), len(state_Y)), np.int8)
    for step in range(1, len(log_p_SV)):
        one_Y = np.concatenate([[-np.inf], score_Y[:-1]])
        two_Y = np.where(may_skip_Y, np.concatenate([[-np.inf, -np.inf], score_Y[:-2]])[: len(state_Y)], -np.inf)
        ways = np.stack([score_Y, one_Y, two_Y])
        came_SY[step] = ways.argmax(0)
        score_Y = ways.max(0) + log_p_SV[step, state_Y]
    state = len(state_Y) - 1 if len(state_Y) == 1 or score_Y[-1] >= score_Y[-2] else len(state_Y) - 2
    if score_Y[state] == -np.inf:
        return None
    return _spans(came_SY, state, len(ids))


def _spans(came_SY: NDArray[np.int8], state: int, symbols: int) -> list[Span]:
    """The path backwards from its last state."""
    first, last = [0] * symbols, [0] * symbols
    for step in reversed(range(len(came_SY))):
        if state % 2:
            last[state // 2] = max(last[state // 2], step + 1)
            first[state // 2] = step
        state -= int(came_SY[step, state])
    return [Span(start, end) for start, end in zip(first, last, strict=True)]
