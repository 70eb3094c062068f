"""What an answer may hold: pure functions logit_NV -> logit_NV that take ids out of the race with -inf.

The searches apply them after the logits were normalised, so a forbidden id keeps its share of the probability and the
log-probability of an answer is the model's own: what scoring the finished pair gives.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from seqsmith.special import BEGIN, END, PAD, UNKNOWN


def forbid(logit_NV: Tensor, ids: Iterable[int]) -> Tensor:
    """A copy in which no row can choose one of `ids`."""
    allowed_NV = logit_NV.clone()
    for id in ids:
        allowed_NV[:, id] = -float("inf")
    return allowed_NV


def answer_only(logit_NV: Tensor, *, length: int, shortest: int) -> Tensor:
    """No PAD, UNKNOWN or BEGIN, and no END as token number `length` before there are `shortest` others."""
    return forbid(logit_NV, (PAD, UNKNOWN, BEGIN, END) if length <= shortest else (PAD, UNKNOWN, BEGIN))
