"""What a run shows on a terminal and on a plain stream."""

from __future__ import annotations

import os
import pty
from typing import Any

import pytest

from seqsmith.cli.display import Display, score_of, validation_line

UPDATE: dict[str, Any] = {
    "event": "update",
    "update": 1200,
    "epoch": 2,
    "loss": 2.51234,
    "nats_per_token": 2.01234,
    "tokens_per_second": 12345.6,
}
VALIDATION: dict[str, Any] = {
    "event": "validation",
    "update": 1200,
    "epoch": 3,
    "dev_nats_per_token": 1.5678,
    "name": "bleu",
    "value": 31.257,
    "best": True,
}


def test_a_validation_is_a_line_with_all_its_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    display = Display()
    display.show(UPDATE)
    display.show(VALIDATION)
    assert capsys.readouterr().err == (
        "update   1,200  epoch   3  train 2.012  dev 1.568 nats/token  BLEU 31.26  12,346 tokens/s  best so far\n"
    )


def test_before_the_first_update_is_told_its_numbers_are_left_out() -> None:
    line = validation_line({**VALIDATION, "best": False})
    assert line == "update   1,200  epoch   3  dev 1.568 nats/token  BLEU 31.26"


def test_a_loss_is_told_once_with_three_digits() -> None:
    event = {**VALIDATION, "name": "loss", "value": 1.5678}
    assert validation_line(event).count("1.568") == 1
    assert score_of(event) == "loss 1.568"


def test_examples_and_warnings_are_one_line_each_and_steer_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    example = {"source": "\x1b[2Jred\nblue", "reference": "[bold]r[/bold]", "output": "x" * 300}
    Display().show({**VALIDATION, "examples": [example], "warnings": ["1 of 2 answers are empty"]})
    assert capsys.readouterr().err.splitlines()[1:] == [
        "    source     \\x1b[2Jred\\nblue",
        "    reference  [bold]r[/bold]",
        f"    output     {'x' * 199}…",
        "    warning: 1 of 2 answers are empty",
    ]


def test_the_end_says_why_unless_a_signal_does(capsys: pytest.CaptureFixture[str]) -> None:
    for reason in ("all updates done", "signal 15"):
        Display().show({"event": "end", "update": 1200, "reason": reason})
    assert capsys.readouterr().err == "Training ended after 1,200 updates: all updates done.\n"


def test_an_update_that_was_left_out_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Display().show({"event": "skip", "update": 1200, "why": "the gradient is not finite"})
    assert capsys.readouterr().err == "update 1,200 left out: the gradient is not finite\n"


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    display = Display(quiet=True)
    with display.progress(2000, 0):
        display.show(UPDATE)
        display.show(VALIDATION)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_has_a_bar_and_a_plain_stream_has_none(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    read_end, write_end = pty.openpty() if terminal else os.pipe()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "140")
    with open(write_end, "w", encoding="utf-8") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        display = Display()
        with display.progress(2000, 0):
            display.show(UPDATE)
            display.show(VALIDATION)
            display.bar.refresh()
        stream.write("END")
        stream.flush()
        shown = ""
        while not shown.endswith("END"):  # a terminal hands over piece by piece
            shown += os.read(read_end, 100_000).decode()
    os.close(read_end)
    assert "BLEU 31.26  12,346 tokens/s  best so far" in shown
    assert ("1,200/2,000 " in shown) == terminal
    assert ("epoch 3" in shown and "loss 2.512  BLEU 31.26  12,346 tokens/s" in shown) == terminal
    assert ("\x1b" in shown) == terminal
