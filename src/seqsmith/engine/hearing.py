"""How models with a CTC head answer: by the head alone, by the decoder alone, or by both (Watanabe et al. 2017).

Greedy search takes what the head hears for a draft, and the decoder checks a whole answer at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seqsmith import config
from seqsmith.batch import Source, State, Step, tokens
from seqsmith.errors import UserError
from seqsmith.model.memory import Memory
from seqsmith.model.outlet import VocabularyOutlet
from seqsmith.model.seq2seq import Seq2Seq
from seqsmith.search.answer import Answer
from seqsmith.search.ctc import greedy_ctc, prefix_beam_search
from seqsmith.search.drafted import drafted_search
from seqsmith.search.ensemble import ensemble, joined
from seqsmith.search.greedy import greedy_search
from seqsmith.search.joint import ctc_forward, ctc_state, mixed, paired, with_ctc
from seqsmith.search.language import LanguageModel, Said
from seqsmith.search.rules import forbid
from seqsmith.search.step import select
from seqsmith.special import BEGIN, END, UNKNOWN


def ctc_weight(models: Sequence[Seq2Seq], settings: config.Search) -> float:
    """The head's share in the answers; none where a model lacks one."""
    return settings.ctc or 0.0 if all(model.ctc is not None for model in models) else 0.0


def joint_step(
    models: Sequence[Seq2Seq], source: Source, *, weight: float, id_U: Tensor | None = None
) -> tuple[Step, State]:
    """The step of all models together, each with its own CTC head at this weight, and its first state.

    The logits are those of the ids `id_U`, if these are given.
    """
    memories = [model.encode(source) for model in models]
    states = [model.started(source, memory) for model, memory in zip(models, memories, strict=True)]
    steps = [model.step if id_U is None else model.narrowed(id_U) for model in models]
    if weight:
        steps = [with_ctc(step, weight=weight) for step in steps]
        heads = [ctc_state(_sane(model, memory), memory.valid_BS.sum(1)) for model, memory in
                 zip(models, memories, strict=True)]  # fmt: skip
        states = [paired(state, head) for state, head in zip(states, heads, strict=True)]
    return (steps[0], states[0]) if len(models) == 1 else (ensemble(steps), joined(states))


def by_ctc_alone(
    models: Sequence[Seq2Seq], source: Source, settings: config.Search, language_model: LanguageModel | None = None
) -> list[list[Answer]]:
    """What the heads say without the decoders; of several models their mean probability at each step.

    The settings about an answer's length mean nothing here: the recording has it. A language model speaks of prefixes,
    so with one a beam of 1 is a prefix beam too.
    """
    memories = [model.encode(source) for model in models]
    tables = [_sane(model, memory) for model, memory in zip(models, memories, strict=True)]
    if len({table.shape[1] for table in tables}) > 1:
        raise UserError(
            "search.ctc: these models hear in steps of different lengths (model.subsample, a pyramid), so their CTC "
            "heads cannot answer together. Take search.ctc below 1, or one of the models."
        )
    log_p_BSV = tables[0] if len(tables) == 1 else torch.stack(tables).logsumexp(0) - math.log(len(tables))
    log_p_BSV = _answers_only(log_p_BSV)
    length_B = memories[0].valid_BS.sum(1)
    beam = settings.beam or 1
    if beam == 1 and language_model is None:
        return greedy_ctc(log_p_BSV, length_B)
    said = None
    if language_model is not None:
        rows, weight = len(log_p_BSV) * beam, settings.language_weight
        said = Said.of_nothing(language_model, weight=weight, rows=rows, device=log_p_BSV.device)
    return prefix_beam_search(log_p_BSV, length_B, beam=beam, nbest=settings.nbest, said=said)


def can_draft(models: Sequence[Seq2Seq]) -> bool:
    """Whether greedy search can be told what to expect: one model with a CTC head, whose answers are its own words."""
    return len(models) == 1 and models[0].ctc is not None and isinstance(models[0].outlet, VocabularyOutlet)


def by_draft(model: Seq2Seq, source: Source, *, weight: float, longest_B: Tensor, **rules: Any) -> list[list[Answer]]:
    """The answers of greedy search, drafted by the CTC head. Axes: O some of the sources."""
    memory = model.encode(source)
    log_p_BSV, length_B = _sane(model, memory), memory.valid_BS.sum(1)
    head = ctc_state(log_p_BSV, length_B) if weight else None

    def follow(targets: list[list[int]], sources: list[int]) -> Tensor:
        source_O = torch.tensor(sources, device=length_B.device)
        some = Memory(*(x.index_select(0, source_O) for x in (memory.x_BSD, memory.valid_BS, memory.context_BZ)))
        target = tokens(targets).to(length_B.device)
        logit_PV = model.following(target, some)
        if head is None:
            return logit_PV
        heard = select(head, row_N=source_O, source_B=source_O)
        log_psi_OTV = ctc_forward(target.previous(), heard.row, heard.source)
        return mixed(logit_PV, log_psi_OTV.flatten(0, 1)[target.position_P], weight=weight)

    def greedy(sources: list[int]) -> list[list[Answer]]:
        source_O = torch.tensor(sources, device=length_B.device)
        step: Step = model.step
        state = model.started(source, memory)
        if head is not None:
            step, state = with_ctc(step, weight=weight), paired(state, head)
        state = select(state, row_N=source_O, source_B=source_O)
        return greedy_search(step, state, longest_B=longest_B[source_O], **rules)

    drafted = [answers[0].ids for answers in greedy_ctc(_answers_only(log_p_BSV), length_B)]
    width = max(log_p_BSV.shape[2], 2 * (log_p_BSV.shape[1] + 1))  # a token's paths to each moment are two
    return drafted_search(follow, greedy, drafted, width=width, longest=longest_B.tolist(), **rules)


def _answers_only(log_p_BSV: Tensor) -> Tensor:
    return forbid(log_p_BSV.flatten(0, 1), (UNKNOWN, BEGIN, END)).view_as(log_p_BSV)


def _sane(model: Seq2Seq, memory: Memory) -> Tensor:
    """The head's table; what stands at padding may be anything, but no NaN."""
    log_p_BSV = model.ctc_log_p(memory)
    return log_p_BSV.where(memory.valid_BS[..., None], 0.0)
