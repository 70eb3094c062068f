"""Tokenisers: text to ids and back without loss, where no text can name a special id.

Sentencepiece is in `subword`; the other kinds are here. Decoding gives back the text that was encoded, character for
character: always with sentencepiece and bytes, and where every symbol is known with characters, words and symbols.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Protocol, assert_never

import numpy as np

from seqsmith import config
from seqsmith.data.ragged import Ragged, offsets
from seqsmith.special import HIDDEN, SPECIALS, UNKNOWN
from seqsmith.text.subword import open_subwords, train_subwords
from seqsmith.text.vocabulary import REPLACEMENT, Vocabulary, most_frequent, read_vocabulary

BYTES_SIZE = len(SPECIALS) + 256
VISIBLE_SPACE = "\u2581"


class Tokeniser(Protocol):
    """What cuts the text of one side into ids; BEGIN and END are the business of others."""

    size: int  # how many ids there are, the specials included
    unseen: frozenset[int]  # ids for what was not seen in training, or too rarely for an id of its own

    def encode(self, texts: Sequence[str]) -> Ragged:
        """The ids of each text; fast for whole blocks of them."""

    def encode_sampled(self, text: str, seed: int) -> list[int]:
        """Subword regularisation (see `sample`), a pure function of text and seed; `encode` for kinds without it."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text; UNKNOWN shows as U+FFFD, the other specials not at all."""

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """What each id looks like, for pictures and alignments: U+2581 stands for a space."""

    def grown(self, texts: Iterable[str]) -> Tokeniser:
        """The same ids, and new ones for the new symbols of these texts."""

    def save(self, folder: Path, name: str) -> str:
        """Write name.model or name.vocab and return that file name."""


def train_tokeniser(texts: Iterable[str], settings: config.Tokeniser) -> Tokeniser:
    """Learn what the kind has to learn, in one pass over the texts. Equal texts give equal ids, on every machine."""
    match settings:
        case config.Sentencepiece():
            return train_subwords(texts, settings)
        case config.Bytes():
            return Bytes()
        case config.Characters():
            cutter: Cutter = Characters()
            limit = None
        case config.Words():
            cutter = Words()
            limit = settings.vocabulary
        case config.Symbols():
            cutter = Symbols()
            limit = None
        case _:
            assert_never(settings)
    symbols = chain.from_iterable(map(cutter.cut, texts))
    return Closed(Vocabulary(most_frequent(symbols, minimum_count=settings.minimum_count, limit=limit)), cutter)


def open_tokeniser(folder: Path, name: str, settings: config.Tokeniser) -> Tokeniser:
    """Read what `save` wrote. Raises UserError where the file is missing or damaged."""
    match settings:
        case config.Sentencepiece():
            return open_subwords(folder / f"{name}.model", settings)
        case config.Bytes():
            return Bytes()
        case config.Characters():
            return Closed(read_vocabulary(folder / f"{name}.vocab"), Characters())
        case config.Words():
            return Closed(read_vocabulary(folder / f"{name}.vocab"), Words())
        case config.Symbols():
            return Closed(read_vocabulary(folder / f"{name}.vocab"), Symbols())
        case _:
            assert_never(settings)


class Bytes:
    """The bytes of UTF-8, ids 4 to 259: nothing to learn, nothing unknown."""

    size = BYTES_SIZE
    unseen = frozenset({UNKNOWN})

    def encode(self, texts: Sequence[str]) -> Ragged:
        encoded = [text.encode("utf-8") for text in texts]
        value = np.frombuffer(b"".join(encoded), np.uint8).astype(np.int32) + len(SPECIALS)
        return Ragged(value, offsets(np.array([len(each) for each in encoded], np.int64)))

    def encode_sampled(self, text: str, seed: int) -> list[int]:  # noqa: ARG002
        return self.encode([text]).lists()[0]

    def decode(self, ids: Sequence[int]) -> str:
        unknown = REPLACEMENT.encode("utf-8")
        shown = (bytes([number - len(SPECIALS)]) if number >= len(SPECIALS) else unknown for number in _visible(ids))
        return b"".join(shown).decode("utf-8", "replace")

    def pieces(self, ids: Iterable[int]) -> list[str]:
        return [_byte(number - len(SPECIALS)) if number >= len(SPECIALS) else SPECIALS[number] for number in ids]

    def grown(self, texts: Iterable[str]) -> Bytes:  # noqa: ARG002
        return self

    def save(self, folder: Path, name: str) -> str:
        """An empty vocabulary: a model folder has the same files whatever the kind."""
        Vocabulary().write(folder / f"{name}.vocab")
        return f"{name}.vocab"


