"""Teacher forcing and what softens it: the loss of a whole batch in one or two calls of the model."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from seqsmith.batch import Batch, Output, Tokens, exact
from seqsmith.objective.alignment import alignment_loss, mixed
from seqsmith.objective.token import Loss, likeliest, token_loss


class Forward(Protocol):
    """What a model says at the real target positions of a batch; `previous_BT`, where it is not None, is fed to its
    decoder in place of the target. Where it looks is told if it is asked for."""

    def __call__(self, batch: Batch, previous_BT: Tensor | None, *, attention: bool = ...) -> Output: ...


def teacher_forced(
    forward: Forward,
    batch: Batch,
    *,
    smoothing: float,
    own_words: float = 0.0,
    coverage: float = 0.0,
    ctc: float = 0.0,
    r_drop: float = 0.0,
) -> Loss:
    """Cross-entropy of the target, of which a share of `own_words` is fed back as the model would have said it.

    With `coverage` that many times the overlap of the attention is added (See et al. 2017, equation 13); `ctc` is the
    weight of the CTC head, if the model has one. With `r_drop` each example is answered twice, with dropout of its own,
    and the answers are made to agree (Liang et al. 2021).
    """
    previous_BT = own_previous(forward, batch, own_words) if own_words > 0.0 else None
    if r_drop:
        batch, previous_BT = batch.twice(), None if previous_BT is None else previous_BT.repeat(2, 1)
    assert batch.target is not None
    said = forward(batch, previous_BT, attention=coverage > 0.0)
    loss = token_loss(said.scores, batch.target.id_P, smoothing=smoothing, r_drop=r_drop)
    if coverage:
        assert said.attention_PS is not None
        loss = replace(loss, loss_nats=loss.loss_nats + coverage * overlap(said.attention_PS, batch.target))
    if ctc and said.aligned is not None:
        loss = mixed(loss, alignment_loss(said.aligned, batch.target), weight=ctc)
    return Loss(loss.loss_nats / 2, loss.truth_nats / 2, loss.count // 2) if r_drop else loss


@torch.no_grad()
def own_previous(forward: Forward, batch: Batch, share: float) -> Tensor:
    """The decoder's input with a share of its words replaced by the model's own likeliest ones -> id_BT.

    Scheduled sampling (Bengio et al. 2015) in two passes (Mihaylova & Martins 2019), so that it costs one more call and
    not a call a step, for every kind of decoder.
    """
    target = batch.target
    assert target is not None
    own_P = likeliest(forward(batch, None).scores)
    mixed_P = torch.where(torch.rand(own_P.shape, device=own_P.device) < share, own_P, target.id_P)
    mixed_BT = target.id_BL.flatten().index_copy(0, target.position_P, mixed_P).view_as(target.id_BL)
    return replace(target, id_BL=mixed_BT).previous()


def overlap(attention_PS: Tensor, target: Tokens) -> Tensor:
    """How much each step looks at what the steps before it looked at, summed (See et al. 2017, equation 12).

    Whether the attention itself sees its coverage (equation 11) is the decoder's affair.
    """
    attention_PS = exact(attention_PS)
    row_P = target.position_P // target.id_BL.shape[1]
    before_PS = attention_PS.cumsum(0, dtype=torch.float64) - attention_PS  # over all rows: a long sum
    first_P = torch.searchsorted(row_P, row_P)  # where each position's own row begins
    return torch.minimum(attention_PS, (before_PS - before_PS[first_P]).to(attention_PS.dtype)).sum()
