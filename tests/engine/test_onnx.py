"""The graphs compute what the modules compute: with weights in full precision, every answer is torch's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reversal
from engine.engines import CPU, SOURCES, sides
from seqsmith import config
from seqsmith.bundle import Bundle
from seqsmith.engine.pytorch import TorchEngine
from seqsmith.engine.weights import read_weights
from seqsmith.model_folder import ModelFolder
from seqsmith.search.answer import Answer

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from seqsmith.engine.onnx import OnnxEngine  # it needs what may be missing
from seqsmith.engine.onnx_model import largest_weight, write_model

DEEP = {"layers": 2, "residual": True, "layer_norm": True}
POST = {"layers": 2, "position": "sinusoidal", "norm_first": False, "norm": "rms", "activation": "swiglu"}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("lstm", {}),
    "gru": ("gru", {}),
    "deep-lstm": ("lstm", sides(DEEP, {**DEEP, "input_feeding": True})),
    "deep-gru-one-way": ("gru", sides({**DEEP, "bidirectional": False}, {**DEEP, "input_feeding": True})),
    **{kind: ("lstm", sides(decoder={"attention": kind})) for kind in ("none", "additive", "dot", "multihead")},
    "copied-lstm": ("lstm", sides({"layers": 2}, {"layers": 2, "start": "copy", "input_feeding": True})),
    "copied-gru": ("gru", sides(decoder={"start": "copy"}, share_embeddings="none")),
    "narrow-output": ("gru", sides(decoder={"attention": "none"}, embedding=8)),
    "transformer": ("transformer", {}),
    "post-norm": ("transformer", sides(POST, {**POST, "activation": "gelu"})),
    "relative": ("transformer", sides({"position": "relative", "key_value_heads": 1})),
    "learned": ("transformer", sides({"position": "learned", "longest": 4})),
    "projected": ("transformer", {"embedding": 8, "share_embeddings": "none"}),
}
SHORT = {"learned": {"data": {"longest_source": 4, "longest_target": 4}}}  # answers go beyond, as they may
MIXED = {"transformer-lstm": ("transformer", "lstm"), "gru-transformer": ("gru", "transformer")}


def engines(bundle: Bundle, folder: Path, *, quantised: bool) -> tuple[TorchEngine, OnnxEngine, list[list[int]]]:
    bundle.save(folder / "model", card="")
    weights = read_weights(ModelFolder.open(folder / "model"))
    write_model(weights, bundle.settings, folder, shortlist=False, largest=largest_weight() if quantised else None)
    engine = OnnxEngine.open(folder, workers=1)
    return TorchEngine((bundle.model,), CPU), engine, bundle.featuriser.sources({"source": SOURCES})


def close(one: list[list[Answer]], other: list[list[Answer]]) -> bool:
    return all(
        [answer.ids for answer in a] == [answer.ids for answer in b]
        and [answer.score for answer in a] == pytest.approx([answer.score for answer in b], abs=1e-3)
        and [answer.log_prob for answer in a] == pytest.approx([answer.log_prob for answer in b], abs=1e-3)
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("name", MODELS)
def test_graphs_answer_as_torch_does(name: str, tmp_path: Path) -> None:
    kind, changes = MODELS[name]
    torch_engine, onnx_engine, sources = engines(
        reversal.bundle(kind, updates=20, model=changes, **SHORT.get(name, {})), tmp_path, quantised=False
    )
    for beam, nbest in ((1, 1), (4, 2)):
        search = config.Search(beam=beam, nbest=nbest, longest_ratio=2.0)
        assert close(onnx_engine.answer(sources, search), torch_engine.answer(sources, search))


@pytest.mark.parametrize("name", MIXED)
def test_an_encoder_of_one_kind_feeds_a_decoder_of_another(name: str, tmp_path: Path) -> None:
    encoder, decoder = (reversal.side(kind, width=16) for kind in MIXED[name])
    bundle = reversal.bundle("lstm", updates=20, model={"encoder": encoder, "decoder": decoder})
    torch_engine, onnx_engine, sources = engines(bundle, tmp_path, quantised=False)
    search = config.Search(beam=3, nbest=3, longest_ratio=2.0)
    assert close(onnx_engine.answer(sources, search), torch_engine.answer(sources, search))


@pytest.mark.parametrize("kind", ["lstm", "gru", "transformer"])
def test_weights_of_8_bits_change_few_answers(kind: str, tmp_path: Path) -> None:
    torch_engine, onnx_engine, sources = engines(reversal.bundle(kind, updates=60), tmp_path, quantised=True)
    search = config.Search(beam=1, longest_ratio=2.0)
    pairs = zip(onnx_engine.answer(sources, search), torch_engine.answer(sources, search), strict=True)
    assert np.mean([ours[0].ids == theirs[0].ids for ours, theirs in pairs]) >= 0.6


def test_a_table_too_large_is_multiplied_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqsmith.engine.onnx_recurrent.LARGEST_TABLE", 0)
    bundle = reversal.bundle("lstm", updates=20, model=sides(decoder={"input_feeding": True}))
    torch_engine, onnx_engine, sources = engines(bundle, tmp_path, quantised=False)
    search = config.Search(beam=2, longest_ratio=2.0)
    assert close(onnx_engine.answer(sources, search), torch_engine.answer(sources, search))


def test_neighbours_do_not_change_an_answer(tmp_path: Path) -> None:
    _, engine, sources = engines(reversal.bundle("gru", updates=20), tmp_path, quantised=False)
    search = config.Search(beam=3, longest_ratio=2.0)
    assert close(engine.answer(sources, search), [engine.answer([source], search)[0] for source in sources])
