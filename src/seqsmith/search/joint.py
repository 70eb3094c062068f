"""Joint decoding: CTC (Watanabe et al. 2017, section 2.3) or a language model beside the decoder.

A joint score is a weighted sum of log-probabilities, w_1 log p_1 + w_2 log p_2 with weights that add up to at least 1.
By Hoelder's inequality such scores, as probabilities, add up to at most 1. What is missing goes to PAD, which no answer
may hold: so a search that normalises what it is given finds the sums as they are, no token raises a score, and beam
search needs to know nothing of any of this.

The CTC's share is the prefix probability: of all targets that begin so. It is updated for the token that was chosen
and looked up for all that may follow at once, with two cumulative sums over the encoder's steps where the paper
(algorithm 2) has loops over steps and tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from seqsmith.batch import State, Step, exact
from seqsmith.search.ctc import BLANK, LEAST
from seqsmith.special import BEGIN, END, PAD, UNKNOWN

_NEVER = -1e10  # as good as no probability; finite, so that it can be summed and taken away again


def with_leftover(log_p_NV: Tensor) -> Tensor:
    """With PAD taking what the others leave of the probability, so that each row is normalised."""
    others = log_p_NV.clone()
    others[:, PAD] = -float("inf")
    rest_N = (1.0 - others.logsumexp(1).exp()).clamp_min(0.0).log()
    others[:, PAD] = rest_N
    return others


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
        log_p_NV = exact(logit_NV).double().log_softmax(1)
        mixed_NV = (1 - weight) * log_p_NV + weight * log_psi_NV if weight < 1.0 else log_psi_NV
        return with_leftover(mixed_NV), paired(first, State(row, state.source[1]))

    return joint


def ctc_state(log_p_BSV: Tensor, length_B: Tensor) -> State:
    """What the CTC's share of a step needs, from what its head says at the encoder's steps (padding on the right).

    After a source's end only blanks follow, so what holds at the last step of the batch holds for every source.
    """
    log_p_BSV = log_p_BSV.double().clamp_min(LEAST)
    real_BS1 = (torch.arange(log_p_BSV.shape[1], device=log_p_BSV.device) < length_B[:, None])[..., None]
    log_p_BSV = log_p_BSV.where(real_BS1, LEAST)
    log_p_BSV[:, :, BLANK] = log_p_BSV[:, :, BLANK].where(real_BS1[..., 0], 0.0)
    blank_BS = log_p_BSV[:, :, BLANK].cumsum(1)
    row = {
        "symbol_NS": torch.full_like(blank_BS, _NEVER),
        "blank_NS": blank_BS,
        "last_N": torch.full_like(length_B, PAD),
        "log_p_N": torch.zeros_like(blank_BS[:, 0]),
    }
    return State(row, {"log_p_BSV": log_p_BSV, "real_BS1": real_BS1})


def ctc_step(id_N: Tensor, row: dict[str, Tensor], source: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """Take in a token for each row -> the log-probability that each token comes next, given those so far."""
    log_p_BSV, real_BS1 = source["log_p_BSV"], source["real_BS1"]
    width = len(id_N) // len(log_p_BSV)
    log_p_NSV = log_p_BSV.repeat_interleave(width, 0) if width > 1 else log_p_BSV
    real_NS1 = real_BS1.repeat_interleave(width, 0) if width > 1 else real_BS1
    row = _grown(id_N, row, log_p_NSV)
    symbol_NS, blank_NS, last_N, prefix_N = (row[name] for name in ("symbol_NS", "blank_NS", "last_N", "log_p_N"))
    before_NS = _before(torch.logaddexp(symbol_NS, blank_NS), empty_N=last_N == PAD)
    way_NSV = (before_NS[..., None] + log_p_NSV).masked_fill(~real_NS1, -float("inf"))
    prefix_NV = way_NSV.logsumexp(1)
    after_blank_NS = _before(blank_NS, empty_N=last_N == PAD)
    own_NS = log_p_NSV.gather(2, last_N[:, None, None].expand(-1, log_p_NSV.shape[1], 1))[..., 0]
    repeated_N = (after_blank_NS + own_NS).masked_fill(~real_NS1[..., 0], -float("inf")).logsumexp(1)
    prefix_NV = prefix_NV.scatter(1, last_N[:, None], repeated_N[:, None])
    prefix_NV[:, END] = torch.logaddexp(symbol_NS[:, -1], blank_NS[:, -1])
    prefix_NV[:, PAD] = -float("inf")
    return (prefix_NV - prefix_N[:, None]).clamp_max(0.0), {**row, "next_NV": prefix_NV}


def _grown(id_N: Tensor, row: dict[str, Tensor], log_p_NSV: Tensor) -> dict[str, Tensor]:
    """The row with one more token: what paths to each step end in it, and in a blank after it."""
    if "next_NV" not in row:  # before the first step, when BEGIN comes in
        assert bool((id_N == BEGIN).all())
        return row
    symbol_NS, blank_NS, last_N = row["symbol_NS"], row["blank_NS"], row["last_N"]
    own_NS = log_p_NSV.gather(2, id_N[:, None, None].expand(-1, log_p_NSV.shape[1], 1))[..., 0]
    total_NS = torch.where((id_N == last_N)[:, None], blank_NS, torch.logaddexp(symbol_NS, blank_NS))
    # r(s) = p(s) + logaddexp(r(s - 1), before(s)) unrolled: a cumulative sum of what comes in, each over what follows
    before_NS = _before(total_NS, empty_N=last_N == PAD)
    grown_NS = _accumulated(before_NS, own_NS)
    quiet_NS = _accumulated(
        _before(grown_NS, empty_N=torch.zeros_like(last_N, dtype=torch.bool)), log_p_NSV[:, :, BLANK]
    )
    return {
        "symbol_NS": grown_NS.clamp_min(_NEVER),
        "blank_NS": quiet_NS.clamp_min(_NEVER),
        "last_N": id_N,
        "log_p_N": row["next_NV"].gather(1, id_N[:, None])[:, 0].clamp_min(_NEVER),
    }


def _accumulated(into_NS: Tensor, log_p_NS: Tensor) -> Tensor:
    """r(s) = log_p(s) + logaddexp(r(s - 1), into(s)) for all steps at once."""
    sum_NS = log_p_NS.cumsum(1)
    return sum_NS + (into_NS - sum_NS + log_p_NS).logcumsumexp(1)


def _before(x_NS: Tensor, *, empty_N: Tensor) -> Tensor:
    """What held a step earlier; before the first step the empty prefix is certain, and any other impossible."""
    first_N1 = torch.where(empty_N, 0.0, _NEVER).to(x_NS.dtype)[:, None]
    return torch.cat([first_N1, x_NS[:, :-1]], dim=1)
