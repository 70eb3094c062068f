"""Cross-entropy over a vocabulary, with label smoothing (Szegedy et al. 2016, section 7), at real positions only.

Smoothing mixes the true token with the uniform distribution over the whole vocabulary:
loss = -(1 - e) log p(y) - e/V sum_v log p(v).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from seqsmith.batch import Projection, Scores, exact

_CHUNK_NUMBERS = 2_000_000  # logits made at once: 8 MB in fp32, so that they stay in cache and out of mmap


@dataclass(frozen=True)
class Loss:
    """Sums over `count` positions, in nats."""

    loss_nats: Tensor  # with smoothing: what is minimised
    truth_nats: Tensor  # -log p of the true tokens, without smoothing and gradient
    count: int


def token_loss(scores: Projection | Scores, id_P: Tensor, *, smoothing: float) -> Loss:
    """The loss of what a model says where `id_P` is true."""
    if isinstance(scores, Projection):
        return linear_cross_entropy(scores.hidden_PD, scores.weight_VD, scores.bias_V, id_P, smoothing=smoothing)
    return cross_entropy(scores.logit_PV, id_P, smoothing=smoothing)


def likeliest(scores: Projection | Scores) -> Tensor:
    """What a model would say at each position -> id_P. Of logits not yet made only a piece exists at a time."""
    if isinstance(scores, Scores):
        return scores.logit_PV.argmax(-1)
    pieces = torch.split(scores.hidden_PD, _piece_rows(scores.weight_VD))
    return torch.cat([F.linear(piece, scores.weight_VD, scores.bias_V).argmax(-1) for piece in pieces])


def cross_entropy(logit_PV: Tensor, id_P: Tensor, *, smoothing: float) -> Loss:
    """The loss of whole logits."""
    log_p_PV = exact(logit_PV).log_softmax(-1)
    truth = F.nll_loss(log_p_PV, id_P, reduction="sum")
    loss = truth if smoothing == 0.0 else (1 - smoothing) * truth - smoothing * log_p_PV.mean(-1).sum()
    return Loss(loss, truth.detach(), len(id_P))


def linear_cross_entropy(
    hidden_PD: Tensor, weight_VD: Tensor, bias_V: Tensor, id_P: Tensor, *, smoothing: float
) -> Loss:
    """The loss of logits hidden weight' + bias, of which only a piece exists at a time."""
    if torch.is_autocast_enabled(hidden_PD.device.type):
        half = torch.get_autocast_dtype(hidden_PD.device.type)
        hidden_PD, weight_VD, bias_V = hidden_PD.to(half), weight_VD.to(half), bias_V.to(half)
    loss, truth = _Chunked.apply(hidden_PD, weight_VD, bias_V, id_P, smoothing)  # type: ignore[no-untyped-call]
    return Loss(loss, truth.detach(), len(id_P))


def _piece_rows(weight_VD: Tensor) -> int:
    return max(1, _CHUNK_NUMBERS // len(weight_VD))


class _Chunked(torch.autograd.Function):
    """Gradients are made beside the loss, piece by piece, since the logits are not kept for a backward pass."""

    @staticmethod
    def forward(
        ctx: Any, hidden_PD: Tensor, weight_VD: Tensor, bias_V: Tensor, id_P: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        exact = torch.float64 if hidden_PD.dtype == torch.float64 else torch.float32
        vocabulary = len(weight_VD)
        total = hidden_PD.new_zeros(2, dtype=exact)
        wanted = any(ctx.needs_input_grad[:3])
        grad_hidden_PD = torch.empty_like(hidden_PD if wanted else hidden_PD[:0])
        grad_weight_VD = torch.zeros_like(weight_VD if wanted else weight_VD[:0], dtype=exact)
        grad_bias_V = torch.zeros_like(bias_V, dtype=exact)
        one_V = hidden_PD.new_ones(vocabulary, dtype=exact)
        rows = _piece_rows(weight_VD)
        for begin in range(0, len(id_P), rows):
            piece = slice(begin, begin + rows)
            hidden, truth = hidden_PD[piece], id_P[piece, None]
            log_p = F.linear(hidden, weight_VD, bias_V).to(exact).log_softmax(-1)
            truth_nats = -log_p.gather(1, truth).sum()
            total[1] += truth_nats
            total[0] += (1 - smoothing) * truth_nats
            if smoothing:
                total[0] -= smoothing / vocabulary * torch.mv(log_p, one_V).sum()
            if not wanted:
                continue
            # d loss / d logit = p - (1 - e) [true] - e/V; the last term is the same everywhere and is added at the end.
            slope = log_p.exp_().scatter_add_(1, truth, log_p.new_full((), smoothing - 1.0).expand(truth.shape))
            grad_bias_V += torch.mv(slope.t(), one_V[:1].expand(len(slope)))
            slope = slope.to(hidden.dtype)
            torch.mm(slope, weight_VD, out=grad_hidden_PD[piece])
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
        return (*(grad * grad_loss.to(grad.dtype) for grad in ctx.saved_tensors), None, None)
