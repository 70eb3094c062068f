"""Everything that can be wrong with what a user gives, each with its one sentence, exit code 2 and nothing lost."""

from __future__ import annotations

import json
import os
import resource
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import reversal
from seqsmith.predictor import Predictor
from terminal import Seqsmith

DATA: dict[str, tuple[dict[str, bytes], tuple[str, ...], str]] = {
    "no file": ({"pairs.tsv": b""}, ("pair.tsv",), "pair.tsv: no such file. Did you mean `pairs.tsv`?"),
    "a folder": ({}, (".",), ".: a folder; expected a file of examples."),
    "nothing": ({"a.tsv": b""}, ("a.tsv",), "a.tsv: there is no example in it; expected one a row."),
    "one column": (
        {"a.tsv": b"abc\ndef\n"},
        ("a.tsv",),
        "a.tsv:1: expected at least 2 columns (tab-separated), found 1. If this is the source side alone, give the "
        "target file as the second one (--dev SOURCES --dev TARGETS).",
    ),
    "a column more": (
        {"a.tsv": b"a\tb\nc\td\te\n"},
        ("a.tsv",),
        "a.tsv:2: expected 2 columns (tab-separated) as in the first row, found 3. A tab inside a text? Use a space, "
        "or a format that can hold tabs: .csv or .jsonl.",
    ),
    "lines that differ in number": (
        {"a.txt": b"a\nb\nc\n", "b.txt": b"a\nb\n"},
        ("a.txt", "b.txt"),
        "a.txt has 3 lines, b.txt has 2: line n of one must belong to line n of the other. "
        "Look for a line that is missing, is there twice, or is broken in two.",
    ),
    "no UTF-8": (
        {"a.tsv": b"a\tb\nc\xff\td\n"},
        ("a.tsv",),
        "a.tsv:2: not UTF-8: byte 2 of the line is 0xFF (invalid start byte). Save the file as UTF-8, or set "
        "data.bad_utf8 to skip or replace.",
    ),
    "NUL": (
        {"a.tsv": b"a\tb\nc\x00\td\n"},
        ("a.tsv",),
        "a.tsv:2: byte 2 of the line is NUL (0x00); expected UTF-8 text. Is the file binary, or in UTF-16?",
    ),
    "lines of an old Macintosh": (
        {"a.tsv": b"a\tb\rc\td\re\tf\r"},
        ("a.tsv",),
        "found 1 pair in all, too few to split a dev set off: give more data, or a dev set with --dev.",
    ),
    "lines of an old Macintosh beside others": (
        {"a.txt": b"a\rb\rc", "b.txt": b"a\nb\nc\n"},
        ("a.txt", "b.txt"),
        "a.txt has 1 lines, b.txt has 3: line n of one must belong to line n of the other. Look for a line that is "
        "missing, is there twice, or is broken in two. a.txt has carriage returns and no line feed: if its lines end "
        "in them, save it with line feeds.",
    ),
    "empty sides": (
        {"a.tsv": b"a\t\n\tb\n"},
        ("a.tsv",),
        "a.tsv: there is no example in it; expected one a row. "
        "Rows left out because source or target is empty: 2, the first at a.tsv:1.",
    ),
    "an empty target that may not be": (
        {"a.tsv": b"a\tb\nc\t\n"},
        ("a.tsv", "--set", "data.empty=error"),
        "a.tsv:2: the target is empty. Fill it, remove the row, or set data.empty to skip.",
    ),
    "one pair": (
        {"a.tsv": b"a\tb\n"},
        ("a.tsv",),
        "found 1 pair in all, too few to split a dev set off: give more data, or a dev set with --dev.",
    ),
    "no JSON": (
        {"a.jsonl": b'{"source": "a", "target": "b"}\nhello\n'},
        ("a.jsonl",),
        "a.jsonl:2: not JSON: Expecting value at character 1 of the line.",
    ),
    "no text in JSON": (
        {"a.jsonl": b'{"source": "a", "target": 3}\n'},
        ("a.jsonl",),
        'a.jsonl:1: expected a text in quotation marks for "target", found the number 3.',
    ),
    "a semicolon table of quoted cells": (
        {"a.csv": b'"ein Hund";"a dog"\n"b";"c"\n'},
        ("a.csv",),
        "a.csv:1: a quotation mark in the middle of cell 1. Semicolons separate nothing here: save the table with "
        "commas (.csv) or tabs (.tsv).",
    ),
    "no such column": (
        {"a.tsv": b"en\tde\na\tb\n"},
        ("a.tsv", "--set", "data.source=eng"),
        "a.tsv:1: there is no column `eng` for source. Did you mean `en`? Columns without names have numbers "
        "(data.source=1).",
    ),
    "no data": ({}, (), "no training data: name a file of pairs, or a source and a target file."),
    "three dev files": (
        {},
        ("a", "--dev", "b", "--dev", "c", "--dev", "d"),
        "--dev: expected one file of pairs, or a source and a target file, found 3 files.",
    ),
    "data named twice": (
        {"a.tsv": b"a\tb\n"},
        ("a.tsv", "--set", 'data.train=[{path="b.tsv"}]'),
        "data.train: set, while files are named on the command line as well. Take one of the two.",
    ),
    "no such texts": (
        {"a.tsv": b"a\tb\n"},
        ("a.tsv", "--set", "search.language_model=b.txt"),
        "b.txt: no such file.",
    ),
    "no such dev file": (
        {"a.tsv": b"a\tb\n"},
        ("a.tsv", "--dev", "b.tsv"),
        "b.tsv: no such file. Did you mean `a.tsv`?",
    ),
}


