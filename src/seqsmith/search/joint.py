"""Joint decoding: CTC (Watanabe et al. 2017, section 2.3) or a language model beside the decoder.

A joint score is a weighted sum of log-probabilities, w_1 log p_1 + w_2 log p_2 with weights that add up to at least 1.
By Hoelder's inequality such scores, as probabilities, add up to at most 1. What is missing goes to PAD, which no answer
may hold: so a search that normalises what it is given finds the sums as they are, no token raises a score, and beam
search needs to know nothing of any of this.

The CTC's share is the prefix probability: of all targets that begin so. It is updated for the token that was chosen,
with two cumulative sums over the encoder's steps, and looked up for all that may follow at once, with one product of
matrices, where the paper (algorithm 2) has loops over steps and tokens.

Axes: J moments of a source, before its first step and after each of its S; Y the paths of all rows of a source.
`path_N2J` holds two log-probabilities at each moment: of all paths that spell a row, and of those that end in a blank.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from seqsmith.batch import State, Step, exact
from seqsmith.search.ctc import BLANK, LEAST
from seqsmith.special import END, PAD, UNKNOWN

_NEVER = -1e10  # as good as no probability; finite, so that it can be summed and taken away again
_TINY = torch.finfo(torch.float64).tiny  # what is less, beside the likeliest moment, counts as this until it is said


def with_leftover(log_p_NV: Tensor) -> Tensor:
    """With PAD taking what the others leave of the probability, so that each row is normalised."""
    p_NV = log_p_NV.exp()
    p_NV[:, PAD] = 0.0
    taken_N = p_NV.sum(1).clamp_max(1.0)
    log_p_NV = log_p_NV.clone()
    log_p_NV[:, PAD] = (-taken_N).log1p()
    return log_p_NV


def with_language_model(step: Step, language_step: Step, *, weight: float) -> Step:
    """log p + weight * log p of the language model, which is any step over the same vocabulary (shallow fusion).

    `paired` gives the state of both.
    """

    def fused(id_N: Tensor, state: State) -> tuple[Tensor, State]:
        logit_NV, first = step(id_N, State(state.row[0], state.source[0]))
        language_NV, second = language_step(id_N, State(state.row[1], state.source[1]))
        language_NV = exact(language_NV).log_softmax(1)
        more = logit_NV.shape[1] - language_NV.shape[1]  # ids that it does not know: words copied from the source
        language_NV = torch.cat([language_NV, language_NV[:, [UNKNOWN]].expand(-1, more)], 1)
        return with_leftover(exact(logit_NV).log_softmax(1) + weight * language_NV), paired(first, second)

    return fused


def paired(first: State, second: State) -> State:
    """The state of two steps as one."""
    return State((first.row, second.row), (first.source, second.source))


def with_ctc(step: Step, *, weight: float) -> Step:
    """(1 - weight) log p + weight * log p of the CTC head, whose state (`ctc_state`) is paired with the step's."""
    assert 0.0 < weight <= 1.0

    def joint(id_N: Tensor, state: State) -> tuple[Tensor, State]:
        logit_NV, first = step(id_N, State(state.row[0], state.source[0]))
        log_psi_NV, row = ctc_step(id_N, state.row[1], state.source[1])
        return mixed(logit_NV, log_psi_NV, weight=weight), paired(first, State(row, state.source[1]))

    return joint


def mixed(logit_NV: Tensor, log_psi_NV: Tensor, *, weight: float) -> Tensor:
    """The joint score of each token, from the decoder's logits and what the CTC head says."""
    if weight == 1.0:
        return with_leftover(log_psi_NV)
    log_p_NV = exact(logit_NV).double().log_softmax(1)
    return with_leftover(torch.add((1 - weight) * log_p_NV, log_psi_NV, alpha=weight))


def ctc_state(log_p_BSV: Tensor, length_B: Tensor) -> State:
    """What the CTC's share of a step needs, from what its head says at the encoder's steps (padding on the right).

    After a source's end only blanks follow, so what holds at the last moment of the batch holds for every source.
    """
    log_p_BSV = log_p_BSV.double().clamp_min(LEAST)
    real_BS1 = (torch.arange(log_p_BSV.shape[1], device=log_p_BSV.device) < length_B[:, None])[..., None]
    p_BSV = log_p_BSV.exp().where(real_BS1, 0.0)
    p_BSV[:, :, BLANK] = 0.0  # says nothing
    log_p_BSV = log_p_BSV.where(real_BS1, LEAST)
    log_p_BSV[:, :, BLANK] = log_p_BSV[:, :, BLANK].where(real_BS1[..., 0], 0.0)
    sum_BVJ = F.pad(log_p_BSV.cumsum(1), (0, 0, 1, 0)).transpose(1, 2).contiguous()
    row = {
        "path_N2J": sum_BVJ[:, [BLANK, BLANK]],  # of nothing but blanks
        "last_N": torch.full_like(length_B, PAD),
        "log_p_N": torch.zeros_like(sum_BVJ[:, BLANK, 0]),
    }
    return State(row, {"p_BSV": p_BSV, "sum_BVJ": sum_BVJ, "blank_BS": log_p_BSV[:, :, BLANK]})


