"""The bytes of a text file in blocks: plain, gzip or standard input, in bounded memory."""

from __future__ import annotations

import difflib
import gzip
import lzma
import os
import sys
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import cast

from seqsmith.errors import UserError

BLOCK_BYTES = 1 << 20
EXPANDED_BYTES = 1 << 26
EXPANDED_RATIO = 200
"""A gzip file that expands to more than both of these is taken for a bomb; text compresses 3 to 20 times."""

FOREIGN = {
    b"\xff\xfe\x00\x00": "in UTF-32; save it as UTF-8",
    b"\x00\x00\xfe\xff": "in UTF-32; save it as UTF-8",
    b"\xff\xfe": "in UTF-16; save it as UTF-8, for example with `iconv -f utf-16 -t utf-8`",
    b"\xfe\xff": "in UTF-16; save it as UTF-8, for example with `iconv -f utf-16 -t utf-8`",
    b"\x1f\x8b": "compressed with gzip; let its name end in .gz, or unpack it",
    b"PK\x03\x04": "a zip archive or an Excel workbook; unpack it, or export it as .csv",
    b"PAR1": "a Parquet file; let its name end in .parquet",
}
"""How files begin that are no UTF-8 text (the longer mark before the shorter one)."""


DAMAGED = (
    *(ValueError, EOFError, KeyError, TypeError, RuntimeError, MemoryError, SyntaxError, tokenize.TokenError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)
"""What numpy and zipfile raise for arrays that are damaged, encrypted, packed oddly, or none at all."""


def suffix(path: str) -> str:
    """The suffix that tells the format, in lower case, with a trailing `.gz` looked through."""
    name = path.lower()
    return Path(name.removesuffix(".gz")).suffix


def shown(path: str) -> str:
    """How messages call the file."""
    return "standard input" if path == "-" else path


def read_blocks(path: str) -> Iterator[bytes]:
    """The bytes of the file, expanded where its name ends in `.gz`; `-` is standard input."""
    # read1 hands over what a pipe has so far, so that answers can follow questions line by line
    with explained(path):
        if path == "-":
            yield from _blocks(cast(BufferedReader, sys.stdin.buffer).read1, path)
        elif path.lower().endswith(".gz"):
            with open(path, "rb") as packed, gzip.open(packed) as file:
                yield from _bounded(_blocks(file.read, path), path, os.fstat(packed.fileno()).st_size)
        else:
            with open(path, "rb") as plain:
                yield from _blocks(plain.read1, path)


def check_readable(path: str) -> None:
    """Raise UserError for a file that is not there or may not be read, before any work is done for it. A pipe is left
    alone: who writes to it would lose a reader."""
    if path != "-" and not Path(path).is_fifo():
        with explained(path), open(path, "rb"):
            pass


@contextmanager
def explained(path: str) -> Iterator[None]:
    """Turn the errors of opening and reading `path` into sentences."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.{_near(path)}") from None
    except IsADirectoryError:
        raise UserError(f"{path}: a folder; expected a file of examples.") from None
    except PermissionError:
        raise UserError(f"{path}: no permission to read this file.") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path}: a damaged or cut-off gzip file ({error}). Fetch or pack it again.") from None
    except OSError as error:
        raise UserError(f"{shown(path)}: cannot be read ({error.strerror or error}).") from None


def _near(path: str) -> str:
    folder = Path(path).parent
    if not folder.is_dir():
        return f" There is no folder {folder} either."
    near = difflib.get_close_matches(Path(path).name, os.listdir(folder), n=1)
    return f" Did you mean `{folder / near[0]}`?" if near else ""


def _blocks(read: Callable[[int], bytes], path: str) -> Iterator[bytes]:
    block = read(BLOCK_BYTES)
    while len(block) < 4 and b"\n" not in block and (more := read(BLOCK_BYTES)):
        block += more
    for mark, what in FOREIGN.items():
        if block.startswith(mark):
            raise UserError(f"{shown(path)}: expected UTF-8 text, found a file that is {what}.")
    while block:
        yield block
        block = read(BLOCK_BYTES)


def _bounded(blocks: Iterator[bytes], path: str, packed_bytes: int) -> Iterator[bytes]:
    expanded = 0
    for block in blocks:
        expanded += len(block)
        if expanded > EXPANDED_BYTES and expanded > EXPANDED_RATIO * packed_bytes:
            raise UserError(
                f"{path}: {packed_bytes:,} bytes expand to more than {expanded:,}, "
                f"over {EXPANDED_RATIO} times as many: no text packs like that. If it is meant, unpack it first."
            )
        yield block
