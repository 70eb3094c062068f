"""Answers, how long they may be, and how their scores weigh length; for searches over tensors and over arrays alike.

The score is log p / length ** penalty, or with the GNMT penalty log p / ((5 + length) / 6) ** penalty (Wu et al. 2016,
section 7, equation 14). The length counts END.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from seqsmith import config


class NotFinite(FloatingPointError):
    """The model gave logits that are no numbers, or no probability at all to anything that may follow."""


@dataclass(frozen=True)
class Answer:
    """One answer to one source."""

    ids: list[int]  # without END
    score: float  # log_prob over the divisor of its length
    log_prob: float  # natural logarithm
    token_log_prob: list[float]  # of each id, then of END where there is one; empty where the engine does not tell
    ended: bool  # False: cut at the longest length allowed


def divisors(longest: int, *, length_penalty: float, gnmt_penalty: bool) -> list[float]:
    """What the log-probability of an answer of 0, 1, ... and one more than `longest` tokens is divided by."""
    bases = [(5 + length) / 6 if gnmt_penalty else float(length) for length in range(1, longest + 2)]
    # Python's own power: a length has the same divisor, bit for bit, in whatever company it is searched.
    return [1.0, *(base**length_penalty for base in bases)]


_MOST = 1_000_000
"""Tokens of an answer, as many as `search.longest` may be: what they are divided by is a table."""


def longest_answers(lengths: Sequence[int], settings: config.Search) -> list[int]:
    """How many tokens an answer may have, END included, for sources of these lengths, theirs included."""
    if settings.longest is not None:
        return [settings.longest] * len(lengths)
    ratio = settings.longest_ratio or 2.0
    return [min(math.ceil(length * ratio) + settings.longest_extra, _MOST) for length in lengths]