@pytest.mark.parametrize("case", DATA)
def test_what_is_wrong_with_data_is_told_and_no_run_is_left_behind(seqsmith: Seqsmith, folder: Path, case: str) -> None:
    files, words, message = DATA[case]
    for name, content in files.items():
        (folder / name).write_bytes(content)
    told = seqsmith("train", *words)
    said = [line for line in told.err.splitlines() if line.startswith("seqsmith: ")]
    assert (told.code, told.out, said) == (2, "", [f"seqsmith: {message}"])
    assert told.err.splitlines()[-1] == said[0]
    assert {path.name for path in folder.iterdir()} == set(files)


SETTINGS: dict[str, tuple[tuple[str, ...], str]] = {
    "unknown": (("train.epoch=3",), "settings: unknown setting `train.epoch`. Did you mean `epochs`?"),
    "one column twice": (
        ("data.source=1", "data.target=1"),
        "data.target: found the column 1, which is that of data.source. Name another.",
    ),
    "unknown section": (("tarin.epochs=3",), "settings: unknown setting `tarin`. Did you mean `train`?"),
    "of another kind": (
        ("model.encoder.kind=lstm", "model.encoder.norm_first=true"),
        "settings: unknown setting `model.encoder.norm_first`. Known: bidirectional, dropout, kind, layer_norm, "
        "layers, pyramid, residual, variational, width.",
    ),
    "no number": (("train.epochs=abc",), "settings: train.epochs: found 'abc', expected a whole number."),
    "no whole number": (("train.epochs=1.5",), "settings: train.epochs: found 1.5, expected a whole number."),
    "out of range": (("train.rate=-1",), "settings: train.rate: found -1, expected more than 0."),
    "no value": (("train.epochs",), "--set train.epochs: expected section.key=value, for example train.epochs=20."),
    "no such kind": (
        ("model.encoder.kind=lsmt",),
        "settings: model.encoder.kind: found 'lsmt', expected one of 'lstm', 'gru', 'transformer', 'conformer'.",
    ),
    "an algorithm for a kind": (
        ("source.tokeniser=bpe",),
        "settings: source.tokeniser.kind: found 'bpe', expected one of 'sentencepiece', 'characters', 'bytes', "
        "'words', 'symbols'. Say source.tokeniser.kind=sentencepiece and source.tokeniser.algorithm=bpe.",
    ),
    "a weight of dev pairs": (
        ("data.dev=[{path = 'pairs.tsv', weight = 2.0}]",),
        "data.dev: pairs that only are scored have no weight. Leave it out.",
    ),
    "impossible together": (
        ("model.encoder.kind=transformer", "model.encoder.width=30", "model.encoder.heads=4"),
        "settings: model.encoder: width 30 is not divisible by heads 4: change one of them.",
    ),
    "copies of joined steps": (
        ("model.copy_source=true", "model.encoder.kind=lstm", "model.encoder.pyramid=true", "model.decoder.kind=lstm"),
        "settings: model: copy_source points at every source token, and a pyramid joins them: leave one out.",
    ),
    "a residual around fewer steps": (
        ("model.encoder.kind=lstm", "model.encoder.pyramid=true", "model.encoder.residual=true"),
        "settings: model.encoder: a pyramid's layers are shorter than their inputs, so residual cannot add the two: "
        "leave one out.",
    ),
    "of CTC heads": (("search.ctc=0.3",), "search.ctc: means nothing where sources are text. Leave it out."),
    "of recordings alone": (("model.ctc=0.3",), "model.ctc: means nothing where sources are text. Leave it out."),
    "of series alone": (
        ("source=text", "series.horizon=3"),
        "series.horizon: means nothing where sources are text. Leave it out.",
    ),
    "more dev pairs than pairs to train on": (
        ("data.dev_pairs=101",),
        "data.dev_pairs: found 101 of 200 pairs, expected half of them at most.",
    ),
    "heads of an attention that has none": (
        ("model.family=gru", "model.decoder.heads=2"),
        "model.decoder.heads: means nothing with attention = 'general'. Set model.decoder.attention=multihead as well, "
        "or leave it out.",
    ),
    "no room for an answer": (
        ("search.shortest=9", "search.longest=5"),
        "settings: search: shortest 9 leaves no answer of at most 5 tokens, end and all.",
    ),
    "n-grams of nothing": (
        ("search.language_weight=0.5",),
        "settings: search: language_weight means nothing without language_model, a file of texts or a model of them.",
    ),
    "draws in training": (
        ("search.sample=true",),
        "search.sample: training scores the best answers, it draws none. Give it to predict instead.",
    ),
    "a number for the data": (("data=3",), "data: found 3, expected a table, for example data.source=1."),
    "a number for a section": (("train=3",), "settings: train: found 3, expected a table of settings."),
    "a number for a choice's section": (("source=3",), "settings: source: found 3, expected a table of settings."),
    "a number for a folder": (
        ("train.start_from=3",),
        "settings: train.start_from: found 3, expected a text.",
    ),
    "no model to start from": (("train.start_from=gone",), "gone: no such model folder."),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_what_is_wrong_with_settings_is_told_and_no_run_is_left_behind(
    seqsmith: Seqsmith, folder: Path, pairs: Path, case: str
) -> None:
    assignments, message = SETTINGS[case]
    told = seqsmith("train", pairs, *(word for assignment in assignments for word in ("--set", assignment)))
    assert (told.code, told.out) == (2, "")
    assert told.err.splitlines()[-1].startswith(f"seqsmith: {message}")
    assert "Traceback" not in told.err
    assert [path.name for path in folder.iterdir()] == ["pairs.tsv"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "settings.toml: no such settings file."),
        (b"x = [\n", "settings.toml: not a TOML file: "),
        (b"[train]\nepochs = \xff\n", "settings.toml: not a TOML file: "),
        (b"[train]\nepoch = 3\n", "settings.toml: unknown setting `train.epoch`. Did you mean `epochs`?"),
        (b"[train]\nepochs = 0\n", "settings.toml: train.epochs: found 0, expected more than 0."),
    ],
    ids=["gone", "torn", "bytes", "unknown", "value"],
)
def test_what_is_wrong_with_a_file_of_settings_is_told(
    seqsmith: Seqsmith, folder: Path, pairs: Path, content: bytes | None, message: str
) -> None:
    if content is not None:
        (folder / "settings.toml").write_bytes(content)
    told = seqsmith("train", pairs, "--config", "settings.toml")
    assert told.code == 2
    assert told.err.splitlines()[-1].startswith(f"seqsmith: {message}")
    assert seqsmith("train", pairs, "--config", ".").err == "seqsmith: .: cannot be read as settings: Is a directory.\n"


