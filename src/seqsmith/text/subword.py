"""Subwords learnt by sentencepiece (Kudo & Richardson 2018), made lossless for any text.

Text is kept as it is (identity normalisation), what has no piece is spelt in bytes, and decoding is our own: each id
has its bytes, the bytes are joined and read as UTF-8. Two signs of sentencepiece need care. It puts one space before
each text, which decoding takes away; and it writes a space as U+2581, so one in the text is written with an escape.
"""

from __future__ import annotations

import io
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from random import Random
from threading import Lock

import numpy as np
import sentencepiece
from numpy.typing import NDArray

from seqsmith import config
from seqsmith.data.ragged import Ragged, offsets
from seqsmith.errors import UserError
from seqsmith.special import BEGIN, END, HIDDEN, PAD, SPECIALS, UNKNOWN
from seqsmith.text.sample import FIRST_BYTE, BpeSampler, Pieces, Sampler, UnigramSampler
from seqsmith.text.vocabulary import REPLACEMENT

SPACE = "\u2581"  # how sentencepiece writes a space
ESCAPE = "\uf8f0"  # of the private use area; ESCAPE ESCAPE is itself, ESCAPE ESCAPED_SPACE is U+2581
ESCAPED_SPACE = "\uf8f1"
NAMELESS = "\ufdd0"  # no character: Unicode keeps it for what no text has
FIRST_PIECE = FIRST_BYTE + 256
DEFAULT_PIECES = 8000
SAMPLE_CHARACTERS = 10_000_000  # as many are learnt from, within a minute and half a gigabyte
LEARNT_CHARACTERS = 4_000  # of a text, from its start: learning takes the square of a text that repeats itself
WORDS_KEPT = 500_000  # whose pieces are remembered, about 100 MB
CHARACTERS_KEPT = 5_000_000  # and so many in all: where no spaces are written, a text is one word
TRAINING_THREADS = 4  # a fixed number, as the sums of unigram training depend on it: same pieces on every machine


class Subwords:
    """A sentencepiece model, with the four special ids first and the 256 bytes after them."""

    def __init__(self, model: bytes, settings: config.Sentencepiece) -> None:
        self._model = model
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        self.size: int = self._processor.get_piece_size()
        self.unseen = frozenset({UNKNOWN, *range(FIRST_BYTE, FIRST_PIECE)})
        self._piece: list[str] = [self._processor.id_to_piece(number) for number in range(self.size)]
        self._bytes = [_bytes(number, piece) for number, piece in enumerate(self._piece)]
        self._sampler = self._make_sampler(settings) if settings.sampling else None
        self._words = _Words(self._processor)

    def encode(self, texts: Sequence[str]) -> Ragged:
        cut = [escape(text).split(" ") if text else [] for text in texts]
        of_word = self._words.pieces(list(chain.from_iterable(cut)))
        return Ragged(of_word.value, of_word.offset[offsets(np.array([len(words) for words in cut], np.int64))])

    def encode_sampled(self, text: str, seed: int) -> list[int]:
        if self._sampler is None or not text:
            return self.encode([text]).lists()[0]
        random = Random(seed)
        return [number for word in words(text) for number in self._sampler.cut(word, random)]

    def decode(self, ids: Sequence[int]) -> str:
        joined = b"".join([self._bytes[number] for number in ids if number not in HIDDEN])
        return unescape(joined.decode("utf-8", "replace").removeprefix(SPACE))

    def pieces(self, ids: Iterable[int]) -> list[str]:
        return [self._piece[number] if number >= len(SPECIALS) else SPECIALS[number] for number in ids]

    def grown(self, texts: Iterable[str]) -> Subwords:  # noqa: ARG002
        """Itself: any text can be spelt already."""
        return self

    def save(self, folder: Path, name: str) -> str:
        (folder / f"{name}.model").write_bytes(self._model)
        return f"{name}.model"

    def _make_sampler(self, settings: config.Sentencepiece) -> Sampler:
        learnt = range(FIRST_PIECE, self.size)
        pieces = Pieces(
            {self._piece[number]: number for number in learnt},
            {self._piece[number]: self._processor.get_score(number) for number in learnt},
        )
        if settings.algorithm == "bpe":
            return BpeSampler(pieces, settings.sampling)
        return UnigramSampler(pieces, settings.sampling)


class _Words:
    """The pieces of words, which are cut when they are first met: a word has the same pieces wherever it stands.

    No piece goes on past a space, so nothing is lost by cutting words alone: BPE merges within a word, and the best
    pieces of a text under a unigram model are the best of each of its words.
    """

    def __init__(self, processor: sentencepiece.SentencePieceProcessor) -> None:
        self._processor = processor
        self._lock = Lock()
        self._forget()

    def pieces(self, words: Sequence[str]) -> Ragged:
        """The ids of each word, the space before it included."""
        with self._lock:
            if len(self._row_of) > WORDS_KEPT or self._characters > CHARACTERS_KEPT:
                self._forget()
            rows = np.fromiter(map(self._row_of.__getitem__, words), np.int64, len(words))
            try:
                self._learn()
            except BaseException:  # half of it may be learnt
                self._forget()
                raise
            known = Ragged(self._id.array, self._offset.array)
        return known.take(rows)

    def _learn(self) -> None:
        """Cut the words that were given their rows just now."""
        new = self._row_of.new
        if not new:
            return
        ids = self._processor.encode([word or " " for word in new], num_threads=1)
        cut = Ragged.of([own if word else own[:1] for word, own in zip(new, ids, strict=True)])
        self._offset.extend(len(self._id.array) + cut.offset[1:])
        self._id.extend(cut.value)
        self._characters += sum(map(len, new))
        self._row_of.new = []

    def _forget(self) -> None:
        self._row_of = _Rows()
        self._id, self._offset = _Growing(), _Growing()  # the pieces of each row
        self._offset.extend(np.zeros(1, np.int64))
        self._characters = 0


