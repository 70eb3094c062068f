"""What the tests of the command line share: models that can reverse digits, a run, a way to type commands."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

import reversal
from seqsmith.cli.main import run
from terminal import Outcome, Seqsmith

SMALL = (
    *("--set", "model.encoder.width=16", "--set", "model.decoder.width=16", "--set", "model.embedding=16"),
    *("--set", "model.family=lstm", "--set", "train.precision=fp32", "--set", "train.threads=1"),
    *("--set", "train.updates=8", "--set", "train.validate_every=4", "--set", "train.batch_tokens=120"),
    *("--set", "data.dev_pairs=20", "--set", "search.beam=2"),
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder of each test, and a cache that is nobody's."""
    monkeypatch.setenv("SEQSMITH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def seqsmith(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Seqsmith:
    """Type a command."""

    def typed(*words: str | Path, stdin: str | bytes = b"") -> Outcome:
        content = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        capsys.readouterr()
        code = run([str(word) for word in words])
        return Outcome(code, *capsys.readouterr())

    return typed


@pytest.fixture
def small() -> tuple[str, ...]:
    """Settings of a run that takes a second."""
    return SMALL


@pytest.fixture
def pairs(folder: Path) -> Path:
    """Two hundred pairs in a file."""
    reversal.write(folder / "pairs.tsv", reversal.pairs(200))
    return Path("pairs.tsv")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One and another that reverse digits, one with features, one that knows nothing, one without attention."""
    place = tmp_path_factory.mktemp("models")
    for name, bundle in (
        ("one", reversal.bundle(updates=60)),
        ("another", reversal.bundle(updates=40, seed=2)),
        ("features", reversal.bundle(updates=120, features="AB")),
        ("untaught", reversal.bundle()),
        ("without attention", reversal.bundle(model={"decoder": {"attention": "none"}})),
    ):
        bundle.save(place / name, card=f"# {name}\n")
    return place


@pytest.fixture
def model(models: Path) -> Path:
    return models / "one"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has finished, and the file of its pairs. Read only."""
    place = tmp_path_factory.mktemp("finished")
    reversal.write(place / "pairs.tsv", reversal.pairs(200))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQSMITH_CACHE", str(place / "cache"))
        assert run(["train", str(place / "pairs.tsv"), "--out", str(place / "run"), "--quiet", *SMALL]) == 0
    return place / "run"
