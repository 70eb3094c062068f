import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from seqsmith.data.cache import MANIFEST, build, content_digest, is_complete, make_cache
from seqsmith.errors import UserError


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """A disk that is full after `size` bytes, as far as this process can tell."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _build(cache: Path, text: str) -> None:
    with build(cache, "digest") as folder:
        (folder / "file").write_text(text)


def _old(path: Path) -> None:
    os.utime(path, (1e9, 1e9))


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(TypeError), build(tmp_path, "digest") as folder:
        (folder / "file").write_text(None)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
    _build(tmp_path, "whole")
    assert is_complete(tmp_path / "digest")
    assert [path.name for path in tmp_path.iterdir()] == ["digest"]


def test_who_loses_the_race_leaves_the_winner_in_place(tmp_path: Path) -> None:
    with build(tmp_path, "digest") as folder:
        (folder / "file").write_text("loser")
        _build(tmp_path, "winner")
    assert (tmp_path / "digest" / "file").read_text() == "winner"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("damage", ["cut", "overwritten", "removed", "no manifest", "odd manifest"])
def test_a_damaged_folder_is_seen_and_replaced(tmp_path: Path, damage: str) -> None:
    _build(tmp_path, "first")
    file, manifest = tmp_path / "digest" / "file", tmp_path / "digest" / MANIFEST
    match damage:
        case "cut":
            file.write_text("f")
        case "overwritten":
            file.write_text("f" * 5)
            _old(file)  # the clock may not have ticked since it was built
        case "removed":
            file.unlink()
        case "no manifest":
            manifest.unlink()
        case _:
            manifest.write_text("[]")
    assert not is_complete(tmp_path / "digest")
    _build(tmp_path, "second")
    assert is_complete(tmp_path / "digest")
    assert file.read_text() == "second"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_is_said_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match=rf"{tmp_path}: the disk is full .* Free some space, .* SEQSMITH_CACHE"),
        largest_file(1000),
    ):
        _build(tmp_path, "x" * 2000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_where_the_folder_should_be_is_told(tmp_path: Path, below: str) -> None:
    cache = tmp_path / "file" / below
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=rf"^{cache}: prepared data cannot be kept there .* SEQSMITH_CACHE\.$"):
        make_cache(cache)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_others_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match=rf"^{tmp_path}: prepared data cannot be kept there .* SEQSMITH_CACHE\.$"):
        _build(tmp_path, "text")


def test_builds_that_were_killed_long_ago_are_swept_away(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / f".building-{name}").mkdir()
    _old(tmp_path / ".building-old")
    _build(tmp_path, "x")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".building-new", "digest"]


def test_builds_of_killed_processes_are_swept_away_and_those_that_go_on_stay(tmp_path: Path) -> None:
    killed = "import os, sys; from pathlib import Path; from seqsmith.data.cache import build\n"
    killed += "with build(Path(sys.argv[1]), 'digest'):\n    os._exit(9)"
    subprocess.run([sys.executable, "-c", killed, str(tmp_path)])
    [left] = tmp_path.iterdir()
    with build(tmp_path, "slow") as slow:
        for path in (left, slow):
            os.utime(path, (time.time() - 120,) * 2)
        _build(tmp_path, "x")
        assert sorted(path.name for path in tmp_path.iterdir()) == [slow.name, "digest"]


def test_a_content_digest_is_remembered_only_while_the_file_is_the_same(tmp_path: Path) -> None:
    file = tmp_path / "train.tsv"
    file.write_text("a\tb\n")
    _old(file)
    digest = content_digest(str(file), tmp_path)
    memo = json.loads((tmp_path / "contents.json").read_text())
    assert [entry[-1] for entry in memo.values()] == [digest]
    memo[str(file.resolve())][-1] = "remembered"
    (tmp_path / "contents.json").write_text(json.dumps(memo))
    assert content_digest(str(file), tmp_path) == "remembered"
    file.write_text("a\tc\n")
    assert content_digest(str(file), tmp_path) not in (digest, "remembered")


@pytest.mark.parametrize("how", ["in place", "another inode"])
def test_a_file_replaced_by_one_of_equal_size_and_time_is_read_anew(tmp_path: Path, how: str) -> None:
    file, other = tmp_path / "train.tsv", tmp_path / "other.tsv"
    file.write_text("a\tb\n")
    other.write_text("a\tc\n")
    _old(file)
    digest = content_digest(str(file), tmp_path)
    if how == "in place":
        file.write_bytes(other.read_bytes())
        _until_the_clock_ticks(file)
        _old(file)
    else:
        _old(other)
        other.rename(file)
    assert content_digest(str(file), tmp_path) != digest


def _until_the_clock_ticks(file: Path) -> None:
    """Touch a file until the time of its inode is another, a few milliseconds at the most."""
    before = file.stat().st_ctime_ns
    while file.stat().st_ctime_ns == before:
        _old(file)


def test_a_file_that_may_still_change_within_the_same_tick_is_not_remembered(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("a\tb\n")
    content_digest(str(tmp_path / "train.tsv"), tmp_path)
    assert not (tmp_path / "contents.json").exists()


@pytest.mark.parametrize("damage", ["{", "[]", '{"FILE": 3}'])
def test_a_damaged_memory_is_forgotten(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "train.tsv"
    file.write_text("a\tb\n")
    _old(file)
    digest = content_digest(str(file), tmp_path)
    (tmp_path / "contents.json").write_text(damage.replace("FILE", str(file.resolve())))
    assert content_digest(str(file), tmp_path) == digest


def test_a_missing_file_is_named_with_its_nearest_neighbour(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("a\tb\n")
    with pytest.raises(UserError, match=r"trian\.tsv: no such file\. Did you mean `.*train\.tsv`"):
        content_digest(str(tmp_path / "trian.tsv"), tmp_path)
    with pytest.raises(UserError, match="a folder; expected a file"):
        content_digest(str(tmp_path), tmp_path)
