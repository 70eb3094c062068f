"""The reference engine: the model itself, by torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from seqsmith import config
from seqsmith.batch import Batch
from seqsmith.model.seq2seq import Seq2Seq
from seqsmith.search.answer import Answer
from seqsmith.search.beam import beam_search
from seqsmith.search.ensemble import ensemble, joined


@dataclass(frozen=True)
class TorchEngine:
    """One model, or several whose probabilities are averaged."""

    models: tuple[Seq2Seq, ...]
    device: torch.device

    @torch.inference_mode()
    def answer(self, batch: Batch, settings: config.Search) -> list[list[Answer]]:
        """The n best answers to each source of the batch, best first."""
        batch = batch.to(self.device)
        states = [model.start(batch.source) for model in self.models]
        alone = len(self.models) == 1
        return beam_search(
            self.models[0].step if alone else ensemble([model.step for model in self.models]),
            states[0] if alone else joined(states),
            longest_B=longest_answer(batch.source.length_B, settings),
            beam=settings.beam or 1,
            nbest=settings.nbest,
            shortest=settings.shortest,
            length_penalty=settings.length_penalty,
            gnmt_penalty=settings.gnmt_penalty,
        )

    @torch.inference_mode()
    def attention(self, batch: Batch) -> Tensor:
        """Where the first model's decoder looks while it is fed the target -> weight_BTS on the CPU."""
        return self.models[0].attention(batch.to(self.device)).float().cpu()

    @torch.inference_mode()
    def log_prob(self, batch: Batch) -> list[float]:
        """The log-probability of each target, END included, in nats (of several models: of their mean probability)."""
        batch = batch.to(self.device)
        target = batch.target
        assert target is not None
        log_ps = [model(batch).scores.logits().double().log_softmax(-1) for model in self.models]
        log_p_PV = torch.stack(log_ps).logsumexp(0) - torch.tensor(float(len(log_ps))).log()
        row_P = target.position_P // target.id_BL.shape[1]
        chosen_P = log_p_PV.gather(1, target.id_P[:, None])[:, 0]
        total_B: list[float] = chosen_P.new_zeros(len(target.id_BL)).index_add(0, row_P, chosen_P).tolist()
        return total_B


def longest_answer(length_B: Tensor, settings: config.Search) -> Tensor:
    """How many tokens an answer may have, END included, for sources of these lengths, theirs included."""
    if settings.longest is not None:
        return torch.full_like(length_B, settings.longest)
    ratio = settings.longest_ratio or 2.0
    return (length_B * ratio).ceil().long() + settings.longest_extra