def test_an_assignment_may_be_what_is_wrong_beside_a_file_of_settings(
    seqsmith: Seqsmith, folder: Path, pairs: Path
) -> None:
    (folder / "settings.toml").write_text("seed = 2\n")
    told = seqsmith("train", pairs, "--config", "settings.toml", "--set", "train.epoch=3")
    assert "seqsmith: settings.toml and --set: unknown setting `train.epoch`." in told.err


def test_a_run_folder_that_cannot_be_made_is_told(seqsmith: Seqsmith, pairs: Path) -> None:
    told = seqsmith("train", pairs, "--out", pairs)
    assert (told.code, told.err) == (
        2,
        "seqsmith: pairs.tsv: cannot be a run folder: File exists. Choose another --out.\n",
    )


# ------------------------------------------------------------------------------------------------ huge lines


@pytest.mark.parametrize("verb", ["train", "predict", "evaluate", "inspect"])
def test_a_line_of_100_mb_is_refused_in_bounded_memory(
    seqsmith: Seqsmith, folder: Path, model: Path, verb: str
) -> None:
    with (folder / "huge.tsv").open("wb") as file:
        for _ in range(100):
            file.write(b"a" * 1_000_000)
    seqsmith(verb, "--help")
    words = (model, "huge.tsv") if verb in ("predict", "evaluate") else ("huge.tsv",)
    tracemalloc.start()
    try:
        told = seqsmith(verb, *words)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (told.code, told.err) == (
        2,
        "seqsmith: huge.tsv:1: this line is longer than 4,000,000 bytes. Is this text, one example a line? If the line "
        "is meant, raise data.longest_line_bytes.\n",
    )
    assert peak < 40_000_000