def ctc_step(id_N: Tensor, row: dict[str, Tensor], source: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """Take in a token for each row -> the log-probability that each token comes next, given those so far."""
    if "next_NV" in row:  # not before the first step, when BEGIN comes in
        row = {
            "path_N2J": _grown(id_N, row["path_N2J"], row["last_N"], source),
            "last_N": id_N,
            "log_p_N": row["next_NV"].gather(1, id_N[:, None])[:, 0].clamp_min(_NEVER),
        }
    prefix_NV = _longer(row["path_N2J"], row["last_N"], source["p_BSV"])
    return (prefix_NV - row["log_p_N"][:, None]).clamp_max(0.0), {**row, "next_NV": prefix_NV}


def ctc_forward(previous_BT: Tensor, row: dict[str, Tensor], source: dict[str, Tensor]) -> Tensor:
    """What `ctc_step` says after each token of some targets, BEGIN the first of them -> log_psi_BTV."""
    _, *tokens = previous_BT.unbind(1)
    last, paths = [row["last_N"], *tokens], [row["path_N2J"]]
    for before, id_B in zip(last, tokens, strict=False):
        paths.append(_grown(id_B, paths[-1], before, source))
    prefix_NV = _longer(torch.stack(paths, 1).flatten(0, 1), torch.stack(last, 1).flatten(), source["p_BSV"])
    prefix_BTV = prefix_NV.view(*previous_BT.shape, -1)
    log_p_BT = F.pad(prefix_BTV[:, :-1].gather(2, previous_BT[:, 1:, None])[..., 0], (1, 0)).clamp_min(_NEVER)
    return (prefix_BTV - log_p_BT[:, :, None]).clamp_max(0.0)


def _longer(path_N2J: Tensor, last_N: Tensor, p_BSV: Tensor) -> Tensor:
    """The log-probability of each row with one more token, and whatever may follow -> prefix_NV.

    A token may come first at any step: the sum over all of them, of the paths up to there times its probability.
    """
    most_N11 = path_N2J[:, :1].amax(2, keepdim=True)
    before_N2S = (path_N2J[:, :, :-1] - most_N11).exp()
    p_BYV = torch.bmm(before_N2S.view(len(p_BSV), -1, p_BSV.shape[1]), p_BSV)
    prefix_N2V = p_BYV.view(len(last_N), 2, -1).clamp_min(_TINY).log() + most_N11
    prefix_NV, after_blank_NV = prefix_N2V.unbind(1)
    prefix_NV = prefix_NV.scatter(1, last_N[:, None], after_blank_NV.gather(1, last_N[:, None]))  # a repetition
    prefix_NV[:, END] = path_N2J[:, 0, -1]
    return prefix_NV


def _grown(id_N: Tensor, path_N2J: Tensor, last_N: Tensor, source: dict[str, Tensor]) -> Tensor:
    """The paths of each row with one more token.

    Paths that end in the token: r(j) = p(j) (r(j - 1) + into(j - 1)), where into is all paths of the row before, or
    those in a blank where the token repeats. All: a(j) = r(j) + p_blank(j) a(j - 1). Unrolled, each is a cumulative sum
    of what comes in, over the product of all p before it.
    """
    sum_BVJ, blank_B1S = source["sum_BVJ"], source["blank_BS"][:, None]
    all_NJ, blank_NJ = path_N2J.unbind(1)
    into_NJ = torch.where((id_N == last_N)[:, None], blank_NJ, all_NJ)
    sum_BWJ = sum_BVJ.gather(1, id_N.view(len(sum_BVJ), -1, 1).expand(-1, -1, sum_BVJ.shape[2]))
    quiet_B1S = sum_BVJ[:, BLANK : BLANK + 1, 1:]
    came_BWS = (into_NJ.view_as(sum_BWJ) - sum_BWJ)[:, :, :-1].logcumsumexp(2)
    all_BWS = (came_BWS + (sum_BWJ[:, :, 1:] - quiet_B1S)).logcumsumexp(2) + quiet_B1S
    all_BWS = all_BWS.clamp_min(_NEVER)
    never_BW2 = torch.full_like(all_BWS[:, :, :1], _NEVER).expand(-1, -1, 2)
    both = [never_BW2[:, :, :1], all_BWS, never_BW2, all_BWS[:, :, :-1] + blank_B1S[:, :, 1:]]
    return torch.cat(both, 2).view_as(path_N2J)
