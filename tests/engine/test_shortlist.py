"""Engines with a shortlist: one that holds everything changes nothing, any other means what torch makes of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reversal
from engine.engines import CPU, SOURCES, folder_of, taught
from seqsmith import config
from seqsmith.engine import selfcheck
from seqsmith.engine.pytorch import TorchEngine
from seqsmith.engine.weights import read_weights
from seqsmith.errors import UserError
from seqsmith.folder import write_folder
from seqsmith.model_folder import SHORTLIST, ModelFolder
from seqsmith.predictor import Predictor
from seqsmith.search.answer import Answer
from seqsmith.search.shortlist import Shortlist

pytest.importorskip("ctranslate2")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from seqsmith.engine import ctranslate2_model, onnx_model  # they need what may be missing
from seqsmith.engine.ctranslate2 import CTranslate2Engine
from seqsmith.engine.onnx import OnnxEngine

KINDS = {"lstm": "onnx", "gru": "onnx", "transformer": "ctranslate2"}
SEARCHES = [config.Search(beam=beam, nbest=nbest, longest_ratio=2.0) for beam, nbest in ((1, 1), (4, 3))]


def shortlist(bundle: Any, *, everything: bool) -> Shortlist:
    """Of everything; or of the digit itself and the next one, which is far too little."""
    source, target = (len(codec.tokeniser.pieces(range(codec.size))) for codec in
                      (bundle.featuriser.text_source, bundle.featuriser.target))  # fmt: skip
    always_V = np.arange(target) < (target if everything else 4)
    likely = [[] if number < 4 or everything else sorted({number, 4 + (number - 3) % 10}) for number in range(source)]
    start_X = np.cumsum([0, *map(len, likely)])
    return Shortlist(start_X, np.array([*chain.from_iterable(likely)], np.int32), always_V)


def with_shortlist(bundle: Any, path: Path, *, everything: bool) -> ModelFolder:
    """The model written with a sample and a shortlist."""
    plain = folder_of(bundle, path / "plain", sample=True)

    def fill(place: Path) -> None:
        for file in plain.path.iterdir():
            if file.name != "MANIFEST.json":
                (place / file.name).write_bytes(file.read_bytes())
        shortlist(bundle, everything=everything).save(place / SHORTLIST)

    write_folder(path / "model", fill)
    return ModelFolder.open(path / "model")


def all_engines(kind: str, path: Path, *, everything: bool, exact: bool) -> tuple[Any, Any, list[list[int]]]:
    """torch and the other engine of a kind, with weights in full precision if it is to be `exact`."""
    bundle = taught(kind)
    folder = with_shortlist(bundle, path, everything=everything)
    weights, own = read_weights(folder), shortlist(bundle, everything=everything)
    if KINDS[kind] == "onnx":
        largest = None if exact else onnx_model.largest_weight()
        onnx_model.write_model(weights, bundle.settings, path, shortlist=True, largest=largest)
        engine: Any = OnnxEngine.open(path, workers=1, shortlist=own)
    else:
        largest = None if exact else ctranslate2_model.largest_weight()
        ctranslate2_model.write_model(weights, bundle.settings, path, largest=largest)
        ctranslate2_model.write_shortlist(own, path)
        engine = CTranslate2Engine.open(path, workers=1)
    sources = bundle.featuriser.sources({"source": SOURCES})
    return TorchEngine((bundle.model,), CPU, own), engine, sources


def asked(search: config.Search, wanted: bool | None = True) -> config.Search:
    return search.model_copy(update={"shortlist": wanted})


def ids(answers: list[list[Answer]]) -> list[list[list[int]]]:
    return [[answer.ids for answer in several] for several in answers]


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_shortlist_of_everything_changes_no_bit(kind: str, search: config.Search, tmp_path: Path) -> None:
    torch_engine, engine, sources = all_engines(kind, tmp_path, everything=True, exact=False)
    for each in (torch_engine, engine):
        assert each.answer(sources, asked(search)) == each.answer(sources, search)


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_onnx_answers_with_a_shortlist_as_torch_does(kind: str, search: config.Search, tmp_path: Path) -> None:
    torch_engine, engine, sources = all_engines(kind, tmp_path, everything=False, exact=True)
    expected = torch_engine.answer(sources, asked(search))
    assert ids(expected) != ids(torch_engine.answer(sources, search))
    found = engine.answer(sources, asked(search))
    assert ids(found) == ids(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert [a.score for a in ours] == pytest.approx([a.score for a in theirs], abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_one_source_alone_is_answered_from_its_own_list(kind: str, tmp_path: Path) -> None:
    torch_engine, engine, sources = all_engines(kind, tmp_path, everything=False, exact=True)
    search = asked(SEARCHES[0])
    for source in sources[:6]:
        allowed = set(torch_engine.shortlist.listed([source]).id_U.tolist())
        expected = torch_engine.answer([source], search)
        assert set(expected[0][0].ids) <= allowed
        assert ids(engine.answer([source], search)) == ids(expected)


@pytest.mark.parametrize("kind", ["lstm", "transformer"])
def test_neighbours_do_not_change_an_answer_with_a_shortlist(kind: str, tmp_path: Path) -> None:
    """Those of CTranslate2 may."""
    torch_engine, engine, sources = all_engines(kind, tmp_path, everything=False, exact=True)
    for each in (torch_engine, engine)[: 2 if KINDS[kind] == "onnx" else 1]:
        alone = [each.answer([source], asked(SEARCHES[1]))[0] for source in sources]
        assert ids(each.answer(sources, asked(SEARCHES[1]))) == ids(alone)


def test_an_answer_is_as_long_as_it_must_be_and_lists_shorter_than_the_beam_will_do(tmp_path: Path) -> None:
    torch_engine, engine, sources = all_engines("lstm", tmp_path, everything=False, exact=True)
    search = asked(config.Search(beam=20, nbest=20, shortest=2, longest=4))
    found = engine.answer([sources[0][-2:]], search)
    assert ids(found) == ids(torch_engine.answer([sources[0][-2:]], search))
    assert min(len(answer.ids) for answer in found[0]) >= 2


def test_models_that_answer_together_share_the_first_ones_list() -> None:
    first, second = reversal.bundle("lstm", updates=20), reversal.bundle("gru", seed=2, updates=20)
    sources = first.featuriser.sources({"source": SOURCES})
    both = TorchEngine((first.model, second.model), CPU, shortlist(first, everything=True))
    assert both.answer(sources, asked(SEARCHES[1])) == replace(both, shortlist=None).answer(sources, SEARCHES[1])


@pytest.mark.parametrize(("everything", "used"), [(True, True), (False, False)])
@pytest.mark.parametrize("kind", ["lstm", "transformer"])
def test_a_shortlist_is_used_where_it_changes_next_to_nothing(
    kind: str, everything: bool, used: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selfcheck, "LARGEST_LOSS", 100.0)
    folder = with_shortlist(taught(kind), tmp_path, everything=everything)
    predictor = Predictor.open(folder.path)
    assert predictor.engine.name == KINDS[kind]
    assert predictor.why.endswith(", with a shortlist of the vocabulary.") == used
    answers = [prediction.text for prediction in predictor.predict(SOURCES)]
    assert answers == [prediction.text for prediction in predictor.predict(SOURCES, shortlist=used)]


def test_torch_uses_a_shortlist_only_when_it_is_asked_to(tmp_path: Path) -> None:
    folder = with_shortlist(taught("lstm"), tmp_path, everything=False)
    predictor = Predictor.open(folder.path, engine="torch")
    assert predictor.predict(SOURCES) == predictor.predict(SOURCES, shortlist=False)
    assert predictor.predict(SOURCES) != predictor.predict(SOURCES, shortlist=True)


def test_a_shortlist_that_is_not_there_cannot_be_asked_for(tmp_path: Path) -> None:
    folder = folder_of(taught("lstm"), tmp_path / "model")
    with pytest.raises(UserError) as error:
        Predictor.open(folder.path, engine="torch").predict(["1"], shortlist=True)
    assert str(error.value) == (
        f"search.shortlist: {tmp_path / 'model'} has no shortlist.safetensors, which is written at the end of training "
        "for texts of 2,000 target ids or more without a copy outlet. Leave search.shortlist out."
    )
