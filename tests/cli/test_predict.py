"""Sources in, answers out: line for line, whatever the format."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import threading
from pathlib import Path

import pytest
import torch

import reversal
from seqsmith.bundle import open_bundle
from terminal import Seqsmith, start

PAIRS = reversal.pairs(6)
SOURCES = [source for source, _ in PAIRS]
TARGETS = [target for _, target in PAIRS]
TEXT = "".join(f"{source}\n" for source in SOURCES)


def test_standard_input_is_answered_line_for_line(seqsmith: Seqsmith, model: Path) -> None:
    told = seqsmith("predict", model, stdin=TEXT)
    assert (told.code, told.lines, told.err) == (0, TARGETS, "")


def test_empty_lines_have_empty_answers_in_their_place(seqsmith: Seqsmith, model: Path) -> None:
    told = seqsmith("predict", model, stdin=f"\n{SOURCES[0]}\n\n  \n{SOURCES[1]}")
    assert told.lines == ["", TARGETS[0], "", "", TARGETS[1]]


def test_no_lines_have_no_answers(seqsmith: Seqsmith, model: Path) -> None:
    assert seqsmith("predict", model, stdin="").out == ""


def test_whoever_asks_line_by_line_is_answered_line_by_line(folder: Path, model: Path) -> None:
    """Another program writes a question into a pipe and waits for the answer before it writes the next."""
    with start("predict", model, folder=folder) as process:
        assert process.stdin
        assert process.stdout
        for source, target in PAIRS:
            process.stdin.write(f"{source}\n")
            process.stdin.flush()
            assert process.stdout.readline() == f"{target}\n"
        process.stdin.close()
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("in.txt", TEXT),
        ("in.tsv", "".join(f"{source}\tx\n" for source in SOURCES)),
        ("in.csv", "".join(f'"{source}",x\n' for source in SOURCES)),
        ("in.jsonl", "".join(f'{{"other": "x", "source": "{source}"}}\n' for source in SOURCES)),
    ],
)
def test_the_suffix_says_how_the_input_is_read(
    seqsmith: Seqsmith, folder: Path, model: Path, name: str, content: str
) -> None:
    (folder / name).write_text(content)
    assert seqsmith("predict", model, name).lines == TARGETS


def test_a_column_is_taken_by_its_name(seqsmith: Seqsmith, folder: Path, model: Path) -> None:
    (folder / "in.tsv").write_text("n\tdigits\n" + "".join(f"x\t{source}\n" for source in SOURCES))
    told = seqsmith("predict", model, "in.tsv", "--set", "data.source=digits")
    assert told.lines == TARGETS
    assert told.err == "seqsmith: Header lines taken for column names: 1, the first at in.tsv:1.\n"


def test_a_header_is_taken_as_in_training(seqsmith: Seqsmith, folder: Path, models: Path) -> None:
    trained = reversal.bundle(data={"header": True})
    trained.save(folder / "model", card="")
    (folder / "in.csv").write_text("digits\n0004\n0012\n")
    assert len(seqsmith("predict", folder / "model", "in.csv").lines) == 2
    assert len(seqsmith("predict", models / "one", "in.csv").lines) == 3


def test_the_option_that_asked_for_a_format_is_named(seqsmith: Seqsmith, model: Path) -> None:
    for option, value, form in (("--out", "o.json", "json"), ("--format", "srt", "srt")):
        told = seqsmith("predict", model, option, value, stdin=TEXT)
        assert (told.code, told.out) == (2, "")
        assert f"{option} {value}: only models that hear recordings write {form}." in told.err


def test_the_suffix_of_the_output_says_how_it_is_written(seqsmith: Seqsmith, folder: Path, model: Path) -> None:
    for name in ("out.txt", "out.tsv", "out.csv", "out.jsonl"):
        assert seqsmith("predict", model, "--out", name, stdin=TEXT).out == ""
    assert (folder / "out.txt").read_text().splitlines() == TARGETS
    for name, separator in (("out.tsv", "\t"), ("out.csv", ",")):
        rows = list(csv.reader(io.StringIO((folder / name).read_text()), delimiter=separator))
        assert [(row[0], row[1]) for row in rows] == PAIRS
        assert all(float(row[2]) < 0 for row in rows)
    objects = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert [(found["source"], found["text"]) for found in objects] == PAIRS
    assert all(found["ended"] and found["log_prob"] <= found["score"] < 0 for found in objects)


def test_answers_never_take_the_place_of_their_sources(seqsmith: Seqsmith, folder: Path, model: Path) -> None:
    given = folder / "given.txt"
    given.write_text("abc\n")
    told = seqsmith("predict", model, given, "--out", given)
    assert (told.code, given.read_text()) == (2, "abc\n")
    assert "given.txt: that is the input. Choose another file." in told.err
    pairs = folder / "pairs.tsv"
    pairs.write_text("abc\tcba\n")
    told = seqsmith("evaluate", model, pairs, "--report", pairs)
    assert (told.code, pairs.read_text()) == (2, "abc\tcba\n")


def test_a_model_that_says_no_numbers_is_told_in_a_sentence(seqsmith: Seqsmith, folder: Path, model: Path) -> None:
    bundle = open_bundle(model)
    with torch.no_grad():
        for parameter in bundle.model.parameters():
            parameter.fill_(torch.nan)
    bundle.save(folder / "broken", card="")
    told = seqsmith("predict", "broken", "--engine", "torch", stdin=TEXT)
    assert (told.code, told.out) == (3, "")
    assert told.err.splitlines()[-1].startswith("seqsmith: the model gave logits that are no numbers")


def test_a_picture_of_nothing_is_not_drawn_in_silence(seqsmith: Seqsmith, folder: Path, model: Path) -> None:
    (folder / "blank.txt").write_text("\n")
    told = seqsmith("predict", model, folder / "blank.txt", "--attention", folder / "a.svg")
    assert (told.code, told.out) == (0, "\n")
    assert "there was no text to look at" in told.err


def test_a_format_that_is_named_goes_before_the_suffix(seqsmith: Seqsmith, folder: Path, model: Path) -> None:
    seqsmith("predict", model, "--out", "out.txt", "--format", "jsonl", stdin=TEXT)
    assert json.loads((folder / "out.txt").read_text().splitlines()[0])["text"] == TARGETS[0]


def test_a_list_says_whose_answers_it_holds(seqsmith: Seqsmith, model: Path) -> None:
    told = seqsmith("predict", model, "--nbest", "3", stdin=f"{SOURCES[0]}\n\n{SOURCES[1]}\n")
    rows = [line.split("\t") for line in told.lines]
    assert [row[0] for row in rows] == ["1"] * 3 + ["2"] + ["3"] * 3
    assert (rows[0][2], rows[3][2], rows[4][2]) == (TARGETS[0], "", TARGETS[1])
    scores = [float(row[1]) for row in rows[:3]]
    assert scores == sorted(scores, reverse=True)
    found = json.loads(seqsmith("predict", model, "--nbest", "3", "--format", "jsonl", stdin=TEXT).lines[0])
    assert [answer["text"] for answer in found["nbest"]] == [row[2] for row in rows[:3]]


def test_answers_are_drawn_as_often_as_asked_and_the_same_from_the_same_seed(seqsmith: Seqsmith, model: Path) -> None:
    hot = ("predict", model, "--sample", "--nbest", "4", "--set", "search.temperature=3")
    told, again = (seqsmith(*hot, stdin=TEXT) for _ in range(2))
    rows = [line.split("\t") for line in told.lines]
    assert [row[0] for row in rows] == [str(number) for number in range(1, len(PAIRS) + 1) for _ in range(4)]
    assert len({row[2] for row in rows[:4]}) > 1
    assert told.out == again.out != seqsmith(*hot, "--set", "search.seed=2", stdin=TEXT).out
    assert seqsmith("predict", model, "--sample", "--set", "search.temperature=1e-4", stdin=TEXT).lines == TARGETS


def test_a_list_that_the_settings_ask_for_is_given(seqsmith: Seqsmith, model: Path) -> None:
    assert len(seqsmith("predict", model, "--set", "search.nbest=2", stdin=TEXT).lines) == 2 * len(PAIRS)


def test_settings_of_the_search_change_the_answers(seqsmith: Seqsmith, model: Path) -> None:
    told = seqsmith("predict", model, "--set", "search.longest=1", "--beam", "1", stdin=TEXT)
    assert told.lines == [target[:1] for target in TARGETS]


def test_an_ensemble_answers_by_both(seqsmith: Seqsmith, models: Path) -> None:
    alone = seqsmith("predict", models / "one", "--format", "jsonl", stdin=TEXT)
    both = seqsmith("predict", models / "one", "--with", models / "another", "--format", "jsonl", stdin=TEXT)
    assert [json.loads(line)["text"] for line in both.lines] == TARGETS
    assert both.out != alone.out


def test_features_come_after_a_tab_or_in_a_column(seqsmith: Seqsmith, folder: Path, models: Path) -> None:
    """Under A digits are reversed, under B they are not."""
    rows = [(source, "AB"[number % 2]) for number, (source, _) in enumerate(PAIRS)]
    expected = [source[::-1] if letter == "A" else source for source, letter in rows]
    lines = "".join(f"{source}\t{letter}\n" for source, letter in rows)
    assert seqsmith("predict", models / "features", stdin=lines).lines == expected
    (folder / "in.jsonl").write_text("".join(json.dumps({"features": f, "source": s}) + "\n" for s, f in rows))
    told = seqsmith("predict", models / "features", "in.jsonl", "--set", "data.features=features")
    assert (told.lines, told.err) == (expected, "")


def test_columns_without_targets_stand_in_the_order_of_training(seqsmith: Seqsmith, models: Path) -> None:
    rows = [("12", "A"), ("34", "B")]
    expected = seqsmith("predict", models / "features", stdin="".join(f"{s}\t{f}\n" for s, f in rows)).lines
    Path("in.tsv").write_text("".join(f"{s}\t{f}\n" for s, f in rows))
    numbers = ("--set", "data.source=1", "--set", "data.target=2", "--set", "data.features=3")
    assert seqsmith("predict", models / "features", "in.tsv", *numbers).lines == expected
    Path("in.tsv").write_text("".join(f"{s}\n" for s, _ in rows))
    assert "expected at least 3 columns" in seqsmith("predict", models / "features", "in.tsv", *numbers).err


def test_features_that_are_missing_are_asked_for(seqsmith: Seqsmith, models: Path) -> None:
    told = seqsmith("predict", models / "features", stdin="1\tA\n\n12\n")
    assert (told.code, told.err) == (
        2,
        "seqsmith: standard input:3: this model takes a source, a tab and its features; found no tab.\n",
    )
    told = seqsmith("predict", models / "features", stdin="1\tA\tB\n")
    assert told.err.endswith("found 2 tabs.\n")


def test_features_that_were_never_seen_are_told(seqsmith: Seqsmith, models: Path) -> None:
    told = seqsmith("predict", models / "features", stdin="12\tA\n12\tC\n12\tB\n")
    assert (told.code, len(told.lines)) == (0, 3)
    assert "1 of 3 sources have features that were never seen in training, the first is number 2." in told.err


def test_attention_is_drawn_for_the_first_line_that_is_not_empty(
    seqsmith: Seqsmith, folder: Path, models: Path
) -> None:
    told = seqsmith("predict", models / "one", "--attention", "a.svg", stdin=f"\n{TEXT}")
    picture = (folder / "a.svg").read_text(encoding="utf-8")
    assert f"{SOURCES[0]} → {TARGETS[0]}" in picture
    assert told.lines == ["", *TARGETS]
    assert told.err == "seqsmith: where the decoder looked for the first answer is drawn in a.svg\n"
    told = seqsmith("predict", models / "features", "--attention", "b.svg", stdin=f"{SOURCES[0]}\tB\n12\tB\n")
    assert len(told.lines) == 2
    assert (folder / "b.svg").exists()


def test_a_picture_is_svg(seqsmith: Seqsmith, model: Path) -> None:
    told = seqsmith("predict", model, "--attention", "a.png", stdin=TEXT)
    assert (told.code, told.err) == (
        2,
        "seqsmith: --attention a.png: expected a name that ends in .svg: the picture is SVG.\n",
    )


def test_a_model_without_attention_has_none_to_draw(seqsmith: Seqsmith, folder: Path, models: Path) -> None:
    told = seqsmith("predict", models / "without attention", "--attention", "a.svg", stdin=TEXT)
    assert (told.code, told.out, told.err) == (
        2,
        "",
        "seqsmith: this model has no attention (model.decoder.attention = none), so there is none to show.\n",
    )
    assert list(folder.iterdir()) == []


# ------------------------------------------------------------------------------------------------ what is told


def test_what_was_cut_is_told(seqsmith: Seqsmith, model: Path) -> None:
    told = seqsmith("predict", model, "--set", "search.longest=2", stdin=f"1\n{'123' * 1000}\n")
    assert len(told.lines) == 2
    assert "1 of 2 sources were cut to 1,024 tokens (data.longest_source), the first is number 2." in told.err
    assert "answers were cut at the longest length allowed (search.longest, longest_ratio), the first is" in told.err


def test_where_sources_are_cut_can_be_set(seqsmith: Seqsmith, model: Path) -> None:
    for tokens, cut in ((2, True), (20, False)):
        told = seqsmith("predict", model, "--set", f"data.longest_source={tokens}", stdin="12345\n")
        assert (f"sources were cut to {tokens} tokens (data.longest_source)" in told.err) is cut


def test_an_alphabet_that_was_never_seen_is_told(seqsmith: Seqsmith, model: Path) -> None:
    told = seqsmith("predict", model, stdin="12\nабв\n한국어\n")
    assert len(told.lines) == 3
    assert told.err == (
        "seqsmith: 2 of 3 sources are mostly symbols that were never seen in training, the first is number 2.\n"
    )


def test_bytes_that_are_no_text_are_answered_where_the_user_says_so(seqsmith: Seqsmith, model: Path) -> None:
    source = SOURCES[0].encode()
    told = seqsmith("predict", model, stdin=source + b"\n\xff1\n" + source)
    assert told.code == 2
    assert "standard input:2: not UTF-8: byte 1 of the line is 0xFF" in told.err
    for policy in ("skip", "replace"):
        told = seqsmith("predict", model, "--set", f"data.bad_utf8={policy}", stdin=source + b"\n\xff1\n" + source)
        assert (told.lines[0], len(told.lines), told.lines[2]) == (TARGETS[0], 3, TARGETS[0])
        assert "Lines with bytes that are not UTF-8, replaced by U+FFFD: 1, the first at standard input:2." in told.err


def test_carriage_returns_are_taken_off_and_told(seqsmith: Seqsmith, model: Path) -> None:
    told = seqsmith("predict", model, stdin=f"{SOURCES[0]}\r\n")
    assert told.lines == TARGETS[:1]
    assert "Lines that ended in a carriage return, which was removed: 1" in told.err


# ------------------------------------------------------------------------------------------------ nothing is lost


def test_a_mistake_leaves_an_older_output_as_it_is(seqsmith: Seqsmith, folder: Path, model: Path) -> None:
    (folder / "out.txt").write_text("dear\n")
    assert seqsmith("predict", model, "nowhere.txt", "--out", "out.txt").code == 2
    assert [path.name for path in folder.iterdir()] == ["out.txt"]
    assert (folder / "out.txt").read_text() == "dear\n"


def test_answers_before_an_error_are_kept_beside_the_output(seqsmith: Seqsmith, folder: Path, model: Path) -> None:
    (folder / "out.txt").write_text("dear\n")
    good = f"{SOURCES[0]}\t{'x' * 4000}\n" * 300  # more than is read at once
    (folder / "in.tsv").write_bytes(good.encode() + b"\xff\n")
    told = seqsmith("predict", model, "in.tsv", "--out", "out.txt", "--beam", "1")
    assert told.code == 2
    assert "in.tsv:301: not UTF-8" in told.err
    assert "seqsmith: what was written so far is in out.txt.part" in told.err
    assert (folder / "out.txt").read_text() == "dear\n"
    assert (folder / "out.txt.part").read_text().splitlines()[0] == TARGETS[0]


def test_an_output_that_cannot_be_written_is_told(seqsmith: Seqsmith, model: Path) -> None:
    for option in ("--out", "--attention"):
        told = seqsmith("predict", model, option, "no/such/out.svg", stdin=TEXT)
        assert (told.code, told.err) == (
            2,
            "seqsmith: no/such/out.svg: cannot be written: No such file or directory.\n",
        )


# ------------------------------------------------------------------------------------------------ settings


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--set", "search.bem=3"), "settings: unknown setting `search.bem`. Did you mean `beam`?"),
        (
            ("--set", "serch.beam=3"),
            "--set serch: only settings of search, data, series hold here. Did you mean `search`?",
        ),
        (
            ("--set", "model.encoder.width=3"),
            "--set model: only settings of search, data, series hold here. Known: data, search, series.",
        ),
        (("--set", "search=3"), "--set search: found 3, expected search.NAME=VALUE."),
        (
            ("--beam", "2", "--nbest", "3"),
            "settings: search: nbest 3 needs a beam at least as wide, found beam 2.",
        ),
        (
            ("--sample", "--beam", "2"),
            "search.beam: has no say in what is drawn (search.sample). Take one of the two.",
        ),
        (("--set", "search.beam"), "--set search.beam: expected section.key=value, for example train.epochs=20."),
    ],
)
def test_a_wrong_setting_is_named(seqsmith: Seqsmith, model: Path, words: tuple[str, ...], message: str) -> None:
    told = seqsmith("predict", model, *words, stdin=TEXT)
    assert (told.code, told.out, told.err) == (2, "", f"seqsmith: {message}\n")


def test_models_of_other_vocabularies_are_no_ensemble(seqsmith: Seqsmith, models: Path) -> None:
    told = seqsmith("predict", models / "one", "--with", models / "features", stdin=TEXT)
    assert told.code == 2
    assert "its vocabularies differ from those of" in told.err


def test_what_lies_beside_the_answers_is_not_written_over(seqsmith: Seqsmith, folder: Path, model: Path) -> None:
    (folder / "o.txt.part").write_text("12\n34\n")
    assert seqsmith("predict", model, "o.txt.part", "--out", "o.txt").code == 0
    assert (folder / "o.txt.part").read_text() == "12\n34\n"
    assert len((folder / "o.txt").read_text().splitlines()) == 2
    assert sorted(path.name for path in folder.glob("o.txt*")) == ["o.txt", "o.txt.part"]


def test_answers_and_picture_are_two_files(seqsmith: Seqsmith, model: Path) -> None:
    told = seqsmith("predict", model, "--out", "q.txt", "--attention", "./q.txt", stdin="12\n")
    assert told.code == 2
    assert told.err == "seqsmith: --attention q.txt: --out names this file too. Give each its own.\n"


def test_a_table_on_standard_input_is_noticed(seqsmith, model):
    told = seqsmith("predict", model, stdin="123\t321\n12\n").err
    assert "1 of 2 sources hold a tab as part of their text: of a table take a column, or give it as a .tsv" in told


def test_an_input_that_is_not_there_is_told_before_a_model_is_opened(seqsmith, model, folder):
    shutil.copytree(model, folder / "m")
    (folder / "m" / "model.safetensors").write_bytes(b"damaged")
    told = seqsmith("predict", "m", folder / "gone.txt").err
    assert told == f"seqsmith: {folder}/gone.txt: no such file.\n"


def test_a_named_pipe_is_read_once(seqsmith, model, folder):
    os.mkfifo(folder / "pipe")
    writer = threading.Thread(target=(folder / "pipe").write_text, args=("12\n",))
    writer.start()
    assert len(seqsmith("predict", model, folder / "pipe").lines) == 1
    writer.join()
