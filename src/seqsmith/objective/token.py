"""Cross-entropy over a vocabulary, with label smoothing (Szegedy et al. 2016, section 7), at real positions only.

Smoothing mixes the true token with the uniform distribution over the whole vocabulary:
loss = -(1 - e) log p(y) - e/V sum_v log p(v).

R-Drop (Liang et al. 2021, equation 4) makes two answers to the same batch, with different dropout, agree: to the mean
of their losses it adds a/4 [KL(p | q) + KL(q | p)], the paper's loss halved, so that a = 0 is training without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from seqsmith import native
from seqsmith.batch import Mixture, Projection, Scores, exact
from seqsmith.pieces import summed
from seqsmith.products import ROUND_FEW_ROWS, ROUND_ROWS, as_product_type, product, rows_rounded

_PIECE_BYTES = 1 << 24  # of the logits that are made at once
_BLOCK_NUMBERS = 1 << 21  # of them whose softmax is taken at once: 8 MB in fp32, so that they stay in cache


@dataclass(frozen=True)
class Loss:
    """Sums over `count` positions, in nats."""

    loss_nats: Tensor  # with smoothing: what is minimised
    truth_nats: Tensor  # -log p of the true tokens, without smoothing and gradient
    count: int


def token_loss(scores: Projection | Mixture | Scores, id_P: Tensor, *, smoothing: float, r_drop: float = 0.0) -> Loss:
    """The loss of what a model says where `id_P` is true. With `r_drop` the first half of the positions and the second
    are two answers to the same, and what they disagree on is added to the sum over both."""
    if isinstance(scores, Projection):
        parts = (scores.hidden_PD, scores.weight_VD, scores.bias_V)
        return linear_cross_entropy(*parts, id_P, smoothing=smoothing, r_drop=r_drop)
    if isinstance(scores, Mixture):
        return _mixed_cross_entropy(scores, id_P, smoothing=smoothing, r_drop=r_drop)
    return cross_entropy(scores.logit_PV, id_P, smoothing=smoothing, r_drop=r_drop, copied=scores.copied)


def likeliest(scores: Projection | Mixture) -> Tensor:
    """What a model would say at each position -> id_P."""
    return torch.cat([logit_PV.argmax(-1) for logit_PV in _logits(scores)])


def true_log_p(scores: Projection | Mixture, id_P: Tensor) -> Tensor:
    """How likely the true tokens are, in nats and double precision -> log_p_P."""
    found: list[Tensor] = []
    rest = id_P[:, None]
    for logit in _logits(scores):
        true, rest = rest.tensor_split([len(logit)])
        found.append(logit.double().log_softmax(-1).gather(1, true))
    return torch.cat(found)[:, 0]


def _logits(scores: Projection | Mixture) -> Iterator[Tensor]:
    """Those of some positions after the other, so that only a piece exists at a time."""
    if isinstance(scores, Mixture):
        for some in _pieces_of(scores, answers=1):
            yield from torch.split(scores.make(some, *scores.inputs).logit_PV, _block_rows(scores.shape[1]))
    else:
        for hidden_PD in torch.split(scores.hidden_PD, _block_rows(len(scores.weight_VD))):
            yield F.linear(hidden_PD, scores.weight_VD, scores.bias_V)


def cross_entropy(logit_PX: Tensor, id_P: Tensor, *, smoothing: float, r_drop: float = 0.0, copied: int = 0) -> Loss:
    """The loss of whole logits, X of them. Of these the last `copied` have no part in smoothing: see `Scores`."""
    log_p_PX = exact(logit_PX).log_softmax(-1)
    truth = F.nll_loss(log_p_PX, id_P, reduction="sum")
    parts = [log_p_PX]
    if copied:
        copied_PA = log_p_PX[:, -copied:]
        parts = [log_p_PX[:, :-copied], copied_PA.masked_fill(copied_PA == -torch.inf, 0.0)]
    loss = truth if smoothing == 0.0 else (1 - smoothing) * truth - smoothing * parts[0].mean(-1).sum()
    for part in parts if r_drop else ():
        first, second = part.chunk(2)
        loss = loss + r_drop / 2 * ((first.exp() - second.exp()) * (first - second)).sum()
    return Loss(loss, truth.detach(), len(id_P))


def _mixed_cross_entropy(scores: Mixture, id_P: Tensor, *, smoothing: float, r_drop: float) -> Loss:
    """The loss of logits of which only a piece exists at a time."""

    def of(some: Tensor, *inputs: Tensor) -> Tensor:
        loss = token_loss(scores.make(some, *inputs), id_P[some], smoothing=smoothing, r_drop=r_drop)
        return torch.stack([loss.loss_nats, loss.truth_nats])

    loss, truth = summed(of, _pieces_of(scores, answers=2 if r_drop else 1), inputs=scores.inputs)
    return Loss(loss, truth.detach(), len(id_P))


def _pieces_of(scores: Mixture, *, answers: int) -> Sequence[Tensor]:
    """Positions whose logits are few, those of two answers together."""
    positions, logits = scores.shape
    index_RH = torch.arange(positions, device=scores.inputs[0].device).view(answers, -1)
    rows = max(1, _PIECE_BYTES // torch.float32.itemsize // logits // answers)
    return [some.flatten() for some in torch.split(index_RH, rows, dim=1)]


def linear_cross_entropy(
    hidden_PD: Tensor, weight_VD: Tensor, bias_V: Tensor, id_P: Tensor, *, smoothing: float, r_drop: float = 0.0
) -> Loss:
    """The loss of logits hidden weight' + bias, of which only a piece exists at a time."""
    inputs = as_product_type(hidden_PD), weight_VD, bias_V
    if not torch.is_grad_enabled():  # a function of autograd is not told
        inputs = inputs[0].detach(), weight_VD.detach(), bias_V.detach()
    loss, truth = _Chunked.apply(*inputs, id_P, smoothing, r_drop)  # type: ignore[no-untyped-call]
    return Loss(loss, truth.detach(), len(id_P))


