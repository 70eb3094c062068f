"""The fastest engine that can express a model and answers as torch does is taken, and whoever asks for one gets it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.engines import SOURCES, folder_of, taught
from seqsmith import config
from seqsmith.engine import files, selfcheck
from seqsmith.errors import UserError
from seqsmith.predictor import Predictor

pytest.importorskip("ctranslate2")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

FAMILY = {"lstm": "onnx", "transformer": "ctranslate2"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with a sample of dev: lstm, transformer."""
    home = tmp_path_factory.mktemp("models")
    for kind in FAMILY:
        folder_of(taught(kind), home / kind, sample=True)
    return home


def lenient(monkeypatch: pytest.MonkeyPatch, points: float = 100.0) -> None:
    """Twenty answers of a model that has only begun to learn are a rough measure."""
    monkeypatch.setattr(selfcheck, "LARGEST_LOSS", points)


def error_of(*folders: Path, **options: Any) -> str:
    with pytest.raises(UserError) as error:
        Predictor.open(*folders, **options)
    return str(error.value)


@pytest.mark.parametrize("kind", FAMILY)
def test_the_fastest_engine_that_passes_answers_and_says_so(
    models: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lenient(monkeypatch)
    predictor = Predictor.open(models / kind)
    assert predictor.engine.name == FAMILY[kind]
    assert predictor.why.startswith(f"{FAMILY[kind]} answers with 8-bit weights: ")
    assert "of its answers to 20 dev pairs are torch's, chrf " in predictor.why
    expected = Predictor.open(models / kind, engine="torch").predict(SOURCES)
    same = [a.text == b.text for a, b in zip(predictor.predict(SOURCES), expected, strict=True)]
    assert sum(same) >= len(same) / 2


def test_an_engine_that_scores_worse_is_passed_over(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lenient(monkeypatch, -1000.0)
    predictor = Predictor.open(models / "transformer")
    assert predictor.engine.name == "torch"
    assert predictor.why.startswith("torch answers (ctranslate2: ")
    assert "; onnx: " in predictor.why
    assert "; torch-bf16: " in predictor.why


def test_files_are_built_once_and_again_when_the_model_changes(tmp_path: Path) -> None:
    told: list[str] = []
    folder_of(taught("lstm"), tmp_path / "model")
    for _ in range(2):
        Predictor.open(tmp_path / "model", engine="onnx", say=told.append)
    assert len(told) == 1
    assert told[0].startswith("Building the files of the engine onnx in ")
    other = taught("lstm")
    with torch.no_grad():
        next(other.model.parameters()).mul_(1.5)
    other.save(tmp_path / "other", card="another")
    shutil.copytree(tmp_path / "model" / "engines", tmp_path / "other" / "engines")
    Predictor.open(tmp_path / "other", engine="onnx", say=told.append)
    assert len(told) == 2


def test_files_are_built_again_for_another_kind_of_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    folder_of(taught("lstm"), tmp_path / "model")
    for cpu in ("one", "other", "one"):
        monkeypatch.setattr("seqsmith.runtime.processor", lambda cpu=cpu: cpu)
        Predictor.open(tmp_path / "model", engine="onnx", say=told.append)
    assert len(told) == 2
    monkeypatch.setenv("CT2_USE_MKL", "1")
    Predictor.open(tmp_path / "model", engine="onnx", say=told.append)
    assert len(told) == 3


def test_damaged_files_are_built_again(tmp_path: Path) -> None:
    folder = folder_of(taught("lstm"), tmp_path / "model")
    told: list[str] = []
    expected = Predictor.open(folder.path, engine="onnx", say=told.append).predict(SOURCES)
    next(folder.path.glob("engines/*/step.onnx")).write_bytes(b"damaged")
    assert Predictor.open(folder.path, engine="onnx", say=told.append).predict(SOURCES) == expected
    assert len(told) == 2


def test_a_folder_that_cannot_be_written_to_has_its_files_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(taught("lstm"), tmp_path / "model")
    monkeypatch.setenv("SEQSMITH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("os.access", lambda *_: False)
    Predictor.open(folder.path, engine="onnx")
    assert not (folder.path / "engines").exists()
    assert len(list((tmp_path / "cache" / "engines").glob("onnx-int8-*/step.onnx"))) == 1


def test_where_a_package_does_not_load_torch_answers(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_loaded(*_: Any, **__: Any) -> None:
        raise ImportError("lib.so: cannot enable executable stack")

    monkeypatch.setattr("seqsmith.engine.choose.engine_of", not_loaded)
    predictor = Predictor.open(models / "lstm")
    assert predictor.engine.name == "torch"
    assert "onnx: lib.so: cannot enable executable stack" in predictor.why
    assert error_of(models / "lstm", engine="onnx") == (
        "engine: onnx cannot be loaded: lib.so: cannot enable executable stack. Install it anew, or take torch."
    )


def test_where_nothing_can_be_written_torch_answers(models: Path, tmp_path: Path, monkeypatch: Any) -> None:
    lenient(monkeypatch)
    shutil.copytree(models / "lstm", tmp_path / "model", ignore=shutil.ignore_patterns("engines"))
    (tmp_path / "full").write_text("no folder")
    monkeypatch.setenv("SEQSMITH_CACHE", str(tmp_path / "full"))
    monkeypatch.setattr("os.access", lambda *_: False)
    predictor = Predictor.open(tmp_path / "model")
    assert predictor.engine.name == "torch"
    assert "the files of the engine onnx could not be written: Not a directory. Free some space" in predictor.why
    assert error_of(tmp_path / "model", engine="onnx").endswith("in SEQSMITH_CACHE, or take --engine torch.")


def test_workers_share_a_batch_job_and_keep_its_order(models: Path) -> None:
    for kind, name in FAMILY.items():
        alone, both = (Predictor.open(models / kind, engine=name, threads=threads) for threads in (1, 2))
        assert both.engine.workers == 2
        # the same batches for both: with 8-bit weights a neighbour may have a say
        expected, found = (predictor.predict(SOURCES, batch_tokens=30) for predictor in (alone, both))
        assert [prediction.text for prediction in found] == [prediction.text for prediction in expected]


def test_scores_and_pictures_come_from_torch_whoever_answers(models: Path) -> None:
    fast, reference = (Predictor.open(models / "lstm", engine=name) for name in ("onnx", "torch"))
    assert fast.score(["123"], ["321"]) == reference.score(["123"], ["321"])
    assert (fast.attention("12", "21").weight_TS == reference.attention("12", "21").weight_TS).all()


def test_n_grams_are_torchs_to_use_where_nobody_asked_for_another_engine(models: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("321\n21\n")
    told = {"language_model": str(tmp_path / "texts.txt"), "language_weight": 0.5}
    chosen, reference = (Predictor.open(models / "lstm", engine=name) for name in ("auto", "torch"))
    assert chosen.engine.name == "onnx"
    assert chosen.predict(SOURCES, **told) == reference.predict(SOURCES, **told)
    asked = Predictor.open(models / "lstm", engine="onnx")
    with pytest.raises(UserError, match="language_model: onnx cannot, torch alone can"):
        asked.predict(SOURCES, **told)


# ------------------------------------------------------------------------------------------------ what cannot be had


def test_what_cannot_be_had_is_told(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lstm, transformer = models / "lstm", models / "transformer"
    assert error_of(lstm, engine="onx") == (
        "engine: found 'onx', expected one of auto, torch, torch-bf16, ctranslate2, onnx. Did you mean `onnx`?"
    )
    assert error_of(lstm, engine="ctranslate2") == (
        "engine: ctranslate2 cannot answer here: it runs Transformers only. Leave --engine out, or take torch."
    )
    assert error_of(lstm, lstm, engine="onnx") == (
        "engine: onnx cannot answer here: several models answer together. Leave --engine out, or take torch."
    )
    monkeypatch.setitem(files._PACKAGES, "ctranslate2", ("no-such-package",))
    assert error_of(transformer, engine="ctranslate2") == (
        "engine: ctranslate2 needs the package no-such-package, which is not installed: pip install 'seqsmith[cpu]'."
    )


def test_without_its_packages_or_a_sample_torch_answers(models: Path, tmp_path: Path, monkeypatch: Any) -> None:
    folder = folder_of(taught("lstm"), tmp_path / "model")
    assert Predictor.open(folder.path).why == (
        "torch answers (ctranslate2: it runs Transformers only; "
        "onnx: the model carries no selfcheck.jsonl to check it on; "
        "torch-bf16: the model carries no selfcheck.jsonl to check it on)."
    )
    monkeypatch.setattr("seqsmith.runtime.multiplies_faster_in_bf16", lambda: False)
    monkeypatch.setitem(files._PACKAGES, "onnx", ("no-such-package",))
    assert Predictor.open(models / "lstm").why == (
        "torch answers (ctranslate2: it runs Transformers only; "
        "onnx: no-such-package is not installed (pip install 'seqsmith[cpu]'); "
        "torch-bf16: this machine multiplies no faster in bf16)."
    )


# ------------------------------------------------------------------------------------------------ bf16


@pytest.mark.parametrize("kind", ["lstm", "transformer"])
def test_torch_answers_in_bf16_where_that_is_faster_and_passes(models: Path, kind: str, monkeypatch: Any) -> None:
    lenient(monkeypatch)
    monkeypatch.setattr("seqsmith.runtime.multiplies_faster_in_bf16", lambda: True)
    for package in ("ctranslate2", "onnx"):
        monkeypatch.setitem(files._PACKAGES, package, ("no-such-package",))
    predictor = Predictor.open(models / kind)
    assert predictor.engine.name == "torch-bf16"
    assert predictor.why.startswith("torch-bf16 answers with weights in bf16: ")
    expected = Predictor.open(models / kind, engine="torch").predict(SOURCES)
    same = [a.text == b.text for a, b in zip(predictor.predict(SOURCES), expected, strict=True)]
    assert sum(same) >= len(same) / 2
    assert len(list((models / kind).glob("engines/torch-bf16-*/check.json"))) == 1


def test_scores_of_given_targets_are_of_full_precision_whoever_answers(models: Path) -> None:
    half, reference = (Predictor.open(models / "lstm", engine=name) for name in ("torch-bf16", "torch"))
    assert half.score(["123"], ["321"]) == reference.score(["123"], ["321"])


# ------------------------------------------------------------------------------------------------ start-up


@pytest.mark.parametrize("kind", FAMILY)
def test_an_answer_of_another_engine_needs_no_torch(models: Path, kind: str) -> None:
    Predictor.open(models / kind, engine=FAMILY[kind]).predict(["1"])  # its files stand
    program = f"""
import sys
from seqsmith.cli.main import run
code = run(["predict", {str(models / kind)!r}, "--engine", {FAMILY[kind]!r}])
assert "torch" not in sys.modules, "torch was imported"
sys.exit(code)
"""
    source = str(Path(files.__file__).parents[2])
    answer = subprocess.run(
        [sys.executable, "-c", program], input="123\n", capture_output=True, text=True, check=False,
        env={"PYTHONPATH": source, "PATH": ""},
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert len(answer.stdout.splitlines()) == 1
    assert answer.stderr.startswith(f"seqsmith: {FAMILY[kind]} answers with 8-bit weights, as asked: ")


def test_a_check_is_stored_with_its_numbers(models: Path) -> None:
    Predictor.open(models / "lstm", engine="onnx")
    stored = json.loads(next((models / "lstm").glob("engines/onnx-*/check.json")).read_text())
    assert stored.keys() == {"pairs", "same", "score", "engine", "torch", "loss", "shortlist"}
    assert stored["pairs"] == 20
    assert stored["loss"] == pytest.approx(stored["torch"] - stored["engine"])


def test_half_precision_weights_hear_no_recordings() -> None:
    speech = config.build({"source": {"kind": "speech"}}, where="test")
    assert files.lacks("torch-bf16", speech) == "it takes text only"
    assert files.lacks("torch-bf16", config.Settings()) is None


def test_attention_with_coverage_is_torchs() -> None:
    side = {"kind": "gru", "attention": "additive", "coverage": True}
    model = {"encoder": {"kind": "gru"}, "decoder": side}
    assert files.lacks("onnx", config.build({"model": model}, where="test")) == "its attention has no coverage"
    side["coverage"] = False
    assert files.lacks("onnx", config.build({"model": model}, where="test")) is None
