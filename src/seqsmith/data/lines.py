"""Bytes to strictly decoded lines: split on line feeds alone, UTF-8, bounded memory.

Neither `str.splitlines` nor text mode is used: the first also splits on U+2028, U+0085, form feeds and their kin, the
second on lone carriage returns, and either would shift all later lines of one of two parallel files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from seqsmith import config
from seqsmith.data.counts import Counts
from seqsmith.data.files import read_blocks, shown
from seqsmith.errors import UserError

ROWS = 10_000
"""Lines of a block at most; a block is also about 1 MB or one line at most."""


@dataclass(frozen=True)
class Lines:
    """Neighbouring lines of a file."""

    path: str  # as messages call it
    first: int  # line number of texts[0], counted from 1
    texts: list[str]  # without line ends
    bad: frozenset[int]  # indices of lines to leave out: not UTF-8 under bad_utf8 = "skip"; decoded with U+FFFD

    def numbers(self) -> list[int]:
        return list(range(self.first, self.first + len(self.texts)))

    def cut(self, start: int, stop: int) -> Lines:
        bad = frozenset(index - start for index in self.bad if start <= index < stop)
        return Lines(self.path, self.first + start, self.texts[start:stop], bad)


def read_lines(path: str, settings: config.Data, counts: Counts) -> Iterator[Lines]:
    """All lines of a file (`-`: standard input), empty ones included; a missing final newline is accepted.

    One carriage return at the end of a line and a byte order mark are removed. Lines that `bad_utf8 = "skip"` leaves
    out are only marked here, so that line numbers and parallel files stay in step; who drops them tallies them.
    """
    for line, chunk in _whole_lines(path, settings.longest_line_bytes, counts):
        lines = _decoded(chunk, shown(path), line, settings, counts)
        if len(lines.texts) <= ROWS:
            yield lines
        else:
            yield from (lines.cut(start, start + ROWS) for start in range(0, len(lines.texts), ROWS))


def _whole_lines(path: str, longest: int, counts: Counts) -> Iterator[tuple[int, bytes]]:
    """(line number, bytes that end in a line feed): as many whole lines as were read at once."""
    line = 1
    pending = bytearray()
    for block in _without_mark(read_blocks(path)):
        head, newline, tail = block.rpartition(b"\n")
        if newline:
            chunk = bytes(pending) + head + newline
            _check_lengths(chunk, path, line, longest)
            yield line, chunk
            line += chunk.count(b"\n")
            pending.clear()
        pending += tail
        if len(pending) > longest:
            raise _too_long(path, line, longest)
    if line == 1 and b"\r" in pending[:-1]:
        counts.no_line_feed.add(shown(path), [1])
    if pending:
        yield line, bytes(pending) + b"\n"


def _without_mark(blocks: Iterator[bytes]) -> Iterator[bytes]:
    for block in blocks:
        yield block.removeprefix(b"\xef\xbb\xbf")
        break
    yield from blocks


def _check_lengths(chunk: bytes, path: str, line: int, longest: int) -> None:
    if len(chunk) > longest:
        for number, raw in enumerate(chunk.split(b"\n"), line):
            if len(raw) > longest:
                raise _too_long(path, number, longest)


def _too_long(path: str, line: int, longest: int) -> UserError:
    return UserError(
        f"{shown(path)}:{line}: this line is longer than {longest:,} bytes. Is this text, one example a line? "
        "If the line is meant, raise data.longest_line_bytes."
    )


def _decoded(chunk: bytes, path: str, line: int, settings: config.Data, counts: Counts) -> Lines:
    if b"\0" in chunk:
        place = chunk.index(b"\0")
        number, byte = line + chunk.count(b"\n", 0, place), place - chunk.rfind(b"\n", 0, place)
        raise UserError(
            f"{path}:{number}: byte {byte} of the line is NUL (0x00); expected UTF-8 text. Is the file binary, or in "
            "UTF-16?"
        )
    bad: frozenset[int] = frozenset()
    try:
        texts = chunk[:-1].decode().split("\n")
    except UnicodeDecodeError:
        texts, bad = _decoded_singly(chunk, path, line, settings, counts)
    if b"\r\n" in chunk:
        ended = [line + index for index, text in enumerate(texts) if text.endswith("\r")]
        counts.carriage_returns.add(path, ended)
        texts = [text.removesuffix("\r") for text in texts]
    return Lines(path, line, texts, bad)


def _decoded_singly(
    chunk: bytes, path: str, line: int, settings: config.Data, counts: Counts
) -> tuple[list[str], frozenset[int]]:
    texts: list[str] = []
    bad: list[int] = []
    for index, raw in enumerate(chunk[:-1].split(b"\n")):
        try:
            texts.append(raw.decode())
        except UnicodeDecodeError as error:
            if settings.bad_utf8 == "error":
                raise UserError(
                    f"{path}:{line + index}: not UTF-8: byte {error.start + 1} of the line is 0x{raw[error.start]:02X} "
                    f"({error.reason}). Save the file as UTF-8, or set data.bad_utf8 to skip or replace."
                ) from None
            bad.append(index)
            texts.append(raw.decode(errors="replace"))
    if settings.bad_utf8 == "skip":
        return texts, frozenset(bad)
    counts.bad_utf8_replaced.add(path, [line + index for index in bad])
    return texts, frozenset()
