"""The reference engine: the model itself, by torch, which may use several threads within an operator.

With its weights in bf16 it is an engine of its own, up to twice as fast on CPUs that multiply faster so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqsmith import config, runtime
from seqsmith.batch import Batch, Frames, State, Step, Tokens, frames, tokens
from seqsmith.bundle import load_bundle
from seqsmith.engine.hearing import by_ctc_alone, by_draft, can_draft, ctc_weight, joint_step
from seqsmith.engine.protocol import Source
from seqsmith.model.seq2seq import Seq2Seq
from seqsmith.model_folder import ModelFolder
from seqsmith.objective.token import true_log_p
from seqsmith.search.answer import Answer, longest_answers
from seqsmith.search.beam import beam_search
from seqsmith.search.joint import paired, with_language_model
from seqsmith.search.language import LanguageModel
from seqsmith.search.listed import listed_state, listed_step, unlisted
from seqsmith.search.sample import sample
from seqsmith.search.shortlist import Shortlist


@dataclass(frozen=True)
class TorchEngine:
    """One model, or several whose probabilities are averaged."""

    models: tuple[Seq2Seq, ...]
    device: torch.device
    shortlist: Shortlist | None = None  # of the first model
    listed: bool = False  # whether it is used where the settings of the search leave that open
    precision: runtime.Precision = "fp32"
    language_model: LanguageModel | None = None  # used at the weight that the settings of the search give it

    workers = 1

    @classmethod
    def open(
        cls,
        folders: Sequence[ModelFolder],
        device: torch.device,
        *,
        precision: runtime.Precision = "fp32",
        listed: bool = False,
    ) -> TorchEngine:
        """Load the weights of model folders."""
        path = folders[0].shortlist
        shortlist = None if path is None else Shortlist.open(path)
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        models = tuple(load_bundle(folder).model.to(device, dtype) for folder in folders)
        return cls(models, device, shortlist, listed, precision)

    @property
    def name(self) -> str:
        return "torch" if self.precision == "fp32" else "torch-bf16"

    @torch.inference_mode()
    def answer(self, sources: Sequence[Source], settings: config.Search) -> list[list[Answer]]:
        """The n best answers to each source of a batch, best first; or n draws, in the order they are drawn."""
        source = source_batch(sources).to(self.device)
        if settings.sample:
            return self._search(*joint_step(self.models, source, weight=0.0), sources, settings)
        weight = ctc_weight(self.models, settings)
        if weight == 1.0:
            return by_ctc_alone(self.models, source, settings, self.language_model)
        if self.language_model is not None:
            step, state = joint_step(self.models, source, weight=weight)
            step = with_language_model(step, self.language_model.step, weight=settings.language_weight)
            return self._search(step, paired(state, self.language_model.start(len(sources))), sources, settings)
        if (settings.beam or 1) == 1 and can_draft(self.models):
            return by_draft(self.models[0], source, weight=weight, **self._rules(sources, settings))
        listed = self.listed if settings.shortlist is None else settings.shortlist
        if self.shortlist is None or not listed:
            return self._search(*joint_step(self.models, source, weight=weight), sources, settings)
        found = self.shortlist.listed(sources)
        id_U, bias_BU = (torch.from_numpy(array).to(self.device) for array in (found.id_U, found.bias_BU))
        step, state = joint_step(self.models, source, weight=0.0, id_U=id_U)
        answers = self._search(listed_step(step, id_U), listed_state(state, bias_BU), sources, settings)
        return unlisted(answers, found.id_U.tolist())

    def _search(
        self, step: Step, state: State, sources: Sequence[Source], settings: config.Search
    ) -> list[list[Answer]]:
        rules = self._rules(sources, settings)
        if not settings.sample:
            return beam_search(step, state, beam=settings.beam or 1, nbest=settings.nbest, **rules)
        arrays = [source if isinstance(source, np.ndarray) else np.array(source, np.int64) for source in sources]
        chance: dict[str, Any] = {"seed": settings.seed, "temperature": settings.temperature}
        return sample(step, state, arrays, draws=settings.nbest, **chance, **rules)

    def _rules(self, sources: Sequence[Source], settings: config.Search) -> dict[str, Any]:
        longest = longest_answers([len(each) for each in sources], settings)
        return {
            "longest_B": torch.tensor(longest, device=self.device),
            "shortest": settings.shortest,
            "length_penalty": settings.length_penalty,
            "gnmt_penalty": settings.gnmt_penalty,
        }

    @torch.inference_mode()
    def attention(self, source: Source, target: Sequence[int]) -> Tensor:
        """Where the first model's decoder looks while it is fed the target -> weight_TS on the CPU."""
        return self.models[0].attention(self._batch([source], [target]))[0].float().cpu()

    @torch.inference_mode()
    def log_prob(self, sources: Sequence[Source], targets: Sequence[Sequence[int]]) -> list[float]:
        """The log-probability of each target, END included, in nats (of several models: of their mean probability)."""
        batch = self._batch(sources, targets)
        target = batch.target
        assert isinstance(target, Tokens)
        log_ps = torch.stack([true_log_p(model(batch).scores, target.id_P) for model in self.models])
        log_p_P = log_ps.logsumexp(0) - math.log(len(log_ps))
        row_P = target.position_P // target.id_BL.shape[1]
        total_B: list[float] = log_p_P.new_zeros(len(target.id_BL)).index_add(0, row_P, log_p_P).tolist()
        return total_B

    @torch.inference_mode()
    def ctc_log_p(self, source: Source) -> Tensor:
        """What the first model's CTC head says at each step of the encoder -> log_p_SV on the CPU."""
        model = self.models[0]
        return model.ctc_log_p(model.encode(source_batch([source]).to(self.device)))[0].cpu()

    def _batch(self, sources: Sequence[Source], targets: Sequence[Sequence[int]]) -> Batch:
        return Batch(source_batch(sources), tokens(targets), torch.arange(len(targets))).to(self.device)


def source_batch(sources: Sequence[Source]) -> Tokens | Frames:
    """Sources of one kind as a batch: those of speech are float arrays."""
    arrays = [source for source in sources if isinstance(source, np.ndarray) and source.ndim == 2]
    return frames(arrays) if arrays else tokens(sources)
