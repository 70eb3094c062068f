"""Which symbol has which id: the four specials, then a fixed list of symbols; and its file.

A `*.vocab` file is UTF-8 with one JSON string per line, so that any symbol survives: a newline, a space, the empty one.
The first line is id 4, for the specials are not symbols and no text can name them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from seqsmith.errors import UserError
from seqsmith.special import SPECIALS, UNKNOWN

REPLACEMENT = "\ufffd"


class _Ids(dict[str, int]):
    """A plain lookup at the speed of C that answers UNKNOWN for what it does not hold."""

    def __missing__(self, symbol: str) -> int:
        return UNKNOWN


@dataclass(frozen=True)
class Vocabulary:
    """A frozen list of distinct symbols; the first one has the id after the specials."""

    symbols: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert len(set(self.symbols)) == len(self.symbols), "a symbol has two ids"

    def __len__(self) -> int:
        return len(SPECIALS) + len(self.symbols)

    @cached_property
    def id_of(self) -> Mapping[str, int]:
        """Ids by symbol; an unknown symbol has the id UNKNOWN."""
        return _Ids((symbol, number) for number, symbol in enumerate(self.symbols, len(SPECIALS)))

    def grown(self, symbols: Iterable[str]) -> Vocabulary:
        """The same ids, and after them one for each new symbol, the most frequent first."""
        return Vocabulary(self.symbols + most_frequent(symbol for symbol in symbols if symbol not in self.id_of))

    def write(self, path: Path) -> None:
        lines = (json.dumps(symbol, ensure_ascii=False) + "\n" for symbol in self.symbols)
        path.write_bytes("".join(lines).encode("utf-8"))


def most_frequent(symbols: Iterable[str], *, minimum_count: int = 1, limit: int | None = None) -> tuple[str, ...]:
    """The distinct symbols by falling count, equal counts in the order of their characters."""
    counts = Counter(symbols)
    ordered = sorted(counts, key=lambda symbol: (-counts[symbol], symbol))
    return tuple(symbol for symbol in ordered if counts[symbol] >= minimum_count)[:limit]


def read_vocabulary(path: Path) -> Vocabulary:
    """Raises UserError with file and line where the file is not a vocabulary."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UserError(f"{path}: cannot read the vocabulary: {error.strerror}.") from None
    seen: dict[str, int] = {}
    for number, line in enumerate(lines[:-1] if lines[-1] == b"" else lines, 1):
        symbol = _symbol(line, where=f"{path}:{number}")
        if symbol in seen:
            raise UserError(f"{path}:{number}: the symbol {symbol!r} stands on line {seen[symbol]} already.")
        seen[symbol] = number
    return Vocabulary(tuple(seen))


def _symbol(line: bytes, *, where: str) -> str:
    try:
        symbol = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):  # not UTF-8 and not JSON are both ValueErrors
        symbol = None
    if not isinstance(symbol, str):
        raise UserError(f'{where}: found {line[:40]!r}, expected one JSON string such as "a".')
    return symbol