class _Growing:
    """An array that grows at its end, into room that is doubled when it is full."""

    def __init__(self) -> None:
        self._room = np.empty(1_024, np.int64)
        self._length = 0

    @property
    def array(self) -> NDArray[np.int64]:
        """What is in it by now; later additions do not touch it."""
        return self._room[: self._length]

    def extend(self, new: NDArray[np.int64]) -> None:
        length = self._length + len(new)
        if length > len(self._room):
            room = np.empty(2 * length, np.int64)
            room[: self._length] = self.array
            self._room = room
        self._room[self._length : length] = new
        self._length = length


class _Rows(dict[str, int]):
    """Numbers words in the order in which they are first asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.new: list[str] = []

    def __missing__(self, word: str) -> int:
        row = self[word] = len(self)
        self.new.append(word)
        return row


def train_subwords(texts: Iterable[str], settings: config.Sentencepiece) -> Subwords:
    """Learn pieces; fewer than wanted where the texts hold no more: see `size`. Deterministic."""
    sample = _sample(texts, most=SAMPLE_CHARACTERS)
    if not sample:
        raise UserError("There is no text to learn subwords from: every line is empty.")
    pieces = settings.vocabulary or DEFAULT_PIECES
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=_frequent(sample, most=(pieces - FIRST_PIECE) // 2),
        model_writer=model,
        model_type=settings.algorithm,
        vocab_size=pieces,
        hard_vocab_limit=False,
        character_coverage=1.0,  # of what `_frequent` left
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        max_sentence_length=2**30,
        pad_id=PAD,
        unk_id=UNKNOWN,
        bos_id=BEGIN,
        eos_id=END,
        pad_piece=f"{NAMELESS}pad",  # learning cuts texts at these names, so that they are none that a text has
        unk_piece=f"{NAMELESS}unknown",
        bos_piece=f"{NAMELESS}begin",
        eos_piece=f"{NAMELESS}end",
        num_threads=TRAINING_THREADS,
        minloglevel=2,  # silent: what goes wrong is raised
    )
    return Subwords(model.getvalue(), settings)


def open_subwords(path: Path, settings: config.Sentencepiece) -> Subwords:
    try:
        model = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot read the subwords: {error.strerror}.") from None
    try:
        subwords = Subwords(model, settings)
    except (RuntimeError, ValueError):
        raise UserError(f"{path}: not a sentencepiece model, or a damaged one.") from None
    if subwords.pieces([FIRST_BYTE, FIRST_PIECE - 1]) != ["<0x00>", "<0xFF>"]:
        raise UserError(f"{path}: a sentencepiece model without byte fallback. Train the model with seqsmith.")
    return subwords


def escape(text: str) -> str:
    """The text with every U+2581 written another way."""
    if SPACE not in text and ESCAPE not in text:
        return text
    return text.replace(ESCAPE, ESCAPE + ESCAPE).replace(SPACE, ESCAPE + ESCAPED_SPACE)


def unescape(text: str) -> str:
    """From sentencepiece's alphabet to text; defined for all that a model may say."""
    text = text.replace(SPACE, " ")
    return re.sub(f"{ESCAPE}([{ESCAPE}{ESCAPED_SPACE}])", _unescaped, text) if ESCAPE in text else text


def _unescaped(match: re.Match[str]) -> str:
    return ESCAPE if match[1] == ESCAPE else SPACE


def words(text: str) -> Iterator[str]:
    """Cut before each space, as no piece goes on past one; each word starts with U+2581."""
    return (SPACE + word for word in escape(text).split(" "))


def _bytes(number: int, piece: str) -> bytes:
    """What an id adds to the decoded text, in UTF-8 with U+2581 for a space."""
    if number < len(SPECIALS):
        return REPLACEMENT.encode("utf-8") if number == UNKNOWN else b""
    return bytes([number - FIRST_BYTE]) if number < FIRST_PIECE else piece.encode("utf-8")


def _sample(texts: Iterable[str], *, most: int) -> list[str]:
    """The texts, thinned when they grow too many by a hash of their place: a fixed choice, in bounded memory."""
    sample: dict[int, str] = {}
    stride, characters = 1, 0
    for place, text in enumerate(texts):
        if not text or _hash(place) % stride:
            continue
        sample[place] = escape(text[:LEARNT_CHARACTERS])
        characters += len(sample[place])
        while characters > most and len(sample) > 1:
            stride *= 2
            kept = {place: text for place, text in sample.items() if _hash(place) % stride == 0}
            sample = kept or dict([sample.popitem()])
            characters = sum(map(len, sample.values()))
    return list(sample.values())


def _hash(place: int) -> int:
    return zlib.crc32(place.to_bytes(8, "little"))


def _frequent(sample: Sequence[str], *, most: int) -> Iterator[str]:
    """The texts with only the `most` frequent characters, so that half of the vocabulary is left for longer pieces.

    The others become spaces; when encoding they are spelt in bytes. So are the tab and U+2585: sentencepiece uses them
    itself and would pass over every text that holds one.
    """
    counts = Counter[str]()
    for text in sample:
        counts.update(text)
    rare = [character for character, _ in counts.most_common()[most:]]
    to_space = str.maketrans(dict.fromkeys((*rare, "\t", "\u2585"), " "))
    return (text.translate(to_space) for text in sample)
