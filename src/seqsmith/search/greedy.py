"""Greedy search: the most probable token at every step; of equals, the one with the lowest id.

Whoever chooses by another rule (`sample`) takes the same walk.

Axes: of the sources, O leave and I stay.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from seqsmith.batch import State, Step, exact
from seqsmith.search.answer import Answer, NotFinite
from seqsmith.search.rules import answer_only
from seqsmith.search.step import parted, select
from seqsmith.search.trellis import Ranking, Trellis, divisor_table
from seqsmith.special import BEGIN, END


@dataclass(frozen=True)
class Live:
    """The sources whose answer has not ended."""

    source_B: Tensor  # which of the sources given to the search
    longest_B: Tensor
    id_B: Tensor  # the last token, its node, and the log-probability (float64) up to it
    node_B: Tensor
    log_p_B: Tensor

    def select(self, index_B: Tensor) -> Live:
        """Source i of the result is source `index_B[i]`."""
        columns = (self.source_B, self.longest_B, self.id_B, self.node_B, self.log_p_B)
        return Live(*(column.index_select(0, index_B) for column in columns))


Choose = Callable[[Tensor, Tensor], Tensor]
"""The next token of every source: logit_BV, -inf where a token is forbidden, and which source each is -> id_B."""


def most_probable(allowed_BV: Tensor, _source_B: Tensor) -> Tensor:
    """The choice of greedy search."""
    return allowed_BV.max(1).indices  # the first of equals


@torch.no_grad()
def greedy_search(
    step: Step,
    state: State,
    *,
    longest_B: Tensor,
    shortest: int = 0,
    length_penalty: float = 1.0,
    gnmt_penalty: bool = False,
    choose: Choose = most_probable,
) -> list[list[Answer]]:
    """One answer to each source, of at most `longest_B` tokens with END and at least `shortest` without.

    `state` has one row for each source. The penalty weighs the score, it chooses nothing.
    """
    divisor_L = divisor_table(longest_B, length_penalty=length_penalty, gnmt_penalty=gnmt_penalty)
    trellis = Trellis()
    rankings: list[Ranking] = []
    live, length = _start(longest_B), 0
    while len(live.source_B):
        length += 1
        logit_NV, state = step(live.id_B, state)
        live = _advanced(live, logit_NV, trellis, choose, length=length, shortest=shortest)
        done = _done(live, length)
        if any(done):
            gone_O, stay_I = parted(done, device=longest_B.device)
            rankings.append(_ranking(live.select(gone_O), divisor_L[length], length))
            live, state = live.select(stay_I), select(state, row_N=stay_I, source_B=stay_I)
    return trellis.read(rankings)


def _start(longest_B: Tensor) -> Live:
    source_B = torch.arange(len(longest_B), device=longest_B.device)
    return Live(
        source_B=source_B,
        longest_B=longest_B,
        id_B=torch.full_like(source_B, BEGIN),
        node_B=torch.zeros_like(source_B),
        log_p_B=torch.zeros_like(source_B, dtype=torch.float64),
    )


def _advanced(live: Live, logit_BV: Tensor, trellis: Trellis, choose: Choose, *, length: int, shortest: int) -> Live:
    """Every source with its token number `length`."""
    logit_BV = exact(logit_BV)
    allowed_BV = answer_only(logit_BV, length=length, shortest=shortest)
    id_B = choose(allowed_BV, live.source_B)
    log_p_B = allowed_BV.gather(1, id_B[:, None])[:, 0].double() - logit_BV.logsumexp(1)
    trellis.add(parent_Y=live.node_B, id_Y=id_B, log_p_Y=log_p_B)
    node_B = torch.arange(len(id_B), device=id_B.device)
    return replace(live, id_B=id_B, node_B=node_B, log_p_B=live.log_p_B + log_p_B)


def _done(live: Live, length: int) -> list[bool]:
    """Which sources have their answer. In greedy search the host waits here, once a step, for the device."""
    said = torch.stack([live.id_B.double(), live.longest_B.double(), live.log_p_B]).tolist()
    if any(math.isnan(log_p) for log_p in said[2]):
        raise NotFinite(f"the model gave logits that are no numbers for token {length} of an answer")
    return [id == END or longest <= length for id, longest, _ in zip(*said, strict=True)]


def _ranking(live: Live, divisor: Tensor, length: int) -> Ranking:
    score_BE = (live.log_p_B / divisor)[:, None]
    return Ranking(live.source_B, score_BE, live.node_B[:, None], torch.full_like(live.node_B, length)[:, None])
