"""Greedy and beam search over arrays, on the CPU and without torch: the same answers as `greedy` and `beam` give.

A step here returns no logits but the best of each row, found by whoever made them, so that a batch of large
vocabularies never leaves its engine. What is ranked, when a hypothesis ends and when a source is done is said in
`beam`; hypotheses are linked lists, for there are few of them. The rows of a source leave when it is done.

Axes: K the best tokens of a row, best first, A candidates of a source, X all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqsmith.search.answer import Answer, NotFinite, divisors
from seqsmith.special import BEGIN, END, PAD, UNKNOWN

NEVER = (PAD, UNKNOWN, BEGIN)
SPARE = len(NEVER) + 1
"""How many of a row's best tokens an answer may not hold: these three, and END where it comes too soon."""

ALL = 2**31
"""More tokens than any row has."""

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class ArrayState:
    """What decoding carries from step to step: `row` has an entry for each search row, `source` for each source."""

    row: Arrays
    source: Arrays

    def select(self, row_N: NDArray[np.int64] | None, source_B: NDArray[np.int64] | None) -> ArrayState:
        """Row i of the result is row `row_N[i]`, source i is source `source_B[i]`; None leaves all in place."""
        row, source = self.row, self.source
        if row_N is not None:
            row = {name: array.take(row_N, 0) for name, array in row.items()}
        if source_B is not None:
            source = {name: array.take(source_B, 0) for name, array in source.items()}
        return ArrayState(row, source)


@dataclass(frozen=True)
class Best:
    """The best tokens of each row: of equals, the lower id first."""

    logit_NK: NDArray[np.floating[Any]]
    id_NK: NDArray[np.int64]
    normaliser_N: NDArray[np.floating[Any]]  # what is taken off a logit to make it a log-probability


ArrayStep = Callable[[NDArray[np.int64], ArrayState, int], tuple[Best, ArrayState]]
"""step(id_N, state, most) -> (best, state): the `most` likeliest tokens, or all, after each row has taken in id_N."""

Node = tuple[Any, int, float]
"""A token of a hypothesis: the node before it or None, its id, its log-probability."""


@dataclass
class _Source:
    """One source that is searched for."""

    number: int
    longest: int
    live: list[tuple[float, Node | None]]  # log-probability and last token of each hypothesis, best first
    ended: list[tuple[float, Node]] = field(default_factory=list)  # score and last token, best first


def array_search(
    step: ArrayStep,
    state: ArrayState,
    *,
    longest: Sequence[int],
    beam: int,
    nbest: int = 1,
    shortest: int = 0,
    length_penalty: float = 1.0,
    gnmt_penalty: bool = False,
) -> list[list[Answer]]:
    """The `nbest` answers to each source, best first, of at most `longest` tokens with END, `shortest` without.

    `state` has one row for each source; the first step fans them out. A beam of 1 is greedy search.
    """
    assert 1 <= nbest <= beam, f"{nbest} best answers from a beam of {beam}"
    divisor = divisors(max(longest, default=0), length_penalty=length_penalty, gnmt_penalty=gnmt_penalty)
    answers: list[list[Answer]] = [[] for _ in longest]
    sources = [_Source(number, most, [(0.0, None)]) for number, most in enumerate(longest)]
    id_N, length = np.full(len(sources), BEGIN, np.int64), 0
    while sources:
        length += 1
        last = any(source.longest == length for source in sources)  # and END may be the last of all tokens
        best, state = step(id_N, state, ALL if last else 2 * beam + SPARE)
        candidates = _candidates(best, sources, most=2 * beam, length=length, ends=length > shortest)
        ends = _ends(best, sources, length)
        going: list[tuple[int, int]] = []
        stay: list[int] = []
        for index, (source, ranked) in enumerate(zip(sources, candidates, strict=True)):
            moves = _advance(source, ranked, ends[index], divisor, length, beam=beam, nbest=nbest)
            if _done(source, divisor, length, nbest):
                answers[source.number] = _answers(source, divisor[length], nbest)
            else:
                stay.append(index)
                going += moves
        rows, ids = [row for row, _ in going], [id for _, id in going]
        state = state.select(_unless_still(rows, len(id_N)), _unless_still(stay, len(sources)))
        id_N, sources = np.array(ids, np.int64), [sources[index] for index in stay]
    return answers


