"""Beam search over all sources of a batch at once (Lowerre 1976; for neural models Sutskever et al. 2014, section 3.2).

Every step ranks all continuations of a source's hypotheses by log-probability and goes down the ranking until W live
ones are found; those met on the way that end are put aside, and the best E of them by score are kept. At the longest
length nothing is left to live for: there every hypothesis may end, if one has ended by itself. A source is done when no
live hypothesis can still reach a better score than the worst of these (Huang et al. 2017, section 3, here with the
divisors of `answer`), so stopping early never changes an answer. Hypotheses cut at the longest length are answers only
where fewer than E ended.

Axes: A candidates of a source, at most 2W, or 3W at the longest length; E best answers of a source, X, Y with others
beside them; of the sources, O leave and I stay.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from seqsmith.batch import State, Step, exact
from seqsmith.search.answer import Answer, NotFinite
from seqsmith.search.candidates import Candidates, best_candidates
from seqsmith.search.greedy import greedy_search
from seqsmith.search.rules import answer_only
from seqsmith.search.step import parted, select
from seqsmith.search.trellis import Ranking, Trellis, divisor_table
from seqsmith.special import BEGIN, END


@dataclass(frozen=True)
class Live:
    """The sources still searched for: their hypotheses, best first, and the best answers that have ended."""

    longest_B: Tensor
    row_BW: Tensor  # the row of the last step that a hypothesis continues
    id_BW: Tensor  # its last token, that token's node, and the log-probability up to it (float64; -inf: no hypothesis)
    node_BW: Tensor
    log_p_BW: Tensor
    ended: Ranking

    @property
    def nbest(self) -> int:
        return self.ended.score_BE.shape[1]

    def select(self, index_B: Tensor) -> Live:
        """Source i of the result is source `index_B[i]`."""
        return Live(
            longest_B=self.longest_B.index_select(0, index_B),
            row_BW=self.row_BW.index_select(0, index_B),
            id_BW=self.id_BW.index_select(0, index_B),
            node_BW=self.node_BW.index_select(0, index_B),
            log_p_BW=self.log_p_BW.index_select(0, index_B),
            ended=self.ended.select(index_B),
        )


@dataclass(frozen=True)
class Ranked:
    """The best continuations, and which of them end an answer: those ranked above the last of the best W that go on."""

    candidates: Candidates
    counts_BA: Tensor


@torch.no_grad()
def beam_search(
    step: Step,
    state: State,
    *,
    longest_B: Tensor,
    beam: int,
    nbest: int = 1,
    shortest: int = 0,
    length_penalty: float = 1.0,
    gnmt_penalty: bool = False,
) -> list[list[Answer]]:
    """The `nbest` answers to each source, best first, of at most `longest_B` tokens with END, `shortest` without.

    `state` has one row for each source; the first step fans them out. A beam of 1 is greedy search.
    """
    assert 1 <= nbest <= beam, f"{nbest} best answers from a beam of {beam}"
    if beam == 1:
        return greedy_search(
            step,
            state,
            longest_B=longest_B,
            shortest=shortest,
            length_penalty=length_penalty,
            gnmt_penalty=gnmt_penalty,
        )
    divisor_L = divisor_table(longest_B, length_penalty=length_penalty, gnmt_penalty=gnmt_penalty)
    trellis = Trellis()
    rankings: list[Ranking] = []
    live, length, longest = _start(longest_B, nbest), 0, set(longest_B.tolist())
    while len(live.longest_B):
        length += 1
        logit_NV, state = step(live.id_BW.flatten(), state)
        ranked = _ranked(live, logit_NV, beam=beam, length=length, shortest=shortest)
        if length in longest:
            ranked = _with_all_ends(live, ranked, exact(logit_NV), length=length)
        candidates = ranked.candidates
        trellis.add(
            parent_Y=live.node_BW.flatten()[candidates.row_BA.flatten()],
            id_Y=candidates.id_BA.flatten(),
            log_p_Y=candidates.token_log_p_BA.flatten(),
        )
        live = _chosen(live, ranked, divisor_L[length], beam=beam, length=length)
        done, moved = _flags(live, candidates, divisor_L, length=length, rows=len(logit_NV))
        stay_I = None
        if any(done):
            gone_O, stay_I = parted(done, device=longest_B.device)
            rankings.append(_with_cut(live.select(gone_O), divisor_L[length], length))
            live = live.select(stay_I)
        state = select(state, row_N=live.row_BW.flatten() if moved or any(done) else None, source_B=stay_I)
    return trellis.read(rankings)


def _start(longest_B: Tensor, nbest: int) -> Live:
    """One hypothesis for each source: nothing but BEGIN."""
    source_B = torch.arange(len(longest_B), device=longest_B.device)
    none_BE = source_B[:, None].expand(-1, nbest) * 0
    ended = Ranking(source_B, torch.full_like(none_BE, -float("inf"), dtype=torch.float64), none_BE, none_BE)
    zero_BW = torch.zeros_like(source_B)[:, None]
    return Live(longest_B, zero_BW, torch.full_like(zero_BW, BEGIN), zero_BW, zero_BW.double(), ended)


def _ranked(live: Live, logit_NV: Tensor, *, beam: int, length: int, shortest: int) -> Ranked:
    logit_NV = exact(logit_NV)
    allowed_NV = answer_only(logit_NV, length=length, shortest=shortest)
    candidates = best_candidates(allowed_NV, logit_NV.logsumexp(1), live.log_p_BW, most=2 * beam)
    ends_BA = candidates.id_BA == END
    return Ranked(candidates, ends_BA & ((~ends_BA).cumsum(1) < beam))


def _with_all_ends(live: Live, ranked: Ranked, logit_NV: Tensor, *, length: int) -> Ranked:
    """And behind them the ends of all hypotheses, which count instead where the length is the longest.

    Where no answer has ended by itself they do not: it is cut and said to be, and a beam of 1 is greedy search.
    """
    ended_BA = ranked.counts_BA & ranked.candidates.log_p_BA.isfinite()
    by_itself_B = ended_BA.any(1) | live.ended.score_BE[:, 0].isfinite()
    last_B1 = (by_itself_B & (live.longest_B == length))[:, None]
    token_log_p_BW = (logit_NV[:, END] - logit_NV.logsumexp(1).double()).view_as(live.log_p_BW)
    row_BW = torch.arange(len(logit_NV), device=last_B1.device).view_as(token_log_p_BW)
    ends = Candidates(live.log_p_BW + token_log_p_BW, token_log_p_BW, row_BW, torch.full_like(row_BW, END))
    return Ranked(
        ranked.candidates.beside(ends), torch.cat([ranked.counts_BA & ~last_B1, last_B1.expand_as(row_BW)], 1)
    )


def _chosen(live: Live, ranked: Ranked, divisor: Tensor, *, beam: int, length: int) -> Live:
    """The best `beam` candidates that go on, and the best of the ends that count."""
    candidates, counts_BA = ranked.candidates, ranked.counts_BA
    ends_BA = candidates.id_BA == END
    score_BA = (candidates.log_p_BA / divisor).where(counts_BA, -float("inf"))
    node_BA = torch.arange(ends_BA.numel(), device=ends_BA.device).view_as(ends_BA)
    ended = live.ended.beside(Ranking(live.ended.source_B, score_BA, node_BA, torch.full_like(node_BA, length)))
    best_BX = ended.score_BE.sort(dim=1, descending=True, stable=True).indices
    goes_on_BW = ends_BA.int().argsort(dim=1, stable=True)[:, :beam]
    return Live(
        longest_B=live.longest_B,
        row_BW=candidates.row_BA.gather(1, goes_on_BW),
        id_BW=candidates.id_BA.gather(1, goes_on_BW),
        node_BW=node_BA.gather(1, goes_on_BW),
        log_p_BW=candidates.log_p_BA.where(~ends_BA, -float("inf")).gather(1, goes_on_BW),
        ended=ended.ordered(best_BX[:, : live.nbest]),
    )


def _flags(live: Live, candidates: Candidates, divisor_L: Tensor, *, length: int, rows: int) -> tuple[list[bool], bool]:
    """Which sources are done, and whether any row moves. The one moment of a step at which the host waits."""
    # log p only falls and the divisor is monotone: the best score ahead lies at the next length or at the longest.
    reachable_B = live.log_p_BW[:, 0] / divisor_L[live.longest_B].maximum(divisor_L[length + 1])
    done_B = (reachable_B <= live.ended.score_BE[:, -1]) | (live.longest_B <= length)
    row_N = live.row_BW.flatten()
    moved = (row_N != torch.arange(len(row_N), device=row_N.device)).any()
    broken = candidates.log_p_BA[:, 0].isnan().any()
    *done, any_moved, any_broken = torch.cat([done_B, moved[None], broken[None]]).tolist()
    if any_broken:
        raise NotFinite(f"the model gave logits that are no numbers for token {length} of an answer")
    return done, any_moved or len(row_N) != rows


def _with_cut(live: Live, divisor: Tensor, length: int) -> Ranking:
    """The ended answers, and after them the live hypotheses, which count where too few have ended."""
    score_BW = live.log_p_BW / divisor
    cut = Ranking(live.ended.source_B, score_BW, live.node_BW, torch.full_like(live.node_BW, length))
    all_answers = live.ended.beside(cut)
    exist_first_BX = all_answers.score_BE.isinf().int().argsort(dim=1, stable=True)
    return all_answers.ordered(exist_first_BX[:, : live.nbest])
