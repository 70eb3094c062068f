import io
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqsmith.config import Corpus, Data
from seqsmith.data.columns import Role
from seqsmith.data.prepare import Column, Encoded, Gathered, encode, gather
from seqsmith.data.ragged import Ragged
from seqsmith.data.split import split_dev
from seqsmith.errors import UserError

ROLES = (Role("source", None, 1), Role("target", None, 2))
END = 3


def _letters(role: str) -> Any:
    return lambda texts: Ragged.of([[*map(ord, text), END] for text in texts[role]])


def _encode(
    gathered: Gathered,
    rows: Sequence[int] | np.ndarray,
    cache: Path,
    *,
    key: str = "letters",
    source: int = 100,
    target: int = 100,
    dtype: Any = np.uint16,
) -> Encoded:
    columns = {
        "source": Column(_letters("source"), source, dtype),
        "target": Column(_letters("target"), target, np.uint16),
    }
    return encode(gathered, np.array(rows), columns, key=key, cache=cache)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "train.tsv"
    path.write_text("ab\tAB\nä b\tX\n\nc\tlong target\n", encoding="utf-8")
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def _texts(gathered: Gathered) -> list[Mapping[str, str]]:
    return [{role: column.text(row) for role, column in gathered.text.items()} for row in range(len(gathered))]


def test_what_is_gathered_is_what_the_files_say(pairs: Path, cache: Path) -> None:
    other = pairs.with_name("more.tsv")
    other.write_text("d\tD\n")
    gathered = gather([Corpus(path=str(pairs)), Corpus(path=str(other))], ROLES, Data(), cache)
    assert [tuple(texts.values()) for texts in _texts(gathered)] == [
        ("ab", "AB"),
        ("ä b", "X"),
        ("c", "long target"),
        ("d", "D"),
    ]
    assert [gathered.where(row) for row in range(4)] == [f"{pairs}:1", f"{pairs}:2", f"{pairs}:4", f"{other}:1"]
    assert gathered.corpus(np.arange(4)).tolist() == [0, 0, 0, 1]
    assert (gathered.counts.rows, gathered.counts.kept, gathered.counts.empty.places) == (5, 4, [f"{pairs}:3"])
    assert gathered.statistics["source"].alphabet["b"] == 2
    assert gathered.statistics["target"].words.quantile(1.0) == 2


def test_the_second_time_nothing_is_read(pairs: Path, cache: Path) -> None:
    corpora = [Corpus(path=str(pairs))]
    first = gather(corpora, ROLES, Data(), cache)
    made = (cache / first.digest).stat()
    again = gather(corpora, ROLES, Data(longest_source=7, dev_pairs=3), cache)
    assert again.digest == first.digest
    assert (cache / first.digest).stat() == made
    assert again.counts == first.counts


