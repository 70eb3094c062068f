"""A run with many target ids ends with a shortlist in its model folder, which answering can be told to use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seqsmith.model_folder import SHORTLIST
from seqsmith.search.shortlist import Shortlist
from terminal import Seqsmith


def test_a_shortlist_is_learnt_told_and_used_where_it_is_asked_for(
    seqsmith: Seqsmith, pairs: Path, small: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqsmith.cli.finish.SMALLEST", 14)
    told = seqsmith("train", pairs, "--out", "run", *small)
    assert told.code == 0, told.err
    assert "Shortlist of the vocabulary: 14 of 14 target ids for a source of dev; 100.0% of the answers" in told.err
    model = Path("run/model")
    assert SHORTLIST in json.loads((model / "MANIFEST.json").read_text())["files"]
    assert "`shortlist.safetensors` the likely target" in (model / "README.md").read_text()
    assert Shortlist.open(model / SHORTLIST).always_V.all()
    plain = seqsmith("predict", model, "--engine", "torch", stdin="123\n45\n")
    asked = seqsmith("predict", model, "--engine", "torch", "--set", "search.shortlist=true", stdin="123\n45\n")
    assert (asked.code, asked.out) == (0, plain.out)
    assert "a shortlist of the vocabulary is used, as asked (search.shortlist)." in asked.err


def test_a_small_vocabulary_has_no_shortlist_and_none_can_be_asked_for(seqsmith: Seqsmith, finished: Path) -> None:
    assert not (finished / "model" / SHORTLIST).exists()
    told = seqsmith("predict", finished / "model", "--set", "search.shortlist=true", stdin="1\n")
    assert told.code == 2
    assert f"search.shortlist: {finished / 'model'} has no shortlist.safetensors" in told.err
