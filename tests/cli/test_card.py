"""A model folder says what it is."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import reversal
from seqsmith import __version__, config
from seqsmith.cli.card import describe, duration, model_card
from seqsmith.evaluate.scores import score_texts
from seqsmith.predictor import Predictor


@pytest.mark.parametrize(
    ("encoder", "decoder", "words"),
    [
        ("lstm", "lstm", "bidirectional LSTM 1x16 encoder, LSTM 1x16 decoder with general attention"),
        ("gru", "transformer", "bidirectional GRU 1x16 encoder, Transformer 1x16 decoder"),
        ("transformer", "gru", "Transformer 1x16 encoder, GRU 1x16 decoder with general attention"),
    ],
)
def test_a_model_is_described_in_a_line(encoder: str, decoder: str, words: str) -> None:
    sides = {"encoder": reversal.side(encoder, width=16), "decoder": reversal.side(decoder, width=16)}
    assert describe(config.build({"model": sides}, where="test").model) == words
    plain = {"encoder": {"kind": "lstm", "bidirectional": False}, "decoder": {"kind": "lstm", "attention": "none"}}
    assert describe(config.build({"model": plain}, where="test").model) == (
        "LSTM 1x512 encoder, LSTM 1x512 decoder with no attention"
    )


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(0.02, "1.2 seconds"), (0.5, "30 seconds"), (3.4, "3 minutes"), (90, "90 minutes"), (150, "2.5 hours")],
)
def test_a_time_is_told_as_people_say_it(minutes: float, words: str) -> None:
    assert duration(minutes) == words


@pytest.mark.parametrize("features", ["", "AB"])
def test_the_card_tells_data_scores_and_use(features: str) -> None:
    corpora = [{"path": "/home/somebody/pairs.tsv"}, {"path": "a.en", "target": "b.de"}]
    bundle = reversal.bundle(features=features, data={"train": corpora})
    scores = score_texts(["12"], ["12"], ["exact_match"], resamples=10)
    card = model_card(bundle, scores=scores, pairs=1234, dev_pairs=56, minutes=3.0, name="run/model")
    assert card.startswith("# run/model\n")
    assert f"seqsmith {__version__} on 1,234 pairs in 3 minutes" in card
    assert "- pairs.tsv\n- a.en and b.de\n" in card
    assert "somebody" not in card  # whoever is given the model need not know where it was made
    assert "exact match  100.00  %" in card
    assert "seqsmith predict run/model < input.txt" in card
    assert ('features=["..."]' in card) == bool(features)
    assert "selfcheck.jsonl" not in card


def test_a_trained_model_has_its_card(finished: Path) -> None:
    card = (finished / "model" / "README.md").read_text(encoding="utf-8")
    assert "`selfcheck.jsonl` holds dev pairs in clear text" in card
    assert "bidirectional LSTM 1x16 encoder, LSTM 1x16 decoder with general attention" in card
    assert "- pairs.tsv" in card


def test_dev_pairs_are_left_out_of_a_model_as_the_page_on_security_says(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "SECURITY.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    model = Path("run/model")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished / "model", model)
    exec(code)
    assert not (model / "selfcheck.jsonl").exists()
    predictor = Predictor.open(model)
    assert predictor.predict(["12"])[0].text
    assert "the model carries no selfcheck.jsonl to check it on" in predictor.why
