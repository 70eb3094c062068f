"""Raw values to features and back: the one place that knows every modality. So far there is one, text."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from seqsmith import config
from seqsmith.batch import END, UNKNOWN, Batch, Tokens, tokens
from seqsmith.data.plan import Plan
from seqsmith.data.prepare import Column, Encoded
from seqsmith.text.codec import TextCodec, open_codec

Texts = dict[str, list[str]]
"""Columns of texts by role: source, target, features."""


@dataclass(frozen=True)
class Featuriser:
    """Both sides of a model's data."""

    source: TextCodec
    target: TextCodec

    @classmethod
    def open(cls, folder: Path, settings: config.Settings) -> Self:
        """Read the vocabularies of a model folder."""
        separator = settings.data.features_separator
        return cls(
            open_codec(folder, "source", settings.source, separator),
            open_codec(folder, "target", settings.target, separator),
        )

    def save(self, folder: Path) -> None:
        self.source.save(folder, "source")
        self.target.save(folder, "target")

    def sources(self, texts: Texts) -> list[list[int]]:
        """Source ids, each ended by END."""
        return [[*ids, END] for ids in self.source.encode(texts["source"], texts.get("features"))]

    def targets(self, texts: Texts) -> list[list[int]]:
        """Target ids, each ended by END."""
        return [[*ids, END] for ids in self.target.encode(texts["target"])]

    def columns(self, data: config.Data) -> dict[str, Column]:
        """Both sides as `data.prepare.encode` wants them."""
        sides = (
            ("source", self.sources, data.longest_source, self.source.size),
            ("target", self.targets, data.longest_target, self.target.size),
        )
        return {
            name: Column(encoder, longest, np.uint16 if size <= 2**16 else np.int32)
            for name, encoder, longest, size in sides
        }

    def same_ids(self, other: Featuriser) -> bool:
        """Whether ids mean the same to both."""
        pairs = ((self.source, other.source), (self.target, other.target))
        return all(
            (a.size, a.form, a.lowercase) == (b.size, b.form, b.lowercase)
            and a.pieces(range(a.size)) == b.pieces(range(b.size))
            for a, b in pairs
        )

    def target_of_source(self) -> list[int]:
        """For each source id the target id that looks the same, or UNKNOWN; what the copy outlet points with.

        A feature is no text, so it has none, whatever it looks like.
        """
        pieces = self.target.pieces(range(self.target.size))
        id_of = {piece: number for number, piece in enumerate(pieces) if number > END}
        text = self.source.pieces(range(self.source.tokeniser.size))
        same = [number if number <= END else id_of.get(piece, UNKNOWN) for number, piece in enumerate(text)]
        return same + [UNKNOWN] * (self.source.size - len(same))

    def digest(self) -> str:
        """What the ids depend on, for the cache: normalisation and the bytes of the vocabularies."""
        sides = (self.source.form, self.source.lowercase, self.target.form, self.target.lowercase)
        seal = hashlib.sha256(repr(sides).encode())
        with TemporaryDirectory() as folder:
            self.save(Path(folder))
            for path in sorted(Path(folder).iterdir()):
                seal.update(path.name.encode() + path.read_bytes())
        return seal.hexdigest()


@dataclass(frozen=True)
class TrainingBatches:
    """The batches of one epoch over an encoded corpus, made when asked for.

    With subword regularisation each example is cut anew, by the seed (seed, epoch, example).
    """

    encoded: Encoded
    plan: Plan
    featuriser: Featuriser
    settings: config.Settings
    epoch: int

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, index: int) -> Batch:
        examples = self.plan[index]
        return Batch(
            self._side(examples, "source", self.settings.source),
            self._side(examples, "target", self.settings.target),
            torch.from_numpy(examples),
        )

    def _side(self, examples: NDArray[np.int64], side: str, settings: config.TextSource | config.TextTarget) -> Tokens:
        if not (isinstance(settings.tokeniser, config.Sentencepiece) and settings.tokeniser.sampling):
            column = self.encoded.source if side == "source" else self.encoded.target
            return tokens([column[example] for example in examples.tolist()])
        codec = self.featuriser.source if side == "source" else self.featuriser.target
        has_features = side == "source" and "features" in self.encoded.gathered.text
        return tokens(
            [
                [
                    *codec.encode_sampled(
                        self.encoded.text(example, side),
                        self.encoded.text(example, "features") if has_features else None,
                        _noise_seed(self.settings.seed, self.epoch, example, side),
                    ),
                    END,
                ]
                for example in examples.tolist()
            ]
        )


def _noise_seed(seed: int, epoch: int, example: int, side: str) -> int:
    digest = hashlib.blake2b(f"{seed}:{epoch}:{example}:{side}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")
