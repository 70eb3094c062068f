"""The way of one side's text to ids and back: normalise, cut, and put the atomic features before it.

A feature (a morphological tag, a language to translate into) has an id after the tokeniser's own, so no text can become
one, and a target that shares the tokeniser never sees them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from seqsmith import config
from seqsmith.data.ragged import Ragged
from seqsmith.special import SPECIALS, UNKNOWN
from seqsmith.text.normalise import Form, normalise
from seqsmith.text.tokenise import VISIBLE_SPACE, Closed, Tokeniser, open_tokeniser, train_tokeniser
from seqsmith.text.vocabulary import Vocabulary, most_frequent, read_vocabulary

Side = config.TextSource | config.TextTarget


@dataclass(frozen=True)
class TextCodec:
    """Normalisation, tokeniser and features of one side."""

    tokeniser: Tokeniser
    features: Vocabulary  # empty: the data has none
    separator: str  # between the features of one example
    form: Form
    lowercase: bool

    @property
    def size(self) -> int:
        """How many ids there are: specials, the tokeniser's, features."""
        return self.tokeniser.size + len(self.features.symbols)

    def encode(self, texts: Sequence[str], features: Sequence[str] | None = None) -> Ragged:
        """The ids of each text, after those of its features; `features` holds the raw column."""
        as_they_are = self.form == "none" and not self.lowercase
        ids = self.tokeniser.encode(texts if as_they_are else [self._normalise(text) for text in texts])
        return ids if features is None else Ragged.of([self._feature_ids(column) for column in features]).before(ids)

    def encode_sampled(self, text: str, features: str | None, seed: int) -> list[int]:
        """Like `encode`, with subword regularisation: a pure function of its arguments."""
        ids = self.tokeniser.encode_sampled(self._normalise(text), seed)
        return ids if features is None else self._feature_ids(features) + ids

    def unknown(self, text: str) -> list[str]:
        """The symbol behind each UNKNOWN of a text, where the tokeniser leaves it whole."""
        assert isinstance(self.tokeniser, Closed)
        return self.tokeniser.unknown(self._normalise(text))

    def decode(self, ids: Sequence[int], named: Mapping[int, str] | None = None) -> str:
        """The text; features are none of it. `named` are symbols that have no id here."""
        if named:
            assert isinstance(self.tokeniser, Closed)
            return self.tokeniser.decode([id for id in ids if id < self.tokeniser.size or id in named], named)
        return self.tokeniser.decode([number for number in ids if number < self.tokeniser.size])

    def pieces(self, ids: Iterable[int], named: Mapping[int, str] | None = None) -> list[str]:
        """What each id looks like, features too."""
        shown = {number: [symbol.replace(" ", VISIBLE_SPACE)] for number, symbol in (named or {}).items()}
        return [piece for number in ids for piece in (shown.get(number) or self._piece(number))]

    def unknown_share(self, ids: Sequence[int]) -> float:
        """Which part of the ids stands for what was never seen in training, or too rarely for an id of its own."""
        return sum(number in self.tokeniser.unseen or number >= self.size for number in ids) / max(1, len(ids))

    def grown(self, texts: Iterable[str], features: Iterable[str] = ()) -> TextCodec:
        """With ids for new symbols and features. Features move behind the new symbols: see `inherited`."""
        return replace(
            self,
            tokeniser=self.tokeniser.grown(map(self._normalise, texts)),
            features=self.features.grown(_split_all(features, self.separator)),
        )

    def inherited(self, older: TextCodec) -> list[int]:
        """For each id of this grown codec the id that meant the same in `older`, or UNKNOWN for a new one."""
        own = range(self.tokeniser.size)
        ids = [number if number < older.tokeniser.size else UNKNOWN for number in own]
        return ids + [older._feature_id(symbol) for symbol in self.features.symbols]

    def save(self, folder: Path, name: str) -> list[str]:
        """Write the files called `name` and return their names."""
        files = [self.tokeniser.save(folder, name)]
        if self.features.symbols:
            files.append(_feature_file(name))
            self.features.write(folder / files[-1])
        return files

    def _normalise(self, text: str) -> str:
        return normalise(text, self.form, lowercase=self.lowercase)

    def knows_features(self, column: str) -> bool:
        """Whether all features of an example were seen in training."""
        return UNKNOWN not in self._feature_ids(column)

    def _feature_ids(self, column: str) -> list[int]:
        return [self._feature_id(symbol) for symbol in _split(column, self.separator)]

    def _feature_id(self, symbol: str) -> int:
        number = self.features.id_of[symbol]
        return UNKNOWN if number == UNKNOWN else self.tokeniser.size + number - len(SPECIALS)

    def _piece(self, number: int) -> list[str]:
        if number < self.tokeniser.size:
            return self.tokeniser.pieces([number])
        return [self.features.symbols[number - self.tokeniser.size]]


def train_codec(
    texts: Iterable[str],
    settings: Side,
    *,
    features: Iterable[str] = (),
    separator: str = ";",
    tokeniser: Tokeniser | None = None,
) -> TextCodec:
    """Learn the codec of one side. With a joint vocabulary give the other side's `tokeniser`, learnt from both.

    The settings are resolved: they name a tokeniser.
    """
    assert settings.tokeniser is not None
    form = settings.normalise or "none"
    if tokeniser is None:
        normal = (normalise(text, form, lowercase=settings.lowercase) for text in texts)
        tokeniser = train_tokeniser(normal, settings.tokeniser)
    symbols = Vocabulary(most_frequent(_split_all(features, separator)))
    return TextCodec(tokeniser, symbols, separator, form, settings.lowercase)


def open_codec(folder: Path, name: str, settings: Side, separator: str = ";") -> TextCodec:
    """Read what `save` wrote. Raises UserError where a file is missing or damaged."""
    assert settings.tokeniser is not None
    path = folder / _feature_file(name)
    features = read_vocabulary(path) if path.exists() else Vocabulary()
    tokeniser = open_tokeniser(folder, name, settings.tokeniser)
    return TextCodec(tokeniser, features, separator, settings.normalise or "none", settings.lowercase)


def _feature_file(name: str) -> str:
    return f"{name}.features.vocab"


def _split(column: str, separator: str) -> list[str]:
    return column.split(separator) if column else []


def _split_all(columns: Iterable[str], separator: str) -> Iterable[str]:
    return chain.from_iterable(_split(column, separator) for column in columns)
