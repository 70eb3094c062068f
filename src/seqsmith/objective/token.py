"""Cross-entropy over a vocabulary, with label smoothing (Szegedy et al. 2016, section 7), at real positions only.

Smoothing mixes the true token with the uniform distribution over the whole vocabulary:
loss = -(1 - e) log p(y) - e/V sum_v log p(v).

R-Drop (Liang et al. 2021, equation 4) makes two answers to the same batch, with different dropout, agree: to the mean
of their losses it adds a/4 [KL(p | q) + KL(q | p)], the paper's loss halved, so that a = 0 is training without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from seqsmith.batch import Projection, Scores, exact, rows_rounded
from seqsmith.model.linear import ROUND_ROWS, halved

_CHUNK_NUMBERS = 2_000_000  # logits made at once: 8 MB in fp32, so that they stay in cache and out of mmap
_ROUND_FEW_ROWS = 32  # of pieces smaller than a round number of rows in bf16 (model/linear.py)


@dataclass(frozen=True)
class Loss:
    """Sums over `count` positions, in nats."""

    loss_nats: Tensor  # with smoothing: what is minimised
    truth_nats: Tensor  # -log p of the true tokens, without smoothing and gradient
    count: int


def token_loss(scores: Projection | Scores, id_P: Tensor, *, smoothing: float, r_drop: float = 0.0) -> Loss:
    """The loss of what a model says where `id_P` is true. With `r_drop` the first half of the positions and the second
    are two answers to the same, and what they disagree on is added to the sum over both."""
    if isinstance(scores, Projection):
        parts = (scores.hidden_PD, scores.weight_VD, scores.bias_V)
        return linear_cross_entropy(*parts, id_P, smoothing=smoothing, r_drop=r_drop)
    return cross_entropy(scores.logit_PV, id_P, smoothing=smoothing, r_drop=r_drop)


def likeliest(scores: Projection | Scores) -> Tensor:
    """What a model would say at each position -> id_P. Of logits not yet made only a piece exists at a time."""
    if isinstance(scores, Scores):
        return scores.logit_PV.argmax(-1)
    pieces = torch.split(scores.hidden_PD, _piece_rows(len(scores.hidden_PD), scores.weight_VD))
    return torch.cat([F.linear(piece, scores.weight_VD, scores.bias_V).argmax(-1) for piece in pieces])


def cross_entropy(logit_PV: Tensor, id_P: Tensor, *, smoothing: float, r_drop: float = 0.0) -> Loss:
    """The loss of whole logits."""
    log_p_PV = exact(logit_PV).log_softmax(-1)
    truth = F.nll_loss(log_p_PV, id_P, reduction="sum")
    loss = truth if smoothing == 0.0 else (1 - smoothing) * truth - smoothing * log_p_PV.mean(-1).sum()
    if r_drop:
        first_HV, second_HV = log_p_PV.chunk(2)
        loss = loss + r_drop / 2 * ((first_HV.exp() - second_HV.exp()) * (first_HV - second_HV)).sum()
    return Loss(loss, truth.detach(), len(id_P))


def linear_cross_entropy(
    hidden_PD: Tensor, weight_VD: Tensor, bias_V: Tensor, id_P: Tensor, *, smoothing: float, r_drop: float = 0.0
) -> Loss:
    """The loss of logits hidden weight' + bias, of which only a piece exists at a time."""
    parts = halved(hidden_PD), halved(weight_VD), halved(bias_V)
    loss, truth = _Chunked.apply(*parts, id_P, smoothing, r_drop)  # type: ignore[no-untyped-call]
    return Loss(loss, truth.detach(), len(id_P))


