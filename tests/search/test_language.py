"""A language model beside prefix beam search: against exhaustive sums, in company, and once for each prefix."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from search.test_ctc import table
from search.test_joint import ctc_table, targets_of
from seqsmith import config
from seqsmith.batch import State
from seqsmith.engine.neural import NeuralLanguageModel
from seqsmith.model.build import build_model
from seqsmith.search.answer import Answer
from seqsmith.search.ctc import prefix_beam_search
from seqsmith.search.language import LanguageModel, Said
from seqsmith.search.ngram import NGrams
from seqsmith.special import BEGIN, END

SIZE = 6  # two symbols beside the special ids


def language_model(kind: str) -> LanguageModel:
    if kind == "ngram":
        return NGrams.learn([[4, 5, END], [4, 5, 5, END], [5, 4, END], [END]], order=3, size=SIZE)
    torch.manual_seed(7)
    narrow = {"width": 16, "layers": 1}
    if kind == "transformer":
        narrow = {**narrow, "heads": 2, "feed_forward": 16}
    settings = config.Model.model_validate(
        {"family": kind, "embedding": 16, "encoder": {"kind": kind, **narrow}, "decoder": {"kind": kind, **narrow}}
    )
    model = build_model(settings, source_size=SIZE, target_size=SIZE).eval()
    return NeuralLanguageModel(model, [5, END], torch.arange(SIZE))


def log_p_of(model: LanguageModel, ids: tuple[int, ...]) -> float:
    """Of a target and its end, a token at a time."""
    total, state = 0.0, model.start(1)
    for before, after in zip((BEGIN, *ids), (*ids, END), strict=True):
        logit_NV, state = model.step(torch.tensor([before]), state)
        total += float(logit_NV.double().log_softmax(1)[0, after])
    return total


def search(
    log_p_BSV: Tensor,
    model: LanguageModel,
    *,
    weight: float,
    beam: int,
    nbest: int = 1,
    lengths: list[int] | None = None,
) -> list[list[Answer]]:
    said = Said.of_nothing(model, weight=weight, rows=len(log_p_BSV) * beam, device=log_p_BSV.device)
    length_B = torch.tensor(lengths or [log_p_BSV.shape[1]])
    return prefix_beam_search(log_p_BSV, length_B, beam=beam, nbest=nbest, said=said)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["ngram", "lstm", "transformer"])
@pytest.mark.parametrize("weight", [0.3, 1.0, 3.0])
def test_a_wide_beam_finds_every_target_by_its_paths_and_what_the_language_model_says(kind, weight):
    model = language_model(kind)
    for seed in range(4):
        log_p_BSV = ctc_table(seed, steps=4)
        score = {ids: math.log(p) + weight * log_p_of(model, ids) for ids, p in targets_of(log_p_BSV).items()}
        truth = sorted(score.items(), key=lambda pair: -pair[1])
        found = search(log_p_BSV, model, weight=weight, beam=60, nbest=60)[0][: len(truth)]
        assert [tuple(answer.ids) for answer in found] == [ids for ids, _ in truth]
        assert [answer.score for answer in found] == pytest.approx([log_p for _, log_p in truth], abs=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["ngram", "lstm", "transformer"])
def test_neighbours_and_padding_change_nothing(kind):
    model = language_model(kind)
    alone = [ctc_table(seed, steps=steps) for seed, steps in ((1, 3), (2, 8), (3, 5))]
    lengths = [x.shape[1] for x in alone]
    padded = torch.randn(3, 9, SIZE, dtype=torch.float64)
    for row, x in enumerate(alone):
        padded[row, : x.shape[1]] = x[0]
    together = search(padded, model, weight=0.5, beam=4, nbest=4, lengths=lengths)
    for row, x in enumerate(alone):
        one = search(x, model, weight=0.5, beam=4, nbest=4)[0]
        assert [answer.ids for answer in one] == [answer.ids for answer in together[row]]
        assert [a.score for a in one] == pytest.approx([a.score for a in together[row]], abs=1e-4)


def test_a_weight_of_zero_is_no_language_model():
    log_p_BSV = ctc_table(3, steps=9)
    for beam in (1, 3):
        plain = prefix_beam_search(log_p_BSV, torch.tensor([9]), beam=beam, nbest=beam)
        assert search(log_p_BSV, language_model("ngram"), weight=0.0, beam=beam, nbest=beam) == plain


def test_a_prefix_is_told_to_the_language_model_once_while_it_lives():
    told: list[int] = []

    class Counting:
        def start(self, sources: int) -> State:
            return State({"any_N": torch.zeros(sources)}, {})

        def step(self, id_N: Tensor, state: State) -> tuple[Tensor, State]:
            told.extend(id_N.tolist())
            return torch.zeros(len(id_N), SIZE), state

    log_p_BSV = torch.full((1, 12, SIZE), -20.0, dtype=torch.float64)
    log_p_BSV[:, :, 0] = 0.0
    log_p_BSV[:, 3:6, 4] = 1.0
    answer = search(log_p_BSV, Counting(), weight=0.1, beam=1)[0][0]
    assert answer.ids == [4]
    assert told == [BEGIN, 4]


def test_among_equals_the_language_model_decides():
    model = NGrams.learn([[5, END]] * 50, order=2, size=SIZE)
    log_p_BSV = table(1, steps=2, symbols=SIZE, scale=0.0)
    assert search(log_p_BSV, model, weight=2.0, beam=8)[0][0].ids == [5]
