"""Laws of the line reader: what a line is, what is refused, and that memory is bounded."""

import gzip
import io
import os
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqsmith import config
from seqsmith.data import files, lines
from seqsmith.data.counts import Counts
from seqsmith.data.lines import read_lines
from seqsmith.errors import UserError

SETTINGS = config.Data()


def texts_of(path: Path | str, settings: config.Data = SETTINGS, counts: Counts | None = None) -> list[str]:
    blocks = read_lines(str(path), settings, counts or Counts())
    return [text for block in blocks for text in block.texts]


def written(folder: Path, content: bytes, name: str = "a.txt") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x0b", "\x0c", "\x85", "\x1c", "\r"])
def test_only_a_line_feed_ends_a_line(tmp_path: Path, character: str) -> None:
    line = f"one{character}line"
    assert texts_of(written(tmp_path, f"{line}\nb\n".encode())) == [line, "b"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\n\0", exclude_categories=["Cs"]))))
def test_lines_are_the_naive_split(tmp_path_factory: pytest.TempPathFactory, written_lines: list[str]) -> None:
    content = "".join(line + "\n" for line in written_lines).encode()
    path = written(tmp_path_factory.mktemp("lines"), content)
    expected = [line.removesuffix("\r") for line in written_lines]
    if expected and content.startswith("\ufeff".encode()):
        expected[0] = expected[0].removeprefix("\ufeff")
    assert texts_of(path) == expected


def test_a_file_of_carriage_returns_alone_is_one_line_and_told(tmp_path: Path) -> None:
    counts = Counts()
    assert texts_of(written(tmp_path, b"a\rb\rc"), counts=counts) == ["a\rb\rc"]
    (sentence,) = counts.sentences()
    assert sentence.startswith("Files of one line that holds carriage returns (do its lines end in them?")


def test_one_carriage_return_is_stripped_and_counted(tmp_path: Path) -> None:
    counts = Counts()
    assert texts_of(written(tmp_path, b"a\r\nb\nc\r\r\nd\r"), counts=counts) == ["a", "b", "c\r", "d"]
    assert counts.carriage_returns.count == 3
    assert "Lines that ended in a carriage return, which was removed: 3, the first at" in " ".join(counts.sentences())


def test_a_missing_final_newline_makes_no_difference(tmp_path: Path) -> None:
    assert texts_of(written(tmp_path, b"a\n\nb")) == texts_of(written(tmp_path, b"a\n\nb\n")) == ["a", "", "b"]


def test_a_byte_order_mark_is_removed(tmp_path: Path) -> None:
    assert texts_of(written(tmp_path, "\ufeffa\nb\n".encode())) == ["a", "b"]


def test_block_borders_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "ä\n\nöü\r\nlonger line €\nend".encode())
    whole = texts_of(path)
    monkeypatch.setattr(lines, "ROWS", 2)
    for size in range(1, 12):
        monkeypatch.setattr(files, "BLOCK_BYTES", size)
        assert texts_of(path) == whole
        blocks = list(read_lines(str(path), SETTINGS, Counts()))
        assert [number for block in blocks for number in block.numbers()] == [1, 2, 3, 4, 5]


BAD = [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82", b"\x80", b"\xf4\x90\x80\x80"]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("end", [b"\n", b"", b" x\nlast\n"])
def test_bad_utf8_names_file_line_and_byte(tmp_path: Path, bad: bytes, end: bytes) -> None:
    path = written(tmp_path, b"good\nab" + bad + end)
    with pytest.raises(UserError, match=rf"a.txt:2: not UTF-8: byte 3 of the line is 0x{bad[0]:02X} .*data.bad_utf8"):
        texts_of(path)


def test_bad_utf8_can_be_replaced_or_marked(tmp_path: Path) -> None:
    path, counts = written(tmp_path, b"a\n\xff\tb\r\nc\n"), Counts()
    assert texts_of(path, config.Data(bad_utf8="replace"), counts) == ["a", "\ufffd\tb", "c"]
    assert (counts.bad_utf8_replaced.count, counts.bad_utf8_replaced.places) == (1, [f"{path}:2"])
    (block,) = read_lines(str(path), config.Data(bad_utf8="skip"), Counts())
    assert (block.texts, block.bad) == (["a", "\ufffd\tb", "c"], {1})
    assert block.cut(1, 3).bad == {0}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("a\n".encode("utf-16"), "in UTF-16; save it as UTF-8"),
        (b"\xfe\xff" + "a\n".encode("utf-16-be"), "in UTF-16; save it as UTF-8"),
        ("a\n".encode("utf-32"), "in UTF-32; save it as UTF-8"),
        (gzip.compress(b"a\n", mtime=0), "compressed with gzip; let its name end in .gz"),
        (b"PK\x03\x04....", "a zip archive or an Excel workbook"),
        (b"PAR1....", "a Parquet file; let its name end in .parquet"),
    ],
)
def test_foreign_files_are_refused_with_advice(tmp_path: Path, content: bytes, what: str) -> None:
    with pytest.raises(UserError, match=rf"a.txt: expected UTF-8 text, found a file that is {what}"):
        texts_of(written(tmp_path, content))


