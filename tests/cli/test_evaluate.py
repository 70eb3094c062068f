"""Scores of given pairs, as a table and as JSON; paired tests; how likely pairs are."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

import reversal
from seqsmith.predictor import Predictor
from terminal import Seqsmith

PAIRS = reversal.pairs(30)


@pytest.fixture
def test_file(folder: Path) -> Path:
    """Thirty pairs, of which the model knows the answers to all but one: its target is wrong here, on purpose."""
    rows = [*PAIRS[:10], ("", "5"), *PAIRS[10:29], (PAIRS[29][0], "0000000")]
    reversal.write(folder / "test.tsv", rows)
    return Path("test.tsv")


def test_a_table_tells_every_score_with_interval_and_signature(
    seqsmith: Seqsmith, model: Path, test_file: Path
) -> None:
    told = seqsmith("evaluate", model, test_file)
    assert told.code == 0
    assert told.lines[0] == "30 pairs of test.tsv, answered with beam 3"
    assert told.lines[2].split()[:3] == ["exact", "match", "96.67"]
    assert all("version:" in line for line in told.lines[2:5])
    assert told.err == ("seqsmith: Rows left out because source or target is empty: 1, the first at test.tsv:11.\n")


def test_parallel_files_are_the_same_pairs(seqsmith: Seqsmith, folder: Path, model: Path, test_file: Path) -> None:
    rows = [line.split("\t") for line in test_file.read_text().splitlines()]
    for side, name in enumerate(("source.txt", "target.txt")):
        (folder / name).write_text("".join(f"{row[side]}\n" for row in rows))
    assert (
        seqsmith("evaluate", model, "source.txt", "target.txt").lines[1:]
        == (seqsmith("evaluate", model, test_file).lines[1:])
    )


def test_the_report_holds_everything(seqsmith: Seqsmith, folder: Path, model: Path, test_file: Path) -> None:
    words = ("--score", "exact_match", "--score", "cer", "--worst", "1", "--beam", "2", "--report", "report.json")
    told = seqsmith("evaluate", model, test_file, *words)
    report = json.loads((folder / "report.json").read_text())
    assert (report["models"], report["data"], report["pairs"]) == ([str(model)], ["test.tsv"], 30)
    assert report["search"]["beam"] == 2
    assert list(report["scores"]) == ["exact_match", "cer"]
    assert math.isclose(report["scores"]["exact_match"]["value"], 100 * 29 / 30)
    assert report["outputs"] == [target for _, target in PAIRS]
    assert report["lines"] == [*range(1, 11), *range(12, 32)]
    assert report["worst"][0]["number"] == 31
    assert "test.tsv:31" in told.out  # the line in the file, not the number of the pair


def test_the_worst_answers_are_shown_with_their_lines(seqsmith: Seqsmith, model: Path, test_file: Path) -> None:
    shown = seqsmith("evaluate", model, test_file, "--worst", "5").out.split("\n\n")[1:]
    assert [part.split()[0] for part in shown] == ["test.tsv:31"]  # there are no other mistakes
    assert f"output     {PAIRS[29][1]}" in shown[0]


def test_two_models_are_compared_pair_by_pair(seqsmith: Seqsmith, folder: Path, models: Path, test_file: Path) -> None:
    words = ("--against", models / "untaught", "--score", "exact_match", "--report", "report.json")
    told = seqsmith("evaluate", models / "one", test_file, *words)
    assert f"a: {models / 'one'}   b: {models / 'untaught'}" in told.out
    against = json.loads((folder / "report.json").read_text())["against"]
    assert against["models"] == [str(models / "untaught")]
    assert against["tests"][0]["difference"] > 90
    assert against["tests"][0]["p_value"] < 0.01
    words = ("--against", models / "one", "--score", "exact_match", "--report", "report.json")
    seqsmith("evaluate", models / "one", test_file, *words)
    assert json.loads((folder / "report.json").read_text())["against"]["tests"][0]["p_value"] == 1


def test_features_are_read_as_in_training(seqsmith: Seqsmith, folder: Path, models: Path) -> None:
    rows = [
        (source, source if number % 2 else target, "AB"[number % 2]) for number, (source, target) in enumerate(PAIRS)
    ]
    reversal.write(folder / "test.tsv", rows)
    told = seqsmith("evaluate", models / "features", "test.tsv", "--set", "data.features=3", "--score", "exact_match")
    assert told.lines[2].split()[:3] == ["exact", "match", "100.00"]


def test_score_prints_a_log_probability_for_each_pair(seqsmith: Seqsmith, models: Path, test_file: Path) -> None:
    told = seqsmith("score", models / "one", test_file)
    assert (told.code, told.out) == (2, "")  # lines would not stand beside those of the file
    assert "test.tsv:11: the source is empty" in told.err
    reversal.write(test_file, [*PAIRS[:29], (PAIRS[29][0], "0000000")])
    told = seqsmith("score", models / "one", test_file)
    values = [float(line) for line in told.lines]
    assert len(values) == 30
    assert all(value < 0 for value in values)
    assert min(values) == values[29]  # the pair that is wrong
    found = Predictor.open(models / "one").score([PAIRS[0][0]], [PAIRS[0][1]])
    assert math.isclose(values[0], found[0], abs_tol=1e-4)
    both = seqsmith("score", models / "one", test_file, "--with", models / "another")
    assert both.out != told.out


def test_targets_with_symbols_that_were_never_seen_are_told(seqsmith: Seqsmith, folder: Path, model: Path) -> None:
    reversal.write(folder / "test.tsv", [("1", "1"), ("1", "ж")])
    told = seqsmith("score", model, "test.tsv")
    assert (told.code, len(told.lines)) == (0, 2)
    assert "1 of 2 targets hold symbols that were never seen in training, the first is number 2" in told.err


def test_a_pair_that_is_too_long_to_be_scored_is_named(seqsmith: Seqsmith, folder: Path, model: Path) -> None:
    (folder / "test.tsv").write_text("source\ttarget\n1\t1\n2\t" + "2" * 2000 + "\n")
    told = seqsmith("score", model, "test.tsv")
    assert (told.code, told.out) == (2, "")
    assert told.err.splitlines()[-1] == (
        "seqsmith: test.tsv:3: pair 2: its target has 2,001 tokens, more than data.longest_target = 1,024 of this "
        "model: shorten it or leave it out."
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("test.tsv", "--score", "bleuu"), "--score bleuu: no such score, expected one of bleu, chrf, ter, "),
        (("nowhere.tsv",), "nowhere.tsv: no such file."),
        (("test.tsv", "--report", "no/r.json"), "no/r.json: cannot be written: No such file or directory."),
        (("test.tsv", "--against", "nowhere"), "nowhere: no such model folder."),
        (("test.tsv", "--set", "train.epochs=3"), "--set train: only settings of search, data, series hold here."),
    ],
)
def test_a_mistake_is_told_and_nothing_is_written(
    seqsmith: Seqsmith, folder: Path, model: Path, test_file: Path, words: tuple[str, ...], message: str
) -> None:
    told = seqsmith("evaluate", model, *words)
    assert told.code == 2
    assert told.err.startswith(f"seqsmith: {message}")
    assert list(folder.iterdir()) == [folder / test_file]


def test_an_older_report_stays_until_the_new_one_is_whole(seqsmith: Seqsmith, folder: Path, model: Path) -> None:
    (folder / "report.json").write_text("{}")
    assert seqsmith("evaluate", model, "nowhere.tsv", "--report", "report.json").code == 2
    assert (folder / "report.json").read_text() == "{}"
    assert len(list(folder.iterdir())) == 1