def _candidates(
    best: Best, sources: list[_Source], *, most: int, length: int, ends: bool
) -> list[list[tuple[float, float, int, int]]]:
    """For each source its best continuations: log p of the whole, log p of the token, id, row; best first."""
    token_NK = np.subtract(best.logit_NK, best.normaliser_N[:, None], dtype=np.float64)
    if np.isnan(token_NK[:, 0]).any():
        raise NotFinite(f"the model gave logits that are no numbers for token {length} of an answer")
    token_NK[best.id_NK < (END if ends else END + 1)] = -np.inf
    log_p_BW = np.array([[log_p for log_p, _ in source.live] for source in sources])
    B, W = log_p_BW.shape
    K = token_NK.shape[1]
    log_p_BX = (token_NK.reshape(B, W, K) + log_p_BW[:, :, None]).reshape(B, W * K)
    # places in the flattened arrays: at one source a step, what each call of NumPy costs is what counts
    place_BA = (-log_p_BX).argsort(1, kind="stable")[:, :most]
    if B > 1:
        place_BA = place_BA + np.arange(0, B * W * K, W * K)[:, None]
    columns = (log_p_BX.take(place_BA), token_NK.take(place_BA), best.id_NK.take(place_BA), place_BA // K)
    return [list(zip(*rows, strict=True)) for rows in zip(*(column.tolist() for column in columns), strict=True)]


def _ends(best: Best, sources: list[_Source], length: int) -> list[list[float]]:
    """The log-probability of END after each hypothesis of those sources for which this length is the longest."""
    if all(source.longest > length for source in sources):
        return [[]] * len(sources)
    rows = np.array_split(
        np.subtract(best.logit_NK[best.id_NK == END], best.normaliser_N, dtype=np.float64), len(sources)
    )
    return [row.tolist() if source.longest == length else [] for source, row in zip(sources, rows, strict=True)]


def _advance(
    source: _Source,
    ranked: list[tuple[float, float, int, int]],
    ends: list[float],
    divisor: list[float],
    length: int,
    *,
    beam: int,
    nbest: int,
) -> list[tuple[int, int]]:
    """Go down the ranking until `beam` hypotheses go on -> the row and the token that each goes on with.

    `ends` are of the hypotheses at their longest length, where all of them count if one has come by itself.
    """
    before, earlier = source.live, list(source.ended)
    first_row = ranked[0][3] - ranked[0][3] % len(before)
    source.live, moves = [], []
    for log_p, token_log_p, id, row in ranked:
        node = (before[row - first_row][1], id, token_log_p)
        if id != END:
            source.live.append((log_p, node))
            moves.append((row, id))
        elif log_p > -np.inf:
            source.ended.append((log_p / divisor[length], node))
        if len(source.live) == beam or (beam == 1 and id == END):
            break
    for _ in range(beam - len(source.live)):  # a tiny vocabulary, or greedy search at its end
        source.live.append((-np.inf, None))
        moves.append((ranked[0][3], PAD))
    if ends and source.ended:
        nodes = [(log_p + end, (node, END, end)) for (log_p, node), end in zip(before, ends, strict=True)]
        source.ended = earlier + [(log_p / divisor[length], node) for log_p, node in nodes if log_p > -np.inf]
    source.ended.sort(key=lambda ended: -ended[0])
    del source.ended[nbest:]
    return moves


def _done(source: _Source, divisor: list[float], length: int, nbest: int) -> bool:
    """Whether no live hypothesis can still reach a better score than the worst of the answers."""
    worst = source.ended[-1][0] if len(source.ended) == nbest else -np.inf
    # log p only falls and the divisor is monotone: the best score ahead lies at the next length or at the longest.
    reachable = source.live[0][0] / max(divisor[source.longest], divisor[length + 1])
    return reachable <= worst or source.longest <= length


def _answers(source: _Source, divisor: float, nbest: int) -> list[Answer]:
    """The ended answers, and after them the live hypotheses, which count where too few have ended."""
    cut = [(log_p / divisor, node) for log_p, node in source.live if node is not None and log_p > -np.inf]
    found = [*source.ended, *cut][:nbest]
    if not found:
        raise NotFinite(f"source {source.number} of the batch: every answer allowed has the probability zero")
    return [_read(score, node) for score, node in found]


def _read(score: float, last: Node) -> Answer:
    ids, token_log_prob = [], []
    node: Node | None = last
    while node is not None:
        ids.append(node[1])
        token_log_prob.append(node[2])
        node = node[0]
    ids, token_log_prob = ids[::-1], token_log_prob[::-1]
    ended = ids[-1] == END
    return Answer(ids[:-1] if ended else ids, score, sum(token_log_prob), token_log_prob, ended)


def _unless_still(index: list[int], length: int) -> NDArray[np.int64] | None:
    return None if index == list(range(length)) else np.array(index, np.int64)
