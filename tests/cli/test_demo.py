"""The demonstration, from its own data to the next commands to type; here with little of everything."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from terminal import Seqsmith


def test_the_demo_shows_the_whole_road(seqsmith: Seqsmith, folder: Path, small: tuple[str, ...]) -> None:
    told = seqsmith("demo", "--pairs", "600", *small)
    assert told.code == 0
    assert told.lines[0].startswith("Wrote demo/data/train.tsv and demo/data/test.tsv")
    assert "On 20 dates that the model has never seen:" in told.lines
    assert len(re.findall(r"^  .*  (?:right|wrong, it is \d{4}-\d\d-\d\d)  .", told.out, re.MULTILINE)) == 10
    assert (folder / "demo" / "attention.svg").read_text(encoding="utf-8").startswith("<svg")
    assert "Read 580 training pairs" in told.err
    commands = told.out.split("Go on with:\n")[1].splitlines()
    assert [line.strip().split(" ")[0] for line in commands] == ["echo", "seqsmith", "seqsmith", "seqsmith"]
    for line in commands[1:3]:  # as they stand, they work
        assert seqsmith(*line.split()[1:]).code == 0

    assert seqsmith("demo", "--pairs", "60", *small).lines[0].startswith("Wrote demo-2/data/train.tsv")
    assert seqsmith("demo", "--out", "demo").err == (
        "seqsmith: demo: exists already. Remove it, or choose another --out.\n"
    )


@pytest.mark.parametrize(("said", "updates"), [((), 2_000), (("--set", "train.epochs=9"), None)])
def test_the_demo_trains_for_as_long_as_dates_take_unless_told_otherwise(
    seqsmith: Seqsmith, folder: Path, small: tuple[str, ...], said: tuple[str, ...], updates: int | None
) -> None:
    at = small.index("train.updates=8")
    little = (*small[: at - 1], *small[at + 1 :], "--set", "train.minutes=0.01", *said)
    assert seqsmith("demo", "--pairs", "60", *little).code == 0
    with (folder / "demo" / "run" / "config.toml").open("rb") as file:
        assert tomllib.load(file)["train"].get("updates") == updates


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--speech", "--series"), "--pairs, --speech and --series are of three demos. Take one of them."),
        (("--pairs", "60", "--series"), "--pairs, --speech and --series are of three demos. Take one of them."),
        (("--set", "train.epoch=3"), "unknown setting `train.epoch`. Did you mean `epochs`?"),
        (("--speech", "--set", "source.tempos=0.1"), "unknown setting `source.tempos`."),
    ],
)
def test_a_demo_writes_nothing_before_what_it_is_told_is_checked(
    seqsmith: Seqsmith, folder: Path, words: tuple[str, ...], message: str
) -> None:
    told = seqsmith("demo", *words)
    assert (told.code, told.out, list(folder.iterdir())) == (2, "", [])
    assert message in told.err


def test_a_model_without_attention_is_shown_without_a_picture(
    seqsmith: Seqsmith, folder: Path, small: tuple[str, ...]
) -> None:
    told = seqsmith("demo", "--pairs", "60", *small, "--set", "model.decoder.attention=none")
    assert told.code == 0
    assert "No picture is drawn: this model has no attention" in told.out
    assert not (folder / "demo" / "attention.svg").exists()