def test_nul_is_refused_with_its_line_and_byte(tmp_path: Path) -> None:
    for content, place in ((b"a\nb\nc\0d\ne\n", "3: byte 2"), (b"\0", "1: byte 1"), (b"a\n\0\n", "2: byte 1")):
        with pytest.raises(UserError, match=rf"a.txt:{place} of the line is NUL \(0x00\); expected UTF-8 text"):
            texts_of(written(tmp_path, content))


def test_a_line_at_the_limit_passes_and_one_byte_more_does_not(tmp_path: Path) -> None:
    limit = config.Data(longest_line_bytes=5)
    for end in (b"\n", b""):
        assert texts_of(written(tmp_path, b"a\n12345" + end), limit) == ["a", "12345"]
        with pytest.raises(UserError, match=r"a.txt:2: this line is longer than 5 bytes.*data.longest_line_bytes"):
            texts_of(written(tmp_path, b"a\n123456" + end), limit)


def test_a_huge_line_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with path.open("wb") as file:
        file.write(b"first\n")
        for _ in range(100):
            file.write(b"x" * 1_000_000)
    tracemalloc.start()
    with pytest.raises(UserError, match=r"a.txt:2: this line is longer than 4,000,000 bytes"):
        texts_of(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12_000_000


def test_a_million_tokens_on_a_line_are_one_line(tmp_path: Path) -> None:
    text = "a " * 1_000_000
    assert texts_of(written(tmp_path, text.encode() + b"\n")) == [text]


def test_gzip_is_looked_through(tmp_path: Path) -> None:
    assert texts_of(written(tmp_path, gzip.compress(b"a\n\nb"), "a.txt.gz")) == ["a", "", "b"]


def test_every_cut_gzip_file_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(b"some text\n" * 20)
    for length in range(1, len(packed)):
        with pytest.raises(UserError, match=r"a.gz: a damaged or cut-off gzip file"):
            texts_of(written(tmp_path, packed[:length], "a.gz"))


@pytest.mark.parametrize("place", [0, 12, -6])
def test_a_damaged_gzip_file_is_refused(tmp_path: Path, place: int) -> None:
    packed = bytearray(gzip.compress(b"some text\n" * 20))
    packed[place] ^= 0xFF
    with pytest.raises(UserError, match=r"a.gz: a damaged or cut-off gzip file"):
        texts_of(written(tmp_path, bytes(packed), "a.gz"))


def test_a_gzip_bomb_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, gzip.compress((b"x" * 99 + b"\n") * 100_000), "a.gz")
    assert len(texts_of(path)) == 100_000  # under the limit for small files
    monkeypatch.setattr(files, "EXPANDED_BYTES", 1_000_000)
    with pytest.raises(UserError, match=r"a.gz: [\d,]+ bytes expand to more than [\d,]+, over 200 times as many"):
        texts_of(path)


def test_standard_input_is_read_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb", buffering=0) as pipe, os.fdopen(reading, encoding="latin-1") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        blocks = read_lines("-", SETTINGS, Counts())
        pipe.write("é\n".encode())
        assert next(blocks).texts == ["é"]
        pipe.write(b"b\nc\npart")
        assert next(blocks).texts == ["b", "c"]
        pipe.close()
        block = next(blocks)
        assert (block.path, block.first, block.texts) == ("standard input", 4, ["part"])


def test_errors_name_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\n\xff\n")))
    with pytest.raises(UserError, match=r"^standard input:2: not UTF-8"):
        texts_of("-")


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    written(tmp_path, b"", "train.tsv")
    with pytest.raises(UserError, match=r"trian.tsv: no such file. Did you mean `.*/train.tsv`\?"):
        texts_of(tmp_path / "trian.tsv")
    with pytest.raises(UserError, match=r"a: no such file. There is no folder .*/none either"):
        texts_of(tmp_path / "none" / "a")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r": a folder; expected a file of examples."):
        texts_of(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, b"a\n")
    path.chmod(0)
    with pytest.raises(UserError, match=r"a.txt: no permission to read this file"):
        texts_of(path)


def test_a_failing_disk_is_an_error_with_the_file(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(UserError, match=r"loop: cannot be read \(Too many levels of symbolic links\)"):
        texts_of(loop)