@pytest.mark.parametrize("tokeniser", ["characters", "symbols", "sentencepiece"])
def test_a_line_of_a_million_tokens_is_left_out_of_training_and_counted(
    seqsmith: Seqsmith, folder: Path, small: tuple[str, ...], tokeniser: str
) -> None:
    rows = [("1 2 " * 500_000 + "3", "1"), *((" ".join(source), target) for source, target in reversal.pairs(200))]
    reversal.write(folder / "pairs.tsv", rows)
    told = seqsmith("train", "pairs.tsv", *small, "--set", f"source.tokeniser={tokeniser}")
    assert told.code == 0
    assert (
        "  1 training pair left out: its source is over 1,024 tokens (data.longest_source), the first at pairs.tsv:1."
        in told.err
    )
    assert Predictor.open("run/model")


def test_a_line_of_a_million_tokens_is_cut_for_an_answer_and_told(seqsmith: Seqsmith, model: Path) -> None:
    told = seqsmith("predict", model, "--beam", "1", stdin="12" * 500_000 + "\n12\n")
    assert (told.code, len(told.lines)) == (0, 2)
    assert "1 of 2 sources were cut to 1,024 tokens (data.longest_source), the first is number 1." in told.err


# ------------------------------------------------------------------------------------------------ alphabets


@pytest.mark.parametrize("tokeniser", ["characters", "words", "symbols", "sentencepiece", "bytes"])
def test_an_alphabet_that_was_never_seen_is_answered_all_the_same(
    seqsmith: Seqsmith, folder: Path, small: tuple[str, ...], tokeniser: str
) -> None:
    reversal.write(folder / "pairs.tsv", [(" ".join(source), target) for source, target in reversal.pairs(200)])
    words = ("--quiet", "--set", f"source.tokeniser={tokeniser}", "--set", "train.updates=1")
    assert seqsmith("train", "pairs.tsv", *small, *words).code == 0
    told = seqsmith("predict", "run/model", stdin="1 2\nабв где\n한국어\n")
    assert (told.code, len(told.lines)) == (0, 3)
    known = "2 of 3 sources are mostly symbols that were never seen in training, the first is number 2." in told.err
    assert known == (tokeniser != "bytes")  # there is no byte without an id


# ------------------------------------------------------------------------------------------------ model folders


