"""CTranslate2 computes what our Transformer does: with weights in full precision, greedy answers are torch's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import reversal
from engine.engines import CPU, SOURCES, sides
from seqsmith import config
from seqsmith.bundle import Bundle
from seqsmith.engine.pytorch import TorchEngine
from seqsmith.engine.weights import read_weights
from seqsmith.model_folder import ModelFolder

pytest.importorskip("ctranslate2")

from seqsmith.engine.ctranslate2 import CTranslate2Engine  # it needs what may be missing
from seqsmith.engine.ctranslate2_model import write_model

RMS = {"norm": "rms"}
MODELS: dict[str, dict[str, Any]] = {
    "rotary": {},
    "post-norm": sides({"norm_first": False}),
    "sinusoidal": sides({"position": "sinusoidal"}),
    "learned": sides({"position": "learned", "longest": 4}),
    "rms-swiglu": sides({"norm": "rms", "activation": "swiglu"}),
    "rms-post-norm": sides({"norm": "rms", "norm_first": False}),
    "gelu": sides({"activation": "gelu"}),
    "grouped-queries": sides({"key_value_heads": 1}),
    "unequal-depths": sides({"layers": 3}, {"layers": 1}),
    "unequal-sides": sides({"heads": 4, "norm_first": False}, {"activation": "gelu", "position": "learned"}),
    "untied": {"share_embeddings": "none"},
    "projected": {"share_embeddings": "none", "embedding": 8},
    "one-embedding": {"share_embeddings": "all"},
    "one-to-read": {"share_embeddings": "source"},
}


def engines(bundle: Bundle, folder: Path) -> tuple[TorchEngine, CTranslate2Engine, list[list[int]]]:
    bundle.save(folder / "model", card="")
    weights = read_weights(ModelFolder.open(folder / "model"))
    write_model(weights, bundle.settings, folder, largest=None)
    engine = CTranslate2Engine.open(folder, workers=1)
    return TorchEngine((bundle.model,), CPU), engine, bundle.featuriser.sources({"source": SOURCES})


@pytest.mark.parametrize("name", MODELS)
def test_greedy_answers_are_those_of_torch(name: str, tmp_path: Path) -> None:
    joint: dict[str, Any] = {"joint_vocabulary": True} if name == "one-embedding" else {}
    if name == "learned":
        joint["data"] = {"longest_source": 4, "longest_target": 4}
    bundle = reversal.bundle("transformer", updates=30, model=MODELS[name], **joint)
    torch_engine, engine, sources = engines(bundle, tmp_path)
    search = config.Search(beam=1, longest_ratio=2.0)
    for ours, theirs in zip(engine.answer(sources, search), torch_engine.answer(sources, search), strict=True):
        assert (ours[0].ids, ours[0].ended) == (theirs[0].ids, theirs[0].ended)
        # here the ids that no answer may hold have no share in the probabilities
        assert (ours[0].score, ours[0].log_prob) == pytest.approx((theirs[0].score, theirs[0].log_prob), rel=0.25)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[TorchEngine, CTranslate2Engine, list[list[int]]]:
    return engines(reversal.bundle("transformer", updates=40), tmp_path_factory.mktemp("two"))


@pytest.mark.parametrize(("penalty", "gnmt"), [(1.0, False), (0.0, False), (0.6, True)])
def test_scores_are_log_probabilities_with_our_penalty(two: Any, penalty: float, gnmt: bool) -> None:
    torch_engine, engine, sources = two
    search = config.Search(beam=4, nbest=4, longest_ratio=2.0, length_penalty=penalty, gnmt_penalty=gnmt)
    for source, answers in zip(sources, engine.answer(sources, search), strict=True):
        assert [answer.score for answer in answers] == sorted((a.score for a in answers), reverse=True)
        for answer in answers:
            length = len(answer.ids) + answer.ended
            divisor = ((5 + length) / 6) ** penalty if gnmt else length**penalty
            assert answer.score == pytest.approx(answer.log_prob / divisor, abs=1e-4)
        ended = [answer for answer in answers if answer.ended]
        found = torch_engine.log_prob([source] * len(ended), [[*answer.ids, 3] for answer in ended])
        assert [answer.log_prob for answer in ended] == pytest.approx(found, rel=0.1, abs=0.05)


def test_no_answer_is_longer_than_its_source_allows(two: Any) -> None:
    _, engine, sources = two
    search = config.Search(beam=2, longest_ratio=0.5, longest_extra=1)
    for source, (answer, *_) in zip(sources, engine.answer(sources, search), strict=True):
        assert len(answer.ids) + answer.ended <= -(-len(source) // 2) + 1


def test_an_answer_is_as_long_as_it_must_be(two: Any) -> None:
    reference, engine, sources = two
    found = engine.answer(sources, config.Search(beam=2, shortest=6, longest=12))
    assert min(len(answers[0].ids) for answers in found) >= 6
    # beyond what any answer would be, and beyond what the lengths of sources allow: all end as soon as they may
    for shortest, most in ((9, {"longest": 20}), (10, {"longest": 20}), (30, {"longest_ratio": 1.0})):
        search = config.Search(beam=1, shortest=shortest, **most)
        lengths = [[len(answers[0].ids) for answers in one.answer(sources, search)] for one in (engine, reference)]
        assert lengths[0] == lengths[1]
