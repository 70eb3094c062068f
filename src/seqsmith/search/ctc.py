"""Decoding by CTC alone (Graves et al. 2006): the likeliest path, and prefix beam search over sums of paths.

Prefix beam search (Hannun et al. 2014, algorithm 1) keeps for each prefix the probability of all paths so far that end
in its last symbol and of those that end in a blank. All sources and prefixes take a step of the encoder at once. A
prefix can be reached from itself and from its parent; where both are in the beam, the two ways are added up, and the
parent is known by a 64-bit hash of its symbols. A language model ranks prefixes beside that: what it says of one is
said once, when the prefix is first reached, and of its end when all is heard; the paper's bonus for each word is left
out.

Axes: W prefixes of a source, S encoder steps, M = W + W V candidates, L symbols of the longest prefix.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from seqsmith.search.answer import Answer
from seqsmith.search.language import Said
from seqsmith.special import END, PAD

BLANK = PAD
LEAST = -1e4  # of a symbol's log-probability, so that only a prefix that does not exist has none
_FACTOR = 6_364_136_223_846_793_005  # of a linear congruential generator (Knuth, MMIX); overflow is meant


@torch.no_grad()
def greedy_ctc(log_p_BSV: Tensor, length_B: Tensor) -> list[list[Answer]]:
    """The likeliest path of each source with repetitions joined and blanks left out; its score is the path's."""
    best = log_p_BSV.max(2)
    real_BS = torch.arange(log_p_BSV.shape[1], device=length_B.device) < length_B[:, None]
    id_BS = best.indices
    first_BS = torch.ones_like(real_BS)
    first_BS[:, 1:] = id_BS[:, 1:] != id_BS[:, :-1]
    said_BS = first_BS & (id_BS != BLANK) & real_BS
    total_B = best.values.double().where(real_BS, 0.0).sum(1)
    return [
        [_answer(ids[said].tolist(), float(total))]
        for ids, said, total in zip(id_BS, said_BS, total_B.tolist(), strict=True)
    ]


@dataclass(frozen=True)
class Prefixes:
    """The live prefixes of each source, best first; a log-probability of -inf: there is none."""

    id_BWL: Tensor  # padded with PAD on the right
    length_BW: Tensor
    hash_BW: Tensor
    parent_BW: Tensor  # the hash without the last symbol
    blank_BW: Tensor  # float64: log of the paths that end in a blank, and of those that end in the last symbol
    symbol_BW: Tensor

    @property
    def total_BW(self) -> Tensor:
        return torch.logaddexp(self.blank_BW, self.symbol_BW)

    def last_BW(self) -> Tensor:
        """The last symbol; BLANK for the empty prefix."""
        return self.id_BWL.gather(2, (self.length_BW - 1).clamp_min(0)[..., None])[..., 0]


@torch.no_grad()
def prefix_beam_search(
    log_p_BSV: Tensor, length_B: Tensor, *, beam: int, nbest: int = 1, said: Said | None = None
) -> list[list[Answer]]:
    """The likeliest targets of each source, over the sums of their paths, best first.

    `said` is what a language model says of B * W empty prefixes: it is added to the log-probability of each.
    """
    assert 1 <= nbest <= beam, f"{nbest} best answers from a beam of {beam}"
    log_p_BSV = log_p_BSV.double().clamp_min(LEAST)
    live = _start(len(log_p_BSV), beam, device=log_p_BSV.device)
    for step in range(log_p_BSV.shape[1]):
        real_B = step < length_B
        after, from_BW, grows_BW = _advanced(live, log_p_BSV[:, step], said)
        live = _where(real_B, after, live)
        said = said and _said_of(live, said, from_BW=from_BW, grows_BW=grows_BW, real_B=real_B)
    score_BW = live.total_BW
    if said is not None:
        score_BW = score_BW + (said.log_p_N + said.next_NV[:, END]).view_as(score_BW)
    best_BE = score_BW.argsort(dim=1, descending=True, stable=True)[:, :nbest]
    return [
        [_answer(ids[row][: length[row]].tolist(), score[row]) for row in best if score[row] > -float("inf")]
        for ids, length, score, best in zip(
            live.id_BWL, live.length_BW.tolist(), score_BW.tolist(), best_BE.tolist(), strict=True
        )
    ]


def _start(sources: int, beam: int, *, device: torch.device) -> Prefixes:
    zero_BW = torch.zeros(sources, beam, dtype=torch.int64, device=device)
    none_BW = torch.full((sources, beam), -float("inf"), dtype=torch.float64, device=device)
    first_BW = none_BW.clone()
    first_BW[:, 0] = 0.0
    slot_W = -1 - torch.arange(beam, device=device)  # prefixes that do not exist are nobody's parent
    hash_BW = slot_W.expand(sources, beam).clone()
    hash_BW[:, 0] = 1
    return Prefixes(zero_BW[..., None].clone(), zero_BW, hash_BW, zero_BW - beam - 1, first_BW, none_BW)