def damaged(model: Path) -> None:
    content = bytearray((model / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (model / "model.safetensors").write_bytes(content)


def newer(model: Path) -> None:
    manifest = json.loads((model / "MANIFEST.json").read_text())
    (model / "MANIFEST.json").write_text(json.dumps({**manifest, "format": 99}))


MODELS: dict[str, tuple[Callable[[Path], object], str]] = {
    "gone": (shutil.rmtree, "model: no such model folder."),
    "none": (lambda model: (model / "MANIFEST.json").unlink(), "model: not a model folder: it has no MANIFEST.json."),
    "damaged": (
        damaged,
        "model: damaged: model.safetensors is not what was saved (its SHA-256 differs). Copy or train the model again.",
    ),
    "incomplete": (
        lambda model: (model / "config.toml").unlink(),
        "model: damaged: config.toml is missing. Copy or train the model again.",
    ),
    "cut off": (
        lambda model: (model / "config.toml").write_text("[train"),
        "model: damaged: config.toml is not what was saved (its SHA-256 differs). Copy or train the model again.",
    ),
    "newer": (newer, "model: written in format 99 by a newer seqsmith; this one reads up to 1. Update seqsmith."),
}


@pytest.mark.parametrize("case", MODELS)
@pytest.mark.parametrize("verb", ["predict", "evaluate", "score"])
def test_a_model_folder_that_is_none_is_told(
    seqsmith: Seqsmith, folder: Path, pairs: Path, model: Path, case: str, verb: str
) -> None:
    shutil.copytree(model, folder / "model")
    spoil, message = MODELS[case]
    spoil(folder / "model")
    told = seqsmith(verb, "model", pairs)
    assert (told.code, told.out, told.err) == (2, "", f"seqsmith: {message}\n")


def test_a_run_folder_leads_to_its_model(seqsmith: Seqsmith, finished: Path) -> None:
    told = seqsmith("predict", finished, stdin="1\n")
    assert told.err == (
        f"seqsmith: {finished}: not a model folder: it has no MANIFEST.json. Did you mean {finished / 'model'}?\n"
    )


# ------------------------------------------------------------------------------------------------ a full disk


@contextmanager
def full_disk(largest_file: int) -> Iterator[None]:
    """Within, no file grows beyond so many bytes, as if there were no room for it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_at_the_first_checkpoint_says_that_nothing_was_begun(
    seqsmith: Seqsmith, pairs: Path, small: tuple[str, ...]
) -> None:
    with full_disk(16_000):
        told = seqsmith("train", pairs, "--quiet", *small)
    assert told.code == 2
    assert told.err.startswith("seqsmith: run/checkpoints/step-00000004: could not be written: ")
    assert "Nothing was begun: start again with the same command." in told.err
    assert len(told.err.splitlines()) == 1
    assert not Path("run").exists()
    assert seqsmith("train", pairs, "--quiet", *small).code == 0


def test_a_full_disk_while_training_leaves_the_older_checkpoint_to_go_on_from(
    seqsmith: Seqsmith, pairs: Path, small: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    from seqsmith.cli.display import Display

    show = Display.show

    def fill_the_disk(self: Display, event: dict[str, object]) -> None:
        show(self, event)
        if event["event"] == "checkpoint":
            resource.setrlimit(resource.RLIMIT_FSIZE, (16_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    with monkeypatch.context() as patch, full_disk(resource.RLIM_INFINITY):
        patch.setattr(Display, "show", fill_the_disk)
        told = seqsmith("train", pairs, "--quiet", *small)
    assert told.code == 2
    assert told.err.startswith("seqsmith: run/checkpoints/step-00000008: could not be written: ")
    assert "What was saved before is untouched" in told.err
    assert len(told.err.splitlines()) == 1
    assert os.listdir("run/checkpoints") == ["step-00000004"]
    told = seqsmith("train", "--resume")
    assert "Going on after update 4." in told.err
    assert told.code == 0


def test_a_full_disk_while_the_model_is_saved_leaves_the_older_model(
    seqsmith: Seqsmith, pairs: Path, small: tuple[str, ...]
) -> None:
    assert seqsmith("train", pairs, "--quiet", *small).code == 0
    before = Path("run/model/model.safetensors").read_bytes()
    with full_disk(16_000):
        told = seqsmith("train", "--resume", "--quiet")  # all updates are done: it makes its model again
    assert told.code == 2
    assert told.err.startswith("seqsmith: run/model: could not be written: ")
    assert Path("run/model/model.safetensors").read_bytes() == before
    assert len(Predictor.open("run/model").predict(["1"])) == 1
    assert [path.name for path in Path("run").iterdir() if path.name.startswith((".tmp", ".old"))] == []


def test_a_full_disk_before_the_run_began_is_told(seqsmith: Seqsmith, pairs: Path, small: tuple[str, ...]) -> None:
    with full_disk(100):
        told = seqsmith("train", pairs, "--quiet", *small)
    assert told.code == 2
    assert told.err.startswith("seqsmith: ")
    assert len(told.err.splitlines()) == 1
    assert not Path("run").exists()


def test_a_full_disk_while_answers_are_written_is_told(seqsmith: Seqsmith, folder: Path, model: Path) -> None:
    (folder / "out.jsonl").write_text("dear\n")
    with full_disk(4_000):
        told = seqsmith("predict", model, "--out", "out.jsonl", stdin="1\n" * 100)
    assert told.code == 2
    assert told.err.splitlines()[-1] == "seqsmith: out.jsonl: cannot be written: File too large."
    assert (folder / "out.jsonl").read_text() == "dear\n"
