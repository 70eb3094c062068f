"""How a model speaks: decoder states become scores over the target vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqsmith.batch import Mixture, Projection, Scores, exact


class VocabularyOutlet(nn.Module):
    """A linear layer whose weight may be the target embedding's (Press & Wolf 2017)."""

    def __init__(self, size: int, width: int, *, tied: nn.Embedding | None):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(size, width) * width**-0.5) if tied is None else tied.weight
        self.bias = nn.Parameter(torch.zeros(size))

    def forward(self, y_PD: Tensor, _attention_PS: Tensor | None = None, _id_PS: Tensor | None = None) -> Projection:
        """Only `CopyOutlet` uses the attention and the source."""
        return Projection(y_PD, self.weight, self.bias)

    def narrowed(self, id_U: Tensor) -> NarrowOutlet:
        """The outlet of these ids alone, in this order."""
        return NarrowOutlet(self.weight[id_U], self.bias[id_U])


@dataclass(frozen=True)
class NarrowOutlet:
    """A `VocabularyOutlet` of U of its ids."""

    weight_UD: Tensor
    bias_U: Tensor

    def __call__(self, y_PD: Tensor, _attention_PS: Tensor | None = None, _id_PS: Tensor | None = None) -> Projection:
        return Projection(y_PD, self.weight_UD, self.bias_U)


class CopyOutlet(nn.Module):
    """Speak from the vocabulary or point at the source (See et al. 2017, equations 8 and 9).

    The chance of copying a source token goes to the target token that looks the same; `target_of_source_V` maps ids,
    and what has no counterpart goes to UNKNOWN. Source ids behind these are words that have no other id, 0, 1, ... of
    each source: their chances go behind the vocabulary (section 2.2), and are -inf for sources that have fewer. Differs
    from the paper: the gate sees the attentional state, which holds the context vector, and not the decoder's input.

    Axes: A words copied so, X the vocabulary and these.
    """

    def __init__(self, vocabulary: VocabularyOutlet, width: int, *, target_of_source: list[int]):
        super().__init__()
        self.vocabulary = vocabulary
        self.gate = nn.Linear(width, 1)
        self.register_buffer("target_of_source_V", torch.tensor(target_of_source))

    def forward(self, y_PD: Tensor, attention_PS: Tensor, id_PS: Tensor) -> Mixture:
        same = self.get_buffer("target_of_source_V")
        own_P = (id_PS.amax(1) + 1 - len(same)).clamp_min(0)
        own_A = torch.arange(int(own_P.max()), device=own_P.device)
        make = partial(_mixed, id_PS, own_P, own_A, same)
        speak = self.vocabulary(y_PD)
        inputs = y_PD, attention_PS, self.gate.weight, self.gate.bias, speak.weight_VD, speak.bias_V
        return Mixture(make, inputs, (len(y_PD), len(speak.bias_V) + len(own_A)))


def _mixed(
    id_PS: Tensor,
    own_P: Tensor,
    own_A: Tensor,
    same: Tensor,
    some: Tensor | slice,
    y_PD: Tensor,
    attention_PS: Tensor,
    gate_1D: Tensor,
    gate_1: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor,
) -> Scores:
    """The logits of some of the positions; `own_P` words of their sources, of `own_A`, stand behind the vocabulary, and
    `same` is the target id of each source id."""
    y_PD, attention_PS, id_PS, own_P = y_PD[some], attention_PS[some], id_PS[some], own_P[some]
    logit_P1 = exact(F.linear(y_PD, gate_1D, gate_1))
    spoken_PV = exact(F.linear(y_PD, weight_VD, bias_V)).log_softmax(-1) + F.logsigmoid(logit_P1)
    pointed_PS = exact(attention_PS) * torch.sigmoid(-logit_P1)
    P, V = spoken_PV.shape
    target_PS = torch.cat([same, V + own_A])[id_PS]
    copied_PX = spoken_PV.new_zeros(P, V + len(own_A)).scatter_add(1, target_PS, pointed_PS)
    log_copied_PX = copied_PX.clamp_min(torch.finfo(torch.float32).tiny).log()
    if not len(own_A):
        return Scores(torch.logaddexp(spoken_PV, log_copied_PX))
    logit_PV = torch.logaddexp(spoken_PV, log_copied_PX[:, :V])
    own_PA = log_copied_PX[:, V:].masked_fill(own_A >= own_P[:, None], -torch.inf)
    return Scores(torch.cat([logit_PV, own_PA], dim=1), len(own_A))