class Cutter(Protocol):
    """How a kind with a closed vocabulary cuts text into symbols, and joins them again."""

    unknown: str  # what stands for an unknown symbol

    def cut(self, text: str) -> Sequence[str]: ...

    def join(self, symbols: Iterable[str]) -> str: ...


class Closed:
    """Symbols from a list; what is not in it is UNKNOWN."""

    def __init__(self, vocabulary: Vocabulary, cutter: Cutter) -> None:
        self.size = len(vocabulary)
        self.unseen = frozenset({UNKNOWN})
        self._vocabulary = vocabulary
        self._cutter = cutter

    def encode(self, texts: Sequence[str]) -> Ragged:
        cut = [self._cutter.cut(text) for text in texts]
        offset = offsets(np.array([len(symbols) for symbols in cut], np.int64))
        ids = map(self._vocabulary.id_of.__getitem__, chain.from_iterable(cut))
        return Ragged(np.fromiter(ids, np.int32, int(offset[-1])), offset)

    def encode_sampled(self, text: str, seed: int) -> list[int]:  # noqa: ARG002
        return self.encode([text]).lists()[0]

    def unknown(self, text: str) -> list[str]:
        """The symbol behind each UNKNOWN of a text."""
        return [symbol for symbol in self._cutter.cut(text) if self._vocabulary.id_of[symbol] == UNKNOWN]

    def decode(self, ids: Sequence[int], named: Mapping[int, str] | None = None) -> str:
        """`named` are symbols that have no id of their own."""
        symbols, others = self._vocabulary.symbols, {UNKNOWN: self._cutter.unknown, **(named or {})}
        return self._cutter.join(
            others[number] if number in others else symbols[number - len(SPECIALS)] for number in _visible(ids)
        )

    def pieces(self, ids: Iterable[int]) -> list[str]:
        symbols, first = self._vocabulary.symbols, len(SPECIALS)
        shown = (SPECIALS[number] if number < first else symbols[number - first] for number in ids)
        return [piece.replace(" ", VISIBLE_SPACE) for piece in shown]

    def grown(self, texts: Iterable[str]) -> Closed:
        symbols = chain.from_iterable(map(self._cutter.cut, texts))
        return Closed(self._vocabulary.grown(symbols), self._cutter)

    def save(self, folder: Path, name: str) -> str:
        self._vocabulary.write(folder / f"{name}.vocab")
        return f"{name}.vocab"


class Characters:
    """A symbol is a code point."""

    unknown = REPLACEMENT

    def cut(self, text: str) -> Sequence[str]:
        return text

    def join(self, symbols: Iterable[str]) -> str:
        return "".join(symbols)


class Words:
    """A symbol is a run of letters, a run of digits or a single other character, with the one space before it.

    As sentencepiece does, a space is put before the text and taken away again, so that a word has one id wherever it
    stands. A space with no word behind it is a symbol of its own.
    """

    unknown = " " + REPLACEMENT

    def cut(self, text: str) -> Sequence[str]:
        return _word_pattern().findall(" " + text) if text else ()

    def join(self, symbols: Iterable[str]) -> str:
        return "".join(symbols).removeprefix(" ")


class Symbols:
    """A symbol is what stands between single spaces; two spaces have an empty symbol between them."""

    unknown = REPLACEMENT

    def cut(self, text: str) -> Sequence[str]:
        return text.split(" ") if text else ()

    def join(self, symbols: Iterable[str]) -> str:
        return " ".join(symbols)


@lru_cache(1)
def _word_pattern() -> re.Pattern[str]:
    """Letters keep their marks, which `re` does not count as letters: vowel signs of Hindi, accents of NFD."""
    planes = chain(range(0x300, 0x20000), range(0xE0100, 0xE01F0))  # where Unicode keeps marks
    marks = "".join(chr(code) for code in planes if unicodedata.category(chr(code)).startswith("M"))
    return re.compile(rf" ?(?:(?:[^\W\d_]++[{marks}]*+)++|\d++|[^\w\s]|_)|\s")


def _visible(ids: Iterable[int]) -> list[int]:
    return [number for number in ids if number not in HIDDEN]


def _byte(byte: int) -> str:
    if byte == ord(" "):
        return VISIBLE_SPACE
    return chr(byte) if 0x20 < byte < 0x7F else f"<0x{byte:02X}>"