def _piece_rows(positions: int, weight_VD: Tensor) -> int:
    """How many rows of logits to make at once: pieces of one size, as few sizes as can be over many batches."""
    pieces = -(-positions * len(weight_VD) // _CHUNK_NUMBERS)
    rows = -(-positions // max(1, pieces))
    step = _rows_step(rows, weight_VD.dtype)
    return max(1, -(-rows // step) * step)


def _rows_step(rows: int, dtype: torch.dtype) -> int:
    """What numbers of rows are multiples of."""
    if dtype != torch.bfloat16:
        return 1
    return ROUND_ROWS if rows >= ROUND_ROWS else _ROUND_FEW_ROWS


class _Chunked(torch.autograd.Function):
    """Gradients are made beside the loss, piece by piece, since the logits are not kept for a backward pass.

    With R-Drop the positions are two halves (R = 2), of which a piece has the same H, the first answer's first.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden_PD: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor,
        id_P: Tensor,
        smoothing: float,
        r_drop: float,
    ) -> tuple[Tensor, Tensor]:
        exact = torch.float64 if hidden_PD.dtype == torch.float64 else torch.float32
        vocabulary, answers = len(weight_VD), 2 if r_drop else 1
        total = hidden_PD.new_zeros(2, dtype=exact)
        wanted = any(ctx.needs_input_grad[:3])
        grad_hidden_PD = torch.empty_like(hidden_PD if wanted else hidden_PD[:0])
        grad_weight_VD = torch.zeros_like(weight_VD if wanted else weight_VD[:0], dtype=exact)
        grad_bias_V = torch.zeros_like(bias_V, dtype=exact)
        one_V = hidden_PD.new_ones(vocabulary, dtype=exact)
        hidden_RHD, id_RH = hidden_PD.view(answers, -1, hidden_PD.shape[1]), id_P.view(answers, -1)
        rows = max(1, _piece_rows(len(id_P), weight_VD) // answers)
        step = _rows_step(rows, hidden_PD.dtype)
        for begin in range(0, id_RH.shape[1], rows):
            piece = slice(begin, begin + rows)
            truth = id_RH[:, piece].reshape(-1, 1)
            hidden = rows_rounded(hidden_RHD[:, piece].flatten(0, 1), step)
            log_p = F.linear(hidden, weight_VD, bias_V)[: len(truth)].to(exact).log_softmax(-1)
            truth_nats = -log_p.gather(1, truth).sum()
            total[1] += truth_nats
            total[0] += (1 - smoothing) * truth_nats
            if smoothing:
                total[0] -= smoothing / vocabulary * torch.mv(log_p, one_V).sum()
            disagreement = _disagreement(log_p) if r_drop else None
            if disagreement is not None:
                total[0] += r_drop * disagreement[0]
            if not wanted:
                continue
            # d loss / d logit = p - (1 - e) [true] - e/V; the last term is the same everywhere and is added at the end.
            slope = log_p.exp_().scatter_add_(1, truth, log_p.new_full((), smoothing - 1.0).expand(truth.shape))
            if disagreement is not None:
                slope.add_(disagreement[1], alpha=r_drop)
            grad_bias_V += torch.mv(slope.t(), one_V[:1].expand(len(slope)))
            slope = rows_rounded(slope.to(hidden.dtype), step)
            grad = (slope @ weight_VD)[: len(truth)]
            grad_hidden_PD.view_as(hidden_RHD)[:, piece] = grad.view(answers, -1, grad.shape[1])
            if exact == hidden.dtype:
                grad_weight_VD.addmm_(slope.t(), hidden)
            else:
                grad_weight_VD += slope.t() @ hidden
        if wanted and smoothing:
            even = smoothing / vocabulary
            grad_hidden_PD -= even * weight_VD.sum(0)
            grad_weight_VD -= even * hidden_PD.sum(0, dtype=exact)
            grad_bias_V -= even * len(id_P)
        ctx.save_for_backward(grad_hidden_PD, grad_weight_VD.to(weight_VD.dtype), grad_bias_V.to(bias_V.dtype))
        loss, truth = total
        ctx.mark_non_differentiable(truth)
        return loss, truth

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor, _grad_truth: Tensor) -> tuple[Tensor | None, ...]:
        return (*(grad * grad_loss.to(grad.dtype) for grad in ctx.saved_tensors), None, None, None)


def _disagreement(log_p_PV: Tensor) -> tuple[Tensor, Tensor]:
    """Half of KL(p | q) + KL(q | p), summed over positions, of the answers p (first half) and q, and its slope by the
    logits: 1/2 [p (log p - log q - KL(p | q)) + p - q] for those of p, and the mirror image for those of q."""
    log_p, log_q = log_p_PV.chunk(2)
    p, q = log_p.exp(), log_q.exp()
    gap, lead = log_p - log_q, p - q
    toward_q = (p * gap).sum(1, keepdim=True)
    toward_p = -(q * gap).sum(1, keepdim=True)
    slope_p = p.mul_(gap - toward_q).add_(lead)
    slope_q = q.mul_(gap + toward_p).add_(lead).neg_()
    return (toward_q + toward_p).sum() / 2, torch.cat([slope_p, slope_q]).mul_(0.5)
