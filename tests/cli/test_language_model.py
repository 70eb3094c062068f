"""A model that knows texts and no source has a say in the answers of another."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

import reversal
import seqsmith as package
from seqsmith.bundle import open_bundle
from seqsmith.engine.language import open_language_model
from seqsmith.featurise import Featuriser
from seqsmith.text.codec import train_codec
from terminal import Seqsmith


@pytest.fixture
def texts(seqsmith: Seqsmith, folder: Path, small: tuple[str, ...]) -> Path:
    """The model folder of a language model of digits that rise by one, and hardly any other."""
    chance = random.Random(1)
    digits = [[(first + step) % 10 for step in range(chance.randint(2, 6))] for first in range(10) for _ in range(30)]
    reversal.write(folder / "texts.tsv", [(".", "".join(map(str, text))) for text in digits])
    learn = ("train.updates=150", "train.rate=0.02", "train.score=loss")  # there is nothing to answer rightly
    told = seqsmith("train", "texts.tsv", "--out", "lm", *small, *(word for each in learn for word in ("--set", each)))
    assert told.code == 0, told.err
    assert "no target (the sources are a few that repeat) of theirs is left in training" in told.err
    return Path("lm/model")


def test_a_model_of_texts_is_fused_from_the_command_line(
    seqsmith: Seqsmith, texts: Path, pairs: Path, small: tuple[str, ...]
) -> None:
    assert seqsmith("train", pairs, "--out", "run", *small, "--set", f"search.language_model={texts}").code == 0
    settings = ("--set", "search.language_weight=30", "--set", "search.shortest=4", "--set", "search.longest=5")
    told = seqsmith("predict", "run/model", *settings, stdin="52\n9\n")
    assert told.code == 0, told.err
    rising = "0123456789012345"
    assert all(4 <= len(answer) <= 5 and answer in rising for answer in told.out.split())
    unheard = seqsmith("predict", "run/model", "--set", "search.language_weight=0", stdin="52\n9\n")
    assert unheard.out != told.out


def test_it_is_as_likely_as_that_model_says_whatever_the_ids_of_the_other(texts: Path) -> None:
    bundle = open_bundle(texts)
    other = Featuriser(bundle.featuriser.source, train_codec(list("9876543210"), bundle.settings.target))
    language = open_language_model(str(texts), other, order=1, device=torch.device("cpu"))
    ids = other.targets({"target": ["4567"]})[0]
    assert ids != bundle.featuriser.targets({"target": ["4567"]})[0]
    state, before, log_p = language.start(1), torch.tensor([2]), 0.0  # BEGIN
    for number in ids:
        log_p_NV, state = language.step(before, state)
        log_p += log_p_NV[0, number].item()
        before = torch.tensor([number])
    expected = package.load(texts).score(["."], ["4567"])[0]
    assert log_p == pytest.approx(expected, abs=1e-4)


def test_what_is_no_language_model_is_told(
    seqsmith: Seqsmith, folder: Path, pairs: Path, texts: Path, small: tuple[str, ...]
) -> None:
    assert seqsmith("train", pairs, "--out", "run", *small).code == 0
    told = seqsmith("predict", "run/model", "--set", "search.language_model=run/model", stdin="52\n")
    assert told.code == 2
    assert told.err.startswith(
        "seqsmith: search.language_model: run/model is no language model: its sources must all be"
    )
    reversal.write(
        folder / "letters.tsv",
        [(left, right.translate(str.maketrans("012", "abc"))) for left, right in reversal.pairs(200)],
    )
    assert seqsmith("train", "letters.tsv", "--out", "other", *small).code == 0
    told = seqsmith("predict", "other/model", "--set", f"search.language_model={texts}", stdin="52\n")
    assert (told.code, told.out) == (2, "")
    assert "lm/model knows 7 of the 10 symbols of this model's answers, expected 90%" in told.err
    (folder / "empty").mkdir()
    told = seqsmith("train", pairs, "--out", "third", *small, "--set", "search.language_model=empty")
    assert (told.code, Path("third").exists() and any(Path("third").glob("config.toml"))) == (2, False)
    assert "empty" in told.err
