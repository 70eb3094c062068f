"""How the tokens of a search are remembered, and how answers are read back from them.

Axes: E best answers of a source, Y nodes of a step or hypotheses of all sources in one row.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from seqsmith.search.answer import Answer, NotFinite, divisors
from seqsmith.special import END, PAD


def divisor_table(longest_B: Tensor, *, length_penalty: float, gnmt_penalty: bool) -> Tensor:
    """`divisors` up to the longest of some answers -> divisor_L in float64."""
    assert not len(longest_B) or longest_B.min() >= 1, "an answer has at least one token, its END"
    longest = int(longest_B.max()) if len(longest_B) else 0
    table = divisors(longest, length_penalty=length_penalty, gnmt_penalty=gnmt_penalty)
    return torch.tensor(table, dtype=torch.float64, device=longest_B.device)


@dataclass(frozen=True)
class Ranking:
    """The best answers of some sources, best first, each known by its last token. A score of -inf: there is none."""

    source_B: Tensor  # int64: which of the sources given to the search
    score_BE: Tensor
    node_BE: Tensor  # int64: the last token's node
    length_BE: Tensor  # int64: the last token's step, counted from 1

    def select(self, index_B: Tensor) -> Ranking:
        """Source i of the result is source `index_B[i]`."""
        columns = (self.source_B, self.score_BE, self.node_BE, self.length_BE)
        return Ranking(*(column.index_select(0, index_B) for column in columns))

    def beside(self, other: Ranking) -> Ranking:
        """The answers of both to the same sources, not yet in a new order."""
        return Ranking(
            self.source_B,
            torch.cat([self.score_BE, other.score_BE], 1),
            torch.cat([self.node_BE, other.node_BE], 1),
            torch.cat([self.length_BE, other.length_BE], 1),
        )

    def ordered(self, order_BX: Tensor) -> Ranking:
        """Answer i to a source is its answer `order_BX[:, i]`."""
        columns = (self.score_BE, self.node_BE, self.length_BE)
        return Ranking(self.source_B, *(column.gather(1, order_BX) for column in columns))


@dataclass(frozen=True)
class Trellis:
    """Every token in the race: the nodes of a step, numbered from 0, point back to those of the step before."""

    parent: list[Tensor] = field(default_factory=list)
    id: list[Tensor] = field(default_factory=list)
    log_p: list[Tensor] = field(default_factory=list)  # of this token given those before it

    def add(self, *, parent_Y: Tensor, id_Y: Tensor, log_p_Y: Tensor) -> None:
        """Take in the nodes of one more step."""
        self.parent.append(parent_Y)
        self.id.append(id_Y)
        self.log_p.append(log_p_Y)

    def read(self, rankings: list[Ranking]) -> list[list[Answer]]:
        """The answers to each source, best first, in the order the sources were given."""
        if not rankings:
            return []
        ranking = _joined(rankings)
        id_YT, log_p_YT = self._trace(ranking.node_BE.flatten(), ranking.length_BE.flatten())
        columns = (ranking.score_BE.flatten(), ranking.length_BE.flatten(), id_YT, log_p_YT)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        answers: dict[int, list[Answer]] = {}
        for source in ranking.source_B.tolist():
            found = [next(rows) for _ in range(ranking.score_BE.shape[1])]
            answers[source] = [_answer(*row) for row in found if row[0] > -float("inf")]
            if not answers[source]:
                raise NotFinite(f"source {source} of the batch: every answer allowed has the probability zero")
        return [answers[source] for source in range(len(answers))]

    def _trace(self, node_Y: Tensor, length_Y: Tensor) -> tuple[Tensor, Tensor]:
        """The tokens and their log-probabilities on the way to each node, padded on the right."""
        id_TY, log_p_TY = [], []
        for step in reversed(range(len(self.id))):
            reached_Y = length_Y > step
            index_Y = node_Y.where(reached_Y, 0)
            id_TY.append(self.id[step][index_Y].where(reached_Y, PAD))
            log_p_TY.append(self.log_p[step][index_Y])
            node_Y = self.parent[step][index_Y].where(reached_Y, node_Y)
        return torch.stack(id_TY[::-1], 1), torch.stack(log_p_TY[::-1], 1)


def _joined(rankings: list[Ranking]) -> Ranking:
    """One ranking of all the sources."""
    return Ranking(
        torch.cat([ranking.source_B for ranking in rankings]),
        torch.cat([ranking.score_BE for ranking in rankings]),
        torch.cat([ranking.node_BE for ranking in rankings]),
        torch.cat([ranking.length_BE for ranking in rankings]),
    )


def _answer(score: float, length: int, ids: list[int], token_log_prob: list[float]) -> Answer:
    ids, token_log_prob = ids[:length], token_log_prob[:length]
    ended = ids[-1] == END
    return Answer(ids[:-1] if ended else ids, score, sum(token_log_prob), token_log_prob, ended)
