"""A file is written whole, or the older one stays."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TextIO

import pytest

from seqsmith.cli.write import replacing
from seqsmith.errors import UserError


def test_the_new_file_takes_the_place_of_the_old_one_at_the_end(folder: Path) -> None:
    path = folder / "a.txt"
    path.write_text("old")
    with replacing(path) as file:
        file.write("new\r\n")
        assert path.read_text() == "old"
    assert path.read_bytes() == b"new\r\n"
    assert os.listdir(folder) == ["a.txt"]


def test_an_error_leaves_the_old_file_and_keeps_what_was_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "a.txt"
    path.write_text("old")

    def begin(file: TextIO) -> None:
        file.write("new")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), replacing(path) as file:
        begin(file)
    assert (path.read_text(), (folder / "a.txt.part").read_text()) == ("old", "new")
    assert capsys.readouterr().err == f"seqsmith: what was written so far is in {path}.part\n"


def test_an_error_before_anything_was_written_leaves_nothing(folder: Path) -> None:
    with pytest.raises(UserError), replacing(folder / "a.txt"):
        raise UserError("no")
    assert os.listdir(folder) == []


def test_what_is_no_plain_file_keeps_its_place() -> None:
    with replacing(Path(os.devnull)) as file:
        file.write("gone")
    assert Path(os.devnull).is_char_device()


def test_a_place_that_cannot_be_written_is_told(folder: Path) -> None:
    (folder / "taken").mkdir()
    for path, why in ((folder / "no" / "a.txt", "No such file or directory"), (folder / "taken", "Is a directory")):
        with pytest.raises(UserError) as error, replacing(path) as file:
            file.write("new")
        assert str(error.value) == f"{path}: cannot be written: {why}."