def test_a_folder_that_is_named_from_where_one_stands_is_another_elsewhere(
    pairs: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roles = (Role("source", None, 1, folder="sounds"), ROLES[1])
    for name in ("one", "another"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        gathered = gather([Corpus(path=str(pairs))], roles, Data(), cache)
        assert gathered.text["source"].text(0) == str(tmp_path / name / "sounds" / "ab")


def test_contents_and_reading_settings_decide_and_not_the_path(pairs: Path, cache: Path) -> None:
    corpora = [Corpus(path=str(pairs))]
    first = gather(corpora, ROLES, Data(), cache).digest
    moved = pairs.rename(pairs.with_name("moved.tsv"))
    corpora = [Corpus(path=str(moved), weight=2.0)]
    assert gather(corpora, ROLES, Data(), cache).digest == first
    assert gather(corpora, ROLES, Data(header=True), cache).digest != first
    assert (
        gather(corpora, [replace(ROLES[0], position=2), replace(ROLES[1], position=1)], Data(), cache).digest != first
    )
    moved.write_text("ab\tAC\n")
    assert gather(corpora, ROLES, Data(), cache).digest != first


def test_a_damaged_cache_is_built_again(pairs: Path, cache: Path) -> None:
    corpora = [Corpus(path=str(pairs))]
    gathered = gather(corpora, ROLES, Data(), cache)
    texts = _texts(gathered)
    (cache / gathered.digest / "target.value").write_bytes(b"")
    assert _texts(gather(corpora, ROLES, Data(), cache)) == texts


def test_a_cache_that_something_wrote_into_is_built_again(pairs: Path, cache: Path) -> None:
    corpora = [Corpus(path=str(pairs))]
    gathered = gather(corpora, ROLES, Data(), cache)
    texts, rows = _texts(gathered), np.arange(3)
    ids = _encode(gathered, rows, cache).target.value.tolist()
    for path in cache.rglob("*"):
        if path.is_file():
            path.write_bytes(b"\xff" * path.stat().st_size)
            os.utime(path, (1e9, 1e9))  # the clock may not have ticked since it was built
    gathered = gather(corpora, ROLES, Data(), cache)
    assert _texts(gathered) == texts
    assert _encode(gathered, rows, cache).target.value.tolist() == ids


def test_standard_input_is_read_once_and_named_in_messages(
    pairs: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def give(content: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))

    give(pairs.read_bytes())
    gathered = gather([Corpus(path="-")], ROLES, Data(), cache)
    assert gathered.where(2) == "standard input:4"
    assert gathered.counts.empty.places == ["standard input:3"]
    assert len(list(cache.iterdir())) == 1  # the copy is gone
    give(b"a\tb\n\xff\tc\n")
    with pytest.raises(UserError, match=r"^standard input:2: not UTF-8"):
        gather([Corpus(path="-")], ROLES, Data(), cache)


def test_a_named_pipe_is_read_once(pairs: Path, cache: Path) -> None:
    pipe = pairs.with_name("pipe")
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(pairs.read_bytes()))
    writer.start()
    assert len(gather([Corpus(path=str(pipe))], ROLES, Data(), cache)) == 3
    writer.join()


def test_features_tell_pairs_apart_but_not_sources_and_are_left_out_where_there_are_none(
    pairs: Path, cache: Path
) -> None:
    roles = (*ROLES, Role("features", "features", None))
    tagged = pairs.with_name("tagged.tsv")
    tagged.write_text("source\ttarget\tfeatures\nwalk\twalked\tPST\nwalk\twalked\tPTCP\n")
    plain = (Role("features", None, None), *ROLES)
    assert set(gather([Corpus(path=str(pairs))], plain, Data(), cache).text) == {"source", "target"}
    both = gather([Corpus(path=str(tagged)), Corpus(path=str(pairs))], roles[:2] + plain[:1], Data(), cache)
    assert [texts["features"] for texts in _texts(both)] == ["PST", "PTCP", "", "", ""]
    assert [len(set(hashes.tolist())) for hashes in (both.source_hash, both.target_hash, both.pair_hash)] == [4, 4, 5]
    assert len(set(gather([Corpus(path=str(tagged))], ROLES, Data(), cache).pair_hash.tolist())) == 1


def test_ids_belong_to_their_rows_and_too_long_pairs_are_counted(pairs: Path, cache: Path) -> None:
    gathered = gather([Corpus(path=str(pairs))], ROLES, Data(), cache)
    encoded = _encode(gathered, [0, 2, 1], cache, source=3, target=11)
    assert encoded.row.tolist() == [0]
    assert [bytes(encoded.source[0][:-1].tolist()), encoded.target[0].tolist()] == [b"ab", [65, 66, END]]
    assert encoded.source.value.dtype == np.uint16
    assert (encoded.counts["source"].count, encoded.counts["source"].places) == (1, [f"{pairs}:2"])
    assert (encoded.counts["target"].count, encoded.counts["target"].places) == (1, [f"{pairs}:4"])
    assert encoded.text(0, "target") == "AB"
    assert encoded.corpus.tolist() == [0]


def test_a_long_side_of_two_parallel_files_is_placed_in_its_own(tmp_path: Path, cache: Path) -> None:
    paths = [tmp_path / name for name in ("a.de", "a.en")]
    for path, lines in zip(paths, ("a\nlong\nc\n", "a\nb\nlong\n"), strict=True):
        path.write_text(lines)
    gathered = gather([Corpus(path=str(paths[0]), target=str(paths[1]))], ROLES, Data(), cache)
    counts = _encode(gathered, [0, 1, 2], cache, source=3, target=3).counts
    assert [counts[side].places for side in ("source", "target")] == [[f"{paths[0]}:2"], [f"{paths[1]}:3"]]


def test_encoding_depends_on_rows_key_and_limits(pairs: Path, cache: Path) -> None:
    gathered = gather([Corpus(path=str(pairs))], ROLES, Data(), cache)
    first = _encode(gathered, [0, 1], cache)
    assert _encode(gathered, [0, 1], cache).digest == first.digest
    others = [
        _encode(gathered, [0, 2], cache),
        _encode(gathered, [0, 1], cache, key="other"),
        _encode(gathered, [0, 1], cache, source=9, target=9),
        _encode(gathered, [0, 1], cache, dtype=np.int32),
    ]
    assert len({first.digest, *(other.digest for other in others)}) == 5
    assert others[3].source.value.dtype == np.int32


def test_no_pair_short_enough_is_the_users_error(pairs: Path, cache: Path) -> None:
    gathered = gather([Corpus(path=str(pairs))], ROLES, Data(), cache)
    with pytest.raises(
        UserError,
        match=r"^none is short enough .*: 3 with a source of more than 1 tokens \(the first at .*train\.tsv:1\)\. "
        r"Raise data\.longest_source",
    ):
        _encode(gathered, [0, 1, 2], cache, source=1)
    assert len(_encode(gathered, [], cache)) == 0


def test_a_full_disk_is_the_users_error_and_leaves_nothing_behind(pairs: Path, cache: Path) -> None:
    pairs.write_text("".join(f"source {n}\ttarget {n}\n" for n in range(9000)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(UserError, match=rf"^{cache}: the disk is full"):
            gather([Corpus(path=str(pairs))], ROLES, Data(), cache)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(cache.iterdir()) == []


MEASURE = """
import re, sys
from pathlib import Path
from seqsmith.config import Corpus, Data
from seqsmith.data.columns import Role
from seqsmith.data.prepare import Column, encode, gather
from seqsmith.data.ragged import Ragged
from seqsmith.data.split import split_dev

roles = (Role("source", None, 1), Role("target", None, 2))
gathered = gather([Corpus(path=sys.argv[1])], roles, Data(), Path(sys.argv[2]))
train, dev = split_dev(gathered.source_hash, gathered.target_hash, 2000, 1)
ids = [7] * 19 + [3]
columns = {
    role: Column(lambda texts, role=role: Ragged.of([ids] * len(texts[role])), 100, "u2")
    for role in ("source", "target")
}
encode(gathered, train, columns, key="k", cache=Path(sys.argv[2]))
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])  # ru_maxrss would be the parent's, too
"""


def test_memory_grows_by_less_than_90_bytes_a_pair(tmp_path: Path, cache: Path) -> None:
    """10 million pairs stay under 1 GB: about 70 MB for the process itself and 90 bytes of indices for each pair."""
    peak = []
    for pairs in (50_000, 250_000):
        path = tmp_path / f"{pairs}.tsv"
        path.write_text("".join(f"a source of some length {n}\tand a target of its own {n}\n" for n in range(pairs)))
        command = [sys.executable, "-c", MEASURE, str(path), str(cache)]
        peak.append(int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) * 1024)
    assert (peak[1] - peak[0]) / 200_000 < 90


def test_a_split_of_what_was_gathered_is_encoded_apart(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "train.tsv"
    path.write_text("".join(f"{n // 2}\t{n}\n" for n in range(100)))
    gathered = gather([Corpus(path=str(path))], ROLES, Data(), cache)
    train, dev = (
        _encode(gathered, rows, cache) for rows in split_dev(gathered.source_hash, gathered.target_hash, 10, 1)
    )
    assert (len(train), len(dev)) == (90, 10)
    sources = [{encoded.text(example, "source") for example in range(len(encoded))} for encoded in (train, dev)]
    assert not sources[0] & sources[1]


def test_places_name_the_file_that_was_given_and_not_the_first_one_with_its_contents(tmp_path: Path) -> None:
    for name in ("first.tsv", "second.tsv"):
        (tmp_path / name).write_text("a\tb\n\tc\n", encoding="utf-8")
        path = str(tmp_path / name)
        gathered = gather([Corpus(path=path)], ROLES, Data(), tmp_path / "cache")
        assert gathered.counts.empty.places == [f"{path}:2"]