def _piece_rows(positions: int, logits: int, dtype: torch.dtype) -> int:
    """How many rows of so many logits to make at once: pieces of one size, as few sizes as can be over many batches."""
    pieces = -(-positions * logits * dtype.itemsize // _PIECE_BYTES)
    rows = -(-positions // max(1, pieces))
    step = _rows_step(rows, logits, dtype)
    return max(1, -(-rows // step) * step)


def _block_rows(logits: int) -> int:
    """How many rows of so many logits stay in cache."""
    rows = max(1, _BLOCK_NUMBERS // logits)
    step = next((step for step in (ROUND_ROWS, ROUND_FEW_ROWS) if step <= rows), 1)
    return rows // step * step


def _rows_step(rows: int, logits: int, dtype: torch.dtype) -> int:
    """What numbers of rows are multiples of: in bf16 a kernel is compiled for each (products.py)."""
    if dtype != torch.bfloat16:
        return 1
    return next((step for step in (_block_rows(logits), ROUND_ROWS) if step <= rows), ROUND_FEW_ROWS)


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
        weight, bias = weight_VD.to(hidden_PD.dtype), bias_V.to(hidden_PD.dtype)
        dtype = torch.promote_types(hidden_PD.dtype, torch.float32)
        vocabulary, answers = len(weight), 2 if r_drop else 1
        wanted = any(ctx.needs_input_grad[:3])
        hidden_sum_D, weight_sum_D = hidden_PD.sum(0, dtype=dtype), weight.sum(0, dtype=dtype)
        logit_sum = hidden_sum_D @ weight_sum_D + len(id_P) * bias.sum(dtype=dtype)
        truth, loss = exact(hidden_PD.new_zeros(())), -smoothing / vocabulary * logit_sum
        # d loss / d logit = p - (1 - e) [true] - e/V; the last term is the same everywhere and is where sums begin.
        # They have no rows where they are not wanted.
        even = smoothing / vocabulary if wanted else 0.0
        grad_hidden = (-even * weight_sum_D).to(hidden_PD.dtype).repeat(len(id_P) if wanted else 0, 1)
        grad_weight = (-even * hidden_sum_D).repeat(vocabulary if wanted else 0, 1)
        grad_bias = torch.full_like(bias, -even * len(id_P), dtype=dtype)
        hidden_RHD, id_RH = hidden_PD.view(answers, -1, hidden_PD.shape[1]), id_P.view(answers, -1)
        logits_of = product(weight, bias)
        rows = max(1, _piece_rows(len(id_P), vocabulary, hidden_PD.dtype) // answers)
        step = _rows_step(rows, vocabulary, hidden_PD.dtype)
        for begin in range(0, id_RH.shape[1], rows):
            piece = slice(begin, begin + rows)
            hidden, true = hidden_RHD[:, piece].flatten(0, 1), id_RH[:, piece]
            real = len(hidden)
            hidden = rows_rounded(hidden, step)
            slope = logit = logits_of(hidden)
            sums = _to_slopes(logit[:real].view(answers, -1, vocabulary), true, smoothing, r_drop, wanted=wanted)
            truth, loss = truth + sums[0], loss + sums[1]
            if not wanted:
                continue
            slope[real:] = 0.0
            grad = torch.cat([part @ weight for part in torch.split(slope, _block_rows(vocabulary))])[:real]
            grad_hidden.view_as(hidden_RHD)[:, piece] += grad.view(answers, -1, grad.shape[1])
            grad_bias += slope.sum(0)
            if dtype == slope.dtype:
                grad_weight.addmm_(slope.t(), hidden)
            else:
                grad_weight += slope.t() @ hidden
        ctx.save_for_backward(grad_hidden, grad_weight.to(weight_VD.dtype), grad_bias.to(bias_V.dtype))
        ctx.mark_non_differentiable(truth)
        return loss, truth

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor, _grad_truth: Tensor) -> tuple[Tensor | None, ...]:
        return (*(grad * grad_loss.to(grad.dtype) for grad in ctx.saved_tensors), None, None, None)


def _to_slopes(
    logit_RHV: Tensor, id_RH: Tensor, smoothing: float, r_drop: float, *, wanted: bool
) -> tuple[Tensor, Tensor]:
    """If `wanted`, overwrite the logits with d loss / d logit + e/V, of which the caller takes e/V off.

    Returns the sums of -log p of the true ids, by torch up to 87 nats each, and of the loss, of which the caller takes
    the mean logits off. On a GPU there is one block, as its kernels wait for no cache.
    """
    if wanted and not r_drop and native.know(logit_RHV):
        return native.to_slopes(logit_RHV.view(-1, logit_RHV.shape[2]), id_RH.flatten(), smoothing)
    answers, positions, vocabulary = logit_RHV.shape
    rows = positions if logit_RHV.is_cuda else max(1, _block_rows(vocabulary) // answers)
    truth_nats, loss_nats = exact(logit_RHV.new_zeros(2))
    for begin in range(0, positions, rows):
        block = logit_RHV[:, begin : begin + rows]
        true = id_RH[:, begin : begin + rows].reshape(-1, 1)
        logit = exact(block.flatten(0, 1))
        true_logit, p = logit.gather(1, true).sum(), logit.softmax(-1)
        nats = -p.gather(1, true).clamp_min_(torch.finfo(p.dtype).tiny).log_().sum()
        truth_nats += nats
        # -e/V sum_v log p(v) = e (log sum_v exp logit(v) - mean logit), and that logarithm is logit - log p anywhere
        loss_nats += nats + smoothing * true_logit
        if wanted:
            p.scatter_add_(1, true, p.new_full((), smoothing - 1.0).expand(true.shape))
        if r_drop:
            apart, slope = _disagreement(logit)
            loss_nats += r_drop * apart
            p.add_(slope, alpha=r_drop)
        if wanted:
            block.copy_(p.view_as(block))
        del logit, p  # so that the next block's take their place, which is in cache
    return truth_nats, loss_nats


def _disagreement(logit_PV: Tensor) -> tuple[Tensor, Tensor]:
    """Half of KL(p | q) + KL(q | p), summed over positions, of the answers p (first half) and q, and its slope by the
    logits: 1/2 [p (log p - log q - KL(p | q)) + p - q] for those of p, and the mirror image for those of q."""
    log_p, log_q = logit_PV.log_softmax(-1).chunk(2)
    p, q = log_p.exp(), log_q.exp()
    gap, lead = log_p - log_q, p - q
    toward_q = (p * gap).sum(1, keepdim=True)
    toward_p = -(q * gap).sum(1, keepdim=True)
    slope_p = p.mul_(gap - toward_q).add_(lead)
    slope_q = q.mul_(gap + toward_p).add_(lead).neg_()
    return (toward_q + toward_p).sum() / 2, torch.cat([slope_p, slope_q]).mul_(0.5)
