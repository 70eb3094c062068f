"""Raw values to features and back: the one place that knows text and speech. Series have a road of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self, assert_never

import numpy as np
from numpy.typing import NDArray

from seqsmith import config
from seqsmith.data.columns import Role
from seqsmith.data.prepare import Column
from seqsmith.data.ragged import Ragged
from seqsmith.special import END, UNKNOWN
from seqsmith.speech import codec as speech
from seqsmith.speech import columns as speech_columns
from seqsmith.speech.codec import SpeechCodec
from seqsmith.text import columns as text_columns
from seqsmith.text.codec import TextCodec, open_codec

Texts = dict[str, list[str]]
"""Columns of texts by role: source, target, features. The source of speech are the names of recordings."""

_RECORDINGS = 100  # whose frames are in memory at once: of 30 seconds each, about 100 MB


def roles(settings: config.Settings, data: config.Data | None = None) -> list[Role]:
    """The columns that a model of these settings reads; `data` says how, if not as in training."""
    data = data or settings.data
    return text_columns.roles(data) if isinstance(settings.source, config.TextSource) else speech_columns.roles(data)


@dataclass(frozen=True)
class Featuriser:
    """Both sides of a model's data."""

    source: TextCodec | SpeechCodec
    target: TextCodec
    first_copied: int | None = None  # the target id of a source's first unknown symbol; None: they are not copied

    @classmethod
    def open(cls, folder: Path, settings: config.Settings) -> Self:
        """Read the vocabularies of a model folder."""
        separator = settings.data.features_separator
        source: TextCodec | SpeechCodec
        match settings.source:
            case config.TextSource():
                source = open_codec(folder, "source", settings.source, separator)
            case config.SpeechSource():
                source = speech.open_codec(folder, "source", settings.source)
            case config.SeriesSource():
                raise AssertionError("series have a featuriser of their own")
            case _:
                assert_never(settings.source)
        return cls(source, open_codec(folder, "target", settings.target, separator)).copying(settings)

    def copying(self, settings: config.Settings) -> Self:
        """With ids for the unknown symbols of each source, if its model copies and both sides are cut in one way.

        They are the extended vocabulary of See et al. (2017, section 2.2): behind all ids of a side stand the source's
        distinct unknown symbols in their order, and what is unknown of a target is one of these if it looks the same.
        """
        source, target = settings.source, settings.target
        whole = isinstance(target.tokeniser, config.Words | config.Symbols | config.Characters)
        alike = isinstance(source, config.TextSource) and type(source.tokeniser) is type(target.tokeniser)
        copied = settings.model.copy_source and whole and alike
        return replace(self, first_copied=self.target_size(settings) if copied else None)

    def settled(self, settings: config.Settings) -> Self:
        """The same with what the encoded data have decided since: how long a piece of a recording may be."""
        if not isinstance(self.source, SpeechCodec) or not isinstance(settings.source, config.SpeechSource):
            return self
        return replace(self, source=replace(self.source, settings=settings.source))

    def target_size(self, settings: config.Settings) -> int:
        """Target ids of the model. Where all embeddings are one, the source's features are among them, never said."""
        one = settings.joint_vocabulary and settings.model.one_table
        return self.text_source.size if one else self.target.size

    def save(self, folder: Path) -> None:
        self.source.save(folder, "source")
        self.target.save(folder, "target")

    @property
    def takes_features(self) -> bool:
        """Whether a source comes with a column of features."""
        return isinstance(self.source, TextCodec) and bool(self.source.features.symbols)

    @property
    def text_source(self) -> TextCodec:
        """The source's codec where it is one of text."""
        assert isinstance(self.source, TextCodec)
        return self.source

    @property
    def channels(self) -> int | None:
        """Numbers of a frame of the source; None where it is text."""
        return self.source.channels if isinstance(self.source, SpeechCodec) else None

    def sources(self, texts: Texts) -> list[Any]:
        """Each source as it is kept: ids ended by END, or frames that `finished` makes ready."""
        if isinstance(self.source, SpeechCodec):
            return self.source.encode(texts["source"])
        return self._source_block(texts).lists()

    def finished(self, kept: Any) -> Any:
        """A source as the model takes it."""
        return self.source.finished(kept) if isinstance(self.source, SpeechCodec) else kept

    def targets(self, texts: Texts) -> list[list[int]]:
        """Target ids, each ended by END. Without the sources nothing in them is copied."""
        return self._target_block(texts).lists()

    def text(self, ids: Sequence[int], source: str) -> str:
        """What the target ids of an answer to this source say."""
        return self.target.decode(ids, self.copied(source, first=self.first_copied))

    def copied(self, source: str, *, first: int | None) -> dict[int, str]:
        """The distinct unknown symbols of a source, numbered from `first`; none where they are not copied."""
        if self.first_copied is None or first is None:
            return {}
        return dict(enumerate(dict.fromkeys(self.text_source.unknown(source)), first))

    def columns(self, data: config.Data) -> dict[str, Column]:
        """Both sides as `data.prepare.encode` wants them."""
        copied = 0 if self.first_copied is None else data.longest_source
        last = max(self.target.size, self.first_copied or 0) + copied
        target = Column(self._target_block, data.longest_target, _dtype(last))
        if isinstance(self.source, SpeechCodec):
            # normalised frames are small numbers of three digits, which half precision holds
            dtype = np.float32 if self.source.settings.normalise == "none" else np.float16
            channels = (self.source.kept_channels,)
            source = Column(self._source_block, data.longest_source, dtype, channels, at_once=_RECORDINGS)
        else:
            source = Column(self._source_block, data.longest_source, _dtype(self.source.size + copied))
        return {"source": source, "target": target}

    def _source_block(self, texts: Texts) -> Ragged:
        if isinstance(self.source, SpeechCodec):
            return Ragged.of(self.source.encode(texts["source"]))
        ids = self.source.encode(texts["source"], texts.get("features"))
        if self.first_copied is not None:
            for row, source in enumerate(texts["source"]):
                _number(ids[row], self.source.unknown(source), self.copied(source, first=self.source.size))
        return ids.ended(END)

    def _target_block(self, texts: Texts) -> Ragged:
        ids = self.target.encode(texts["target"])
        if self.first_copied is not None and "source" in texts:
            for row, (source, target) in enumerate(zip(texts["source"], texts["target"], strict=True)):
                _number(ids[row], self.target.unknown(target), self.copied(source, first=self.first_copied))
        return ids.ended(END)

    def same_ids(self, other: Featuriser) -> bool:
        """Whether ids mean the same to both."""
        if isinstance(self.source, SpeechCodec) and isinstance(other.source, SpeechCodec):
            return self.source.same(other.source) and _same_ids(self.target, other.target)
        if isinstance(self.source, SpeechCodec) or isinstance(other.source, SpeechCodec):
            return False
        if self.first_copied != other.first_copied:
            return False
        return _same_ids(self.source, other.source) and _same_ids(self.target, other.target)

    def target_of_source(self) -> list[int]:
        """For each source id the target id that looks the same, or UNKNOWN; what the copy outlet points with.

        A feature is no text, so it has none, whatever it looks like.
        """
        source = self.text_source
        same = ids_in(self.target, source.pieces(range(source.tokeniser.size)))
        return same + [UNKNOWN] * (source.size - len(same))

    def digest(self) -> str:
        """What the ids depend on, for the cache: normalisation and the bytes of the vocabularies."""
        if isinstance(self.source, SpeechCodec):
            sides: tuple[object, ...] = (self.source.digest(), self.target.form, self.target.lowercase)
        else:
            sides = (self.source.form, self.source.lowercase, self.target.form, self.target.lowercase)
        if self.first_copied is not None:
            sides += (self.first_copied,)
        seal = hashlib.sha256(repr(sides).encode())
        with TemporaryDirectory() as folder:
            self.save(Path(folder))
            for path in sorted(Path(folder).iterdir()):
                seal.update(path.name.encode() + path.read_bytes())
        return seal.hexdigest()


