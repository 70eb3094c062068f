"""What torch answered is stored so that any text survives, and torch itself passes its own check."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engine.engines import CPU, folder_of, taught
from seqsmith.engine.pytorch import TorchEngine
from seqsmith.engine.selfcheck import MOST_PAIRS, Pair, check, read_check, read_sample, save_sample
from seqsmith.model_folder import SAMPLE


def test_torch_agrees_with_itself(tmp_path: Path) -> None:
    bundle = taught("gru")
    folder = folder_of(bundle, tmp_path / "model", sample=True)
    found = check(TorchEngine((bundle.model,), CPU), folder, read_sample(folder), shortlist=False)
    assert (found.same, found.loss, found.passed) == (1.0, 0.0, True)
    assert not replace(found, same=0.03).passed  # however little the score says of a model that knows nothing
    found.save(tmp_path / "check.json")
    assert read_check(tmp_path / "check.json") == found
    assert str(found).startswith("100.0% of its answers to 20 dev pairs are torch's, chrf ")


def test_any_text_survives_in_a_sample(tmp_path: Path) -> None:
    folder = folder_of(taught("gru"), tmp_path / "model")
    pairs = [Pair("a\tb\u2028c\n", "\r\x85", '"', None), Pair("", "語", "\\n", "V;PST")]
    save_sample(pairs, folder.path / SAMPLE)
    assert read_sample(folder) == pairs


def test_a_sample_is_bounded_and_even_and_an_empty_one_is_none(tmp_path: Path) -> None:
    folder = folder_of(taught("gru"), tmp_path / "model")
    save_sample([], folder.path / SAMPLE)
    assert read_sample(folder) == []
    assert not (folder.path / SAMPLE).exists()
    save_sample([Pair(str(number), "", "", None) for number in range(3 * MOST_PAIRS)], folder.path / SAMPLE)
    assert [pair.source for pair in read_sample(folder)] == [str(number) for number in range(0, 3 * MOST_PAIRS, 3)]
