"""The command as a whole: help, mistakes in typing, exit codes, streams that close."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import reversal
import seqsmith as package
from seqsmith.cli.main import app, run
from seqsmith.cli.program import command
from seqsmith.errors import Diverged, UserError
from seqsmith.evaluate.scores import NAMES
from terminal import SOURCE, Seqsmith, program, start

VERBS = ("train", "predict", "evaluate", "score", "inspect", "settings", "demo")


@pytest.mark.parametrize("words", [("--help",), ("train", "--help")], ids=" ".join)
def test_help_answers_in_under_six_tenths_of_a_second(words: tuple[str, ...]) -> None:
    """Of processor time, which is all of it where nothing else runs."""
    seconds = []
    for _ in range(3):
        before = children_seconds()
        answer = subprocess.run(program(*words), capture_output=True, check=True, env={"PYTHONPATH": str(SOURCE)})
        seconds.append(children_seconds() - before)
        assert b"Usage: seqsmith" in answer.stdout
    assert min(seconds) < 0.6


def test_settings_are_listed_and_found_by_a_word(seqsmith: Seqsmith) -> None:
    whole = seqsmith("settings")
    assert whole.code == 0
    assert len(whole.lines) > 150
    found = seqsmith("settings", "Clip")
    assert found.lines == ["train.clip = 1.0  (number > 0)  largest norm of the gradient"]
    assert found.lines[0] in whole.lines
    assert seqsmith("settings", "--markdown").out.startswith("# Every setting\n")
    told = seqsmith("settings", "xyzzy")
    assert (told.code, told.out) == (2, "")
    assert "xyzzy: no setting has this in its name or meaning. `seqsmith settings` lists all." in told.err


def children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_nothing_heavy_is_imported_before_a_verb_runs() -> None:
    line = (
        "import sys, seqsmith.cli.main, seqsmith.runtime; "
        "print({'torch', 'numpy', 'pydantic', 'rich', 'sacrebleu'} & set(sys.modules))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", line], capture_output=True, check=True, env={"PYTHONPATH": str(SOURCE)}, text=True
    )
    assert answer.stdout == "set()\n"


def test_a_demo_speaks_before_torch_is_imported() -> None:
    line = "import sys; from seqsmith.cli import demo, demo_series, demo_speech; print('torch' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", line], capture_output=True, check=True, env={"PYTHONPATH": str(SOURCE)}
    )
    assert answer.stdout == b"False\n"


def test_no_words_at_all_are_a_question_for_help(seqsmith: Seqsmith) -> None:
    assert seqsmith() == seqsmith("--help") == seqsmith("-h")
    assert seqsmith().code == 0
    assert all(f"\n  {verb} " in seqsmith().out for verb in VERBS)


def test_the_version_is_that_of_the_package(seqsmith: Seqsmith) -> None:
    assert seqsmith("--version").out == f"seqsmith {package.__version__}\n"


def test_the_help_names_every_score(seqsmith: Seqsmith) -> None:
    assert set(NAMES) <= set(re.findall(r"\w+", seqsmith("evaluate", "--help").out))


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_of_every_verb_says_what_it_is(seqsmith: Seqsmith, verb: str) -> None:
    parameters = typer.main.get_command(app).commands[verb].params  # type: ignore[attr-defined]
    assert all(parameter.help for parameter in parameters)
    told = seqsmith(verb, "--help")
    assert told.code == 0
    for parameter in parameters:
        name = max(parameter.opts, key=len)
        assert (name if name.startswith("--") else parameter.metavar) in told.out


@pytest.mark.parametrize("verb", VERBS)
def test_every_example_of_the_help_is_a_command_that_exists(seqsmith: Seqsmith, verb: str) -> None:
    """Each option of an example is one of its verb, and the help wraps no example."""
    told = seqsmith(verb, "--help").out
    for example in re.findall(r"^  (?:echo .*\| )?seqsmith (\w+)(.*)$", told, re.MULTILINE):
        known = {
            option
            for parameter in typer.main.get_command(app).commands[example[0]].params  # type: ignore[attr-defined]
            for option in parameter.opts
        }
        assert set(re.findall(r"--[a-z]+", example[1])) <= known


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "No such command 'trian'. Did you mean 'train'? See --help."),
        (["xyz"], "No such command 'xyz'. See --help."),
        (["train", "--quite"], "No such option: --quite (Possible options: --out, --quiet). See --help."),
        (["predict"], "Missing argument 'MODEL'. See --help."),
        (
            ["train", "a.en", "a.de", "--dev", "dev.en", "dev.de"],
            "Got unexpected extra argument(s) (dev.de). --dev and --test take one file: for two, write "
            "--dev SOURCES --dev TARGETS. See --help.",
        ),
        (["evaluate", "model"], "Missing argument 'DATA'. See --help."),
        (["train", "a", "--dev"], "Option '--dev' requires an argument. See --help."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_slip_in_typing_is_one_line_that_names_what_is_near(
    seqsmith: Seqsmith, words: list[str], message: str
) -> None:
    told = seqsmith(*words)
    assert (told.code, told.out, told.err) == (2, "", f"seqsmith: {message}\n")


@pytest.mark.parametrize(
    ("words", "start", "end"),
    [
        (["predict", "m", "--beam", "zero"], "Invalid value for '--beam'", "See --help."),
        (["predict", "m", "--beam", "0"], "Invalid value for '--beam'", "See --help."),
        (["predict", "m", "--format", "xml"], "Invalid value for '--format'", "'vtt'. See --help."),
        (["demo", "--pairs", "3"], "Invalid value for '--pairs'", "See --help."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_value_is_one_line_that_names_its_option(
    seqsmith: Seqsmith, words: list[str], start: str, end: str
) -> None:
    told = seqsmith(*words)
    assert told.code == 2
    assert re.fullmatch(rf"seqsmith: {re.escape(start)}.*{re.escape(end)}\n", told.err)


@pytest.mark.parametrize(("error", "code"), [(UserError("a\x1b[31mb\nc"), 2), (Diverged("a\x1b[31mb\nc"), 3)])
def test_an_error_is_one_line_without_control_characters(
    monkeypatch: pytest.MonkeyPatch, seqsmith: Seqsmith, error: Exception, code: int
) -> None:
    def fails(*_words: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr("seqsmith.cli.inspect.inspect", fails)
    told = seqsmith("inspect", "file")
    assert (told.code, told.err) == (code, "seqsmith: a\\x1b[31mb\\nc\n")


def test_a_name_that_is_no_text_can_be_told(seqsmith: Seqsmith) -> None:
    name = os.fsdecode(b"\xff.tsv")
    assert seqsmith("inspect", name).err == "seqsmith: \\udcff.tsv: no such file.\n"


def test_a_reader_that_has_enough_is_no_error(folder: Path, model: Path) -> None:
    source, target = reversal.pairs(1)[0]
    (folder / "many.txt").write_text(f"{source}\n" * 20_000)
    with start("predict", model, "many.txt", "--beam", "1", folder=folder) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == f"{target}\n"
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_device_is_one_line(folder: Path, pairs: Path) -> None:
    with Path("/dev/full").open("w") as full:
        answer = subprocess.run(
            program("inspect", pairs),
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (answer.returncode, answer.stderr) == (2, "seqsmith: writing failed: No space left on device.\n")


def test_answers_are_utf_8_whatever_the_locale(folder: Path) -> None:
    (folder / "pairs.tsv").write_text("ä\tö\nü\tß\n", encoding="utf-8")
    with start("inspect", "pairs.tsv", folder=folder, PYTHONIOENCODING="ascii", LC_ALL="C") as process:
        out, err = process.communicate()
    assert "ä  |  ö" in out
    assert (process.returncode, err) == (0, "")


def test_control_c_is_exit_code_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_words: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("seqsmith.cli.inspect.inspect", interrupted)
    assert run(["inspect", "file"]) == 130


def test_a_command_is_told_as_it_can_be_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "argv", [".venv/bin/seqsmith", "demo"])
    assert command("predict", Path("my run/model")) == ".venv/bin/seqsmith predict 'my run/model'"
    monkeypatch.setattr(sys, "argv", ["pytest"])
    assert command("predict", Path("run/model")) == "seqsmith predict run/model"


def test_a_model_that_does_not_fit_into_memory_is_told(monkeypatch: pytest.MonkeyPatch, seqsmith: Seqsmith) -> None:
    def fail(*_words: object, **_options: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 76800000000 bytes.")

    monkeypatch.setattr("seqsmith.config.manual.entries", fail)
    told = seqsmith("settings")
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("seqsmith: not enough memory. Take a smaller model")