def ids_in(codec: TextCodec, pieces: Sequence[str]) -> list[int]:
    """For each id of another codec, given by its piece, the id here that looks the same, or UNKNOWN."""
    id_of = {piece: number for number, piece in enumerate(codec.pieces(range(codec.size))) if number > END}
    return [number if number <= END else id_of.get(piece, UNKNOWN) for number, piece in enumerate(pieces)]


def _number(ids: NDArray[Any], symbols: Sequence[str], copied: Mapping[int, str]) -> None:
    """Write the numbers of copied symbols over the UNKNOWNs that stand for `symbols`: the last ones, after features."""
    if symbols and copied:
        number_of = {symbol: number for number, symbol in copied.items()}
        places = np.flatnonzero(ids == UNKNOWN)[-len(symbols) :]
        ids[places] = [number_of.get(symbol, UNKNOWN) for symbol in symbols]


def _dtype(size: int) -> type[np.uint16] | type[np.int32]:
    """The smallest that holds so many ids."""
    return np.uint16 if size <= 2**16 else np.int32


def _same_ids(left: TextCodec, right: TextCodec) -> bool:
    same = (left.size, left.form, left.lowercase) == (right.size, right.form, right.lowercase)
    return same and left.pieces(range(left.size)) == right.pieces(range(right.size))
