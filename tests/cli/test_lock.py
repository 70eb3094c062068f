"""One process at a time in a run folder, and no folder for a run that never began."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from seqsmith.cli.lock import run_lock
from seqsmith.errors import UserError
from terminal import Seqsmith


def test_a_second_run_in_the_same_folder_is_refused_and_disturbs_nothing(
    seqsmith: Seqsmith, pairs: Path, folder: Path
) -> None:
    with run_lock(Path("run")):
        (folder / "run" / "work").write_text("dear")
        told = seqsmith("train", pairs)
        assert (told.code, told.err) == (
            2,
            f"seqsmith: run: process {os.getpid()} is training here now. Wait for it, or choose another --out.\n",
        )
        assert (folder / "run" / "work").read_text() == "dear"


def test_the_lock_is_free_again_afterwards(folder: Path) -> None:
    for _ in range(2):
        with run_lock(folder / "run"):
            pass


def test_a_folder_for_a_run_that_never_began_goes_again(folder: Path) -> None:
    with pytest.raises(UserError), run_lock(folder / "new" / "run"):
        raise UserError("no")
    assert not (folder / "new" / "run").exists()


def test_a_folder_that_was_there_stays(folder: Path) -> None:
    (folder / "run").mkdir()
    with pytest.raises(UserError), run_lock(folder / "run"):
        raise UserError("no")
    assert (folder / "run").exists()


def test_a_run_that_began_stays(folder: Path) -> None:
    def begin() -> None:
        (folder / "run" / "config.toml").write_text("seed = 1\n")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), run_lock(folder / "run"):
        begin()
    assert (folder / "run" / "config.toml").exists()
