"""A model whose vocabulary has grown says of old symbols what it said before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import reversal
from seqsmith import config
from seqsmith.batch import Batch, tokens
from seqsmith.bundle import Bundle, new_model
from seqsmith.cli.finetune import inherit
from seqsmith.cli.prepare import Pairs, grow_codecs
from seqsmith.data.prepare import gather
from seqsmith.model.outlet import CopyOutlet
from seqsmith.text.columns import roles

GROWN: dict[str, dict[str, Any]] = {
    "apart": {},
    "transformer": {"kind": "transformer"},
    "features": {"features": "NV"},
    "nothing shared": {"model": {"share_embeddings": "none"}},
    "copy": {"model": {"copy_source": True}},
    "one vocabulary": {"joint_vocabulary": True, "model": {"share_embeddings": "all"}},
    "one to read": {"joint_vocabulary": True, "model": {"share_embeddings": "source"}},
    "one with features": {"joint_vocabulary": True, "model": {"share_embeddings": "all"}, "features": "NV"},
}


def grown(older: Bundle, rows: Sequence[Sequence[str]], folder: Path) -> Bundle:
    """The older model with room for what the rows have and it did not know."""
    data = config.Data(features=3 if len(rows[0]) == 3 else None)
    corpus = config.Corpus(path=reversal.write(folder / "more.tsv", rows))
    gathered = gather([corpus], roles(data), data, folder / "cache")
    every = np.arange(len(gathered))
    featuriser = grow_codecs(older, Pairs(gathered, every, gathered, every))
    torch.manual_seed(99)
    model = new_model(older.settings, featuriser)
    inherit(model, featuriser, older)
    return Bundle(older.settings, featuriser, model.eval())


@pytest.mark.parametrize("name", GROWN)
def test_a_grown_vocabulary_changes_no_logit_of_an_old_symbol(tmp_path: Path, name: str) -> None:
    features = GROWN[name].get("features", "")
    older = reversal.bundle(**GROWN[name], updates=5)
    rows = [("12x", "21", "N"), ("3y", "z3", "W")] if features else [("12x", "21"), ("3y", "z3")]
    newer = grown(older, rows, tmp_path)
    assert newer.featuriser.source.size > older.featuriser.source.size
    assert newer.featuriser.target.size > older.featuriser.target.size

    texts = {"source": ["123", "9", "4567"], "target": ["321", "", "76"]}
    if features:
        texts["features"] = ["N", "V", "N;V"]
    logits, digits = [], []
    for bundle in (older, newer):
        if isinstance(bundle.model.outlet, CopyOutlet):  # what it says itself; what it points at has no logits
            bundle.model.outlet = bundle.model.outlet.vocabulary
        source, target = bundle.featuriser.sources(texts), bundle.featuriser.targets(texts)
        batch = Batch(tokens(source), tokens(target), torch.arange(3))
        logits.append(bundle.model(batch).scores.logits())
        digits.append(bundle.featuriser.targets({"target": ["0123456789"]})[0])
    assert digits[0] == digits[1]  # END among them: old ids stay what they were
    old = [0, 1, 2, *digits[0]]
    torch.testing.assert_close(logits[1][:, old], logits[0][:, old], rtol=1e-5, atol=1e-5)


def test_one_vocabulary_grows_as_one(tmp_path: Path) -> None:
    older = reversal.bundle(**GROWN["one with features"])
    newer = grown(older, [("x", "y", "N"), ("z", "x", "W")], tmp_path).featuriser
    assert newer.source.tokeniser is newer.target.tokeniser
    assert newer.source.encode(["xyz"]).lists() == newer.target.encode(["xyz"]).lists()
    assert newer.source.size == newer.target.size + 3  # N, V, W


def test_features_that_are_never_said_stay_as_unlikely_as_they_were(tmp_path: Path) -> None:
    older = reversal.bundle(**GROWN["one with features"], updates=5)
    newer = grown(older, [("x", "y", "N")], tmp_path)
    names = [codec.pieces(range(codec.size)) for codec in (older.featuriser.source, newer.featuriser.source)]
    for letter in "NV":
        before, after = (
            bundle.model.outlet.bias[pieces.index(letter)] for bundle, pieces in zip((older, newer), names, strict=True)
        )
        assert before == after != 0.0
