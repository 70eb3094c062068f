"""What data, models and runs are said to be; the report as JSON; nothing that steers a terminal."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import reversal
from terminal import Seqsmith


def test_data_is_told_with_what_is_odd_in_it(seqsmith: Seqsmith, folder: Path) -> None:
    reversal.write(folder / "train.tsv", [("ab", "ba"), ("ab", "ba"), ("cc", "cc"), ("", "x"), ("de", "ed")])
    reversal.write(folder / "test.tsv", [("de", "ed"), ("fg", "gf")])
    told = seqsmith("inspect", "train.tsv", "--test", "test.tsv")
    assert told.code == 0
    assert told.lines[0] == "train: train.tsv, 4 pairs"
    for line in (
        "  repeated pairs: 1 (25.0%)",
        "    train.tsv:2 (as train.tsv:1)",
        "  source and target the same: 1 (25.0%)",
        "  empty rows: 1 (20.0%)",
        "  pairs of test in train: 1",
    ):
        assert line in told.lines


def test_standard_input_can_be_inspected(seqsmith: Seqsmith) -> None:
    assert seqsmith("inspect", "-", stdin="a\tb\nc\td\n").lines[0] == "train: standard input, 2 pairs"


def test_a_model_is_told_with_its_settings(seqsmith: Seqsmith, model: Path) -> None:
    told = seqsmith("inspect", model)
    assert told.lines[0] == f"{model}: a whole model folder, every file as it was saved"
    assert "bidirectional LSTM 1x16 encoder, LSTM 1x16 decoder with general attention" in told.lines[1]
    assert told.lines[2] == "  14 source and 14 target symbols"
    assert "[model.encoder]" in told.lines


@pytest.mark.parametrize("option", [("--dev", "d.tsv"), ("--test", "d.tsv"), ("--set", "data.header=true")])
def test_what_is_for_data_is_refused_where_a_folder_is_inspected(
    seqsmith: Seqsmith, model: Path, option: tuple[str, str]
) -> None:
    told = seqsmith("inspect", model, *option)
    expected = f"seqsmith: {model}: is a folder, and --dev, --test and --set are for files of data. Leave them out.\n"
    assert (told.code, told.err) == (2, expected)


def test_a_run_is_told_with_its_validations_and_scores(seqsmith: Seqsmith, finished: Path) -> None:
    told = seqsmith("inspect", finished)
    assert told.lines[0].startswith(f"{finished}: a run of 8 updates in ")
    assert told.lines[0].endswith("seconds, finished")
    assert [line.split()[:2] for line in told.lines if line.startswith("  update")] == [
        ["update", "4"],
        ["update", "8"],
    ]
    assert any(line.startswith("  dev exact match ") for line in told.lines)


def test_a_run_that_stopped_says_how_to_go_on(seqsmith: Seqsmith, finished: Path, folder: Path) -> None:
    lines = (finished / "journal.jsonl").read_text().splitlines()
    until = next(number for number, line in enumerate(lines) if '"validation"' in line)
    shutil.copytree(finished, folder / "run")
    (folder / "run" / "journal.jsonl").write_text("\n".join(lines[: until + 1]) + "\n")
    told = seqsmith("inspect", "run")
    assert told.lines[0].endswith("not finished: go on with seqsmith train --resume --out run")
    next((folder / "run" / "vocabulary").glob("*.*")).write_text("x")
    assert "not finished, and cannot go on: run/vocabulary: damaged: " in seqsmith("inspect", "run").lines[0]
    (folder / "run" / "config.toml").write_text("[x")
    assert "and cannot go on: run/config.toml: not a TOML file" in seqsmith("inspect", "run").lines[0]


@pytest.mark.parametrize("what", ["data", "model", "run"])
def test_json_is_json(seqsmith: Seqsmith, finished: Path, pairs: Path, what: str) -> None:
    path = {"data": pairs, "model": finished / "model", "run": finished}[what]
    told = seqsmith("inspect", path, "--json")
    found = json.loads(told.out)
    assert found[{"data": "parts", "model": "settings", "run": "validations"}[what]]


def test_numbers_that_json_does_not_know_are_null(seqsmith: Seqsmith, finished: Path, folder: Path) -> None:
    shutil.copytree(finished, folder / "run")
    journal = folder / "run" / "journal.jsonl"
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    for event in events:
        if event["event"] == "validation":
            event["dev_nats_per_token"] = float("nan")
    journal.write_text("".join(json.dumps(event) + "\n" for event in events))

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    found = json.loads(seqsmith("inspect", "run", "--json").out, parse_constant=refuse)
    assert found["validations"][0]["dev_nats_per_token"] is None


def test_nothing_that_steers_a_terminal_passes(seqsmith: Seqsmith, folder: Path) -> None:
    name = "a\x1b]0;owned\x07\x9b.tsv"
    (folder / name).write_text("\x1b[2Jclear\tb\nc\u202e\td\x9b\n", encoding="utf-8")
    told = seqsmith("inspect", name)
    assert told.code == 0
    assert all(character.isprintable() or character == "\n" for character in told.out)
    assert "\\x1b[2Jclear" in told.out
    found = seqsmith("inspect", name, "--json").out
    assert all(character.isprintable() or character == "\n" for character in found)
    assert json.loads(found)["parts"]["train"]["path"] == name
    told = seqsmith("inspect", f"{name}.gone")
    assert (
        told.err
        == "seqsmith: a\\x1b]0;owned\\x07\\x9b.tsv.gone: no such file. Did you mean `a\\x1b]0;owned\\x07\\x9b.tsv`?\n"
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda _run: None,
            "run: neither a run (it has no journal.jsonl) nor a model folder (no MANIFEST.json).",
        ),
        (
            lambda run: (run / "journal.jsonl").write_text(""),
            "run: this run has not begun: nothing is in its journal.",
        ),
        (
            lambda run: (run / "journal.jsonl").write_text("mail\n"),
            "run/journal.jsonl:1: found b'mail', expected one JSON object: damaged.",
        ),
    ],
    ids=["neither", "empty", "damaged"],
)
def test_a_folder_that_is_nothing_of_ours_is_told(seqsmith: Seqsmith, folder: Path, make, message: str) -> None:  # type: ignore[no-untyped-def]
    (folder / "run").mkdir()
    make(folder / "run")
    told = seqsmith("inspect", "run")
    assert (told.code, told.err) == (2, f"seqsmith: {message}\n")