def _advanced(live: Prefixes, log_p_BV: Tensor, said: Said | None) -> tuple[Prefixes, Tensor, Tensor]:
    """Every source one encoder step further -> the best prefixes, which each continues, and whether it grew."""
    B, W = live.length_BW.shape
    last_BW = live.last_BW()
    total_BW = live.total_BW
    stay_blank_BW = total_BW + log_p_BV[:, BLANK, None]
    stay_symbol_BW = live.symbol_BW + log_p_BV.gather(1, last_BW)
    stay_symbol_BW = stay_symbol_BW.masked_fill(live.length_BW == 0, -float("inf"))
    grown_BWV = (total_BW[..., None] + log_p_BV[:, None]).scatter(
        2, last_BW[..., None], (live.blank_BW + log_p_BV.gather(1, last_BW))[..., None]
    )  # a symbol after itself needs a blank between
    grown_BWV[:, :, BLANK] = -float("inf")
    # where prefix j is prefix i and one symbol more, the way from i ends in j
    exists_BW = total_BW > -float("inf")
    is_child_BWW = (live.parent_BW[:, None, :] == live.hash_BW[:, :, None]) & exists_BW[:, None, :]
    symbol_of_child = last_BW[:, None, :].expand(B, W, W)
    way_BWW = grown_BWV.gather(2, symbol_of_child).where(is_child_BWW, -float("inf"))
    stay_symbol_BW = torch.logaddexp(stay_symbol_BW, way_BWW.logsumexp(1))
    taken = torch.zeros_like(grown_BWV, dtype=torch.bool)
    taken.scatter_reduce_(2, symbol_of_child, is_child_BWW, "amax")
    grown_BWV = grown_BWV.masked_fill(taken, -float("inf"))
    candidate_BM = torch.cat([torch.logaddexp(stay_blank_BW, stay_symbol_BW), grown_BWV.flatten(1)], dim=1)
    if said is not None:
        log_p_BW1 = said.log_p_N.view(B, W, 1)
        longer_BWV = log_p_BW1 + said.next_NV.view_as(grown_BWV)
        candidate_BM = candidate_BM + torch.cat([log_p_BW1[..., 0], longer_BWV.flatten(1)], dim=1)
    best_BW = candidate_BM.topk(W, 1).indices
    return _chosen(live, best_BW, stay_blank_BW, stay_symbol_BW, grown_BWV)


def _said_of(live: Prefixes, said: Said, *, from_BW: Tensor, grows_BW: Tensor, real_B: Tensor) -> Said:
    """What the language model says of the prefixes that there are now; those of ended sources stay as they are."""
    row_BW = torch.arange(from_BW.numel(), device=from_BW.device).view_as(from_BW)
    moved_BW = torch.where(real_B[:, None], row_BW[:, :1] + from_BW, row_BW)
    grows_BW = grows_BW & real_B[:, None] & (live.total_BW > -float("inf"))
    return said.moved(
        moved_BW.flatten(),
        grows_N=grows_BW.flatten(),
        id_N=live.last_BW().flatten(),
        length_N=live.length_BW.flatten(),
    )


def _chosen(
    live: Prefixes, best_BW: Tensor, stay_blank_BW: Tensor, stay_symbol_BW: Tensor, grown_BWV: Tensor
) -> tuple[Prefixes, Tensor, Tensor]:
    _, W, V = grown_BWV.shape
    grows_BW = best_BW >= W
    extension_BW = (best_BW - W).clamp_min(0)
    from_BW = torch.where(grows_BW, extension_BW // V, best_BW.clamp_max(W - 1))
    id_BW = extension_BW % V
    length_BW = live.length_BW.gather(1, from_BW)
    before_BWL = live.id_BWL.gather(1, from_BW[..., None].expand(-1, -1, live.id_BWL.shape[2]))
    if int(length_BW.max()) == before_BWL.shape[2]:
        before_BWL = torch.nn.functional.pad(before_BWL, (0, 8), value=PAD)
    place = length_BW[..., None].clamp_max(before_BWL.shape[2] - 1)
    id_BWL = before_BWL.scatter(
        2, place, torch.where(grows_BW[..., None], id_BW[..., None], before_BWL.gather(2, place))
    )
    hash_BW = live.hash_BW.gather(1, from_BW)
    symbol_BW = torch.where(grows_BW, grown_BWV.flatten(1).gather(1, extension_BW), stay_symbol_BW.gather(1, from_BW))
    after = Prefixes(
        id_BWL=id_BWL,
        length_BW=length_BW + grows_BW,
        hash_BW=torch.where(grows_BW, (hash_BW + id_BW + 1) * _FACTOR, hash_BW),
        parent_BW=torch.where(grows_BW, hash_BW, live.parent_BW.gather(1, from_BW)),
        blank_BW=stay_blank_BW.gather(1, from_BW).masked_fill(grows_BW, -float("inf")),
        symbol_BW=symbol_BW,
    )
    return after, from_BW, grows_BW


def _where(real_B: Tensor, after: Prefixes, before: Prefixes) -> Prefixes:
    """Sources that have ended stay as they are."""
    if bool(real_B.all()):
        return after
    longer = after.id_BWL.shape[2] - before.id_BWL.shape[2]
    old_BWL = torch.nn.functional.pad(before.id_BWL, (0, longer), value=PAD)
    real_B1 = real_B[:, None]
    return Prefixes(
        torch.where(real_B1[..., None], after.id_BWL, old_BWL),
        torch.where(real_B1, after.length_BW, before.length_BW),
        torch.where(real_B1, after.hash_BW, before.hash_BW),
        torch.where(real_B1, after.parent_BW, before.parent_BW),
        torch.where(real_B1, after.blank_BW, before.blank_BW),
        torch.where(real_B1, after.symbol_BW, before.symbol_BW),
    )


def _answer(ids: list[int], log_prob: float) -> Answer:
    return Answer(ids, log_prob, log_prob, [], ended=True)
