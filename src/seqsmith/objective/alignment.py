"""Connectionist temporal classification (Graves et al. 2006): a target without its alignment to the encoder's steps.

The probability of a target is the sum over all its alignments: each step says a symbol or the blank, repetitions are
joined, then blanks fall away. A blank is PAD, which no target holds. Mixed with the decoder's cross-entropy it keeps
the attention from wandering while it is still untrained (Watanabe et al. 2017, equation 4): loss = (1 - w) attention
+ w CTC, both as sums over the batch in nats.

A target that needs more steps than its source has (a step for each symbol and one between equal neighbours) has no
alignment: it costs nothing. How many these are is told before training.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from seqsmith import config
from seqsmith.batch import Aligned, Tokens, exact
from seqsmith.data.ragged import Ragged
from seqsmith.objective.token import Loss
from seqsmith.special import PAD


def alignment_loss(aligned: Aligned, target: Tokens) -> Tensor:
    """-log p of the targets by what a model says at the encoder's steps, summed, in nats; without those that have no
    alignment. Targets are taken without their END."""
    logit_PV = aligned.scores.logits()
    log_p_PV = exact(logit_PV).log_softmax(-1)
    steps = aligned.length_B.tolist()
    log_p_SBV = torch.nn.utils.rnn.pad_sequence(list(torch.split(log_p_PV, steps)))
    length_B = target.length_B - 1
    possible_B = steps_needed(target.id_BL, length_B) <= aligned.length_B
    nats_B = F.ctc_loss(
        log_p_SBV,
        target.id_BL,
        aligned.length_B,
        length_B,
        blank=PAD,
        reduction="none",
        zero_infinity=True,
    )
    return nats_B.where(possible_B, 0.0).sum()


def steps_of(frames: NDArray[Any], model: config.Model) -> NDArray[Any]:
    """How many steps the encoder makes of so many frames: halves, rounded up."""
    halves = ((model.subsample or 1) - 1).bit_length()
    if isinstance(model.encoder, config.RecurrentEncoder) and model.encoder.pyramid:
        halves += model.encoder.layers - 1
    steps: NDArray[Any] = -(-frames // 2**halves)
    return steps


def steps_needed(id_BL: Tensor, length_B: Tensor) -> Tensor:
    """The fewest steps that a target of these first `length_B` ids can be aligned to -> steps_B."""
    place = torch.arange(1, id_BL.shape[1], device=id_BL.device)
    repeated = (id_BL[:, 1:] == id_BL[:, :-1]) & (place < length_B[:, None])
    return length_B + repeated.sum(1)


def fewest_steps(target: Ragged) -> NDArray[np.int64]:
    """`steps_needed` of many targets, each ended by END."""
    ids = np.asarray(target.value)
    second_R = 1 + np.flatnonzero(ids[1:] == ids[:-1])  # of two equal neighbours; END has none within its target
    row_R = np.searchsorted(target.offset, second_R, side="right") - 1
    within_R = second_R > target.offset[row_R]
    return target.lengths - 1 + np.bincount(row_R[within_R], minlength=len(target))


def mixed(attention: Loss, alignment: Tensor, *, weight: float) -> Loss:
    """(1 - weight) attention + weight CTC; what is told of the truth is the decoder's, if that is trained."""
    truth = alignment.detach() if weight == 1.0 else attention.truth_nats
    return Loss((1 - weight) * attention.loss_nats + weight * alignment, truth, attention.count)
