"""The batches of training: examples of an encoded corpus become tensors, when they are asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from seqsmith import config
from seqsmith.batch import Batch, Frames, frames, tokens
from seqsmith.data.plan import Lengths, Plan, deal_anew
from seqsmith.data.prepare import Encoded
from seqsmith.featurise import Featuriser
from seqsmith.special import END
from seqsmith.speech.codec import SpeechCodec

_DEALT_TOKENS = 2**19  # of the batches whose examples are dealt anew; some ten thousands of sentences


@dataclass(frozen=True)
class TrainingBatches:
    """The batches of one epoch over an encoded corpus, made when asked for.

    With subword regularisation each example is cut anew, by the seed (seed, epoch, example). Its length is then not the
    one that was planned with, so batches in a row deal their examples among themselves anew; as planned, a quarter of
    their positions would be padding. Recordings are stretched and masked anew, as long as `planned_lengths` says.
    """

    encoded: Encoded
    plan: Plan
    featuriser: Featuriser
    settings: config.Settings
    epoch: int
    _dealt: dict[int, list[Batch]] = field(default_factory=dict, init=False, repr=False)  # the last that were

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, index: int) -> Batch:
        source, target = self.settings.source, self.settings.target
        if isinstance(source, config.TextSource) and (_cut_anew(source) or _cut_anew(target)):
            assert self.settings.train.batch_tokens is not None
            together = max(1, _DEALT_TOKENS // self.settings.train.batch_tokens)
            first = index - index % together
            if first not in self._dealt:
                self._dealt.clear()
                self._dealt[first] = self._deal(slice(first, first + together))
            return self._dealt[first][index - first]
        examples = self.plan[index]
        codec = self.featuriser.source
        return Batch(
            self._frames(codec, examples) if isinstance(codec, SpeechCodec) else tokens(self._ids(examples, "source")),
            tokens(self._ids(examples, "target")),
            torch.from_numpy(examples),
        )

    def _deal(self, batches: slice) -> list[Batch]:
        numbers = range(len(self))[batches]
        examples = np.concatenate([self.plan[number] for number in numbers])
        source, target = self._ids(examples, "source"), self._ids(examples, "target")
        places = deal_anew(
            np.array([len(ids) for ids in source]),
            np.array([len(ids) for ids in target]),
            start=self.plan.start[batches],
            end=self.plan.end[batches],
        )
        return [
            Batch(
                tokens([source[at] for at in place]),
                tokens([target[at] for at in place]),
                torch.from_numpy(examples[place]),
            )
            for place in places
        ]

    def _frames(self, codec: SpeechCodec, examples: NDArray[np.int64]) -> Frames:
        seeds = (_noise_seed(self.settings.seed, self.epoch, example, "source") for example in examples.tolist())
        return frames(
            [
                codec.varied(self.encoded.text(example, "source"), self.encoded.source[example], seed)
                for example, seed in zip(examples.tolist(), seeds, strict=True)
            ]
        )

    def _ids(self, examples: NDArray[np.int64], side: Literal["source", "target"]) -> list[Any]:
        """The ids of one side of each example, ended by END."""
        if not _cut_anew(self.settings.source if side == "source" else self.settings.target):
            column = self.encoded.source if side == "source" else self.encoded.target
            return [column[example] for example in examples.tolist()]
        codec = self.featuriser.text_source if side == "source" else self.featuriser.target
        has_features = side == "source" and "features" in self.encoded.gathered.text
        return [
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


def planned_lengths(
    encoded: Encoded, featuriser: Featuriser, settings: config.Settings, epoch: int
) -> tuple[Lengths, Lengths]:
    """How long each source and target will be in this epoch; of what is cut anew, how long it is as it is kept."""
    source, codec = encoded.source.lengths, featuriser.source
    if isinstance(codec, SpeechCodec) and (codec.settings.augment.tempo or codec.settings.augment.speeds):
        seeds = (_noise_seed(settings.seed, epoch, example, "source") for example in range(len(source)))
        source = np.fromiter(map(codec.varied_length, source.tolist(), seeds), np.int64, len(source))
    return source, encoded.target.lengths


def _cut_anew(side: object) -> bool:
    """Whether this is a side of texts that are cut in another way each time."""
    if not isinstance(side, config.TextSource | config.TextTarget):
        return False
    return isinstance(side.tokeniser, config.Sentencepiece) and side.tokeniser.sampling > 0


def _noise_seed(seed: int, epoch: int, example: int, side: str) -> int:
    digest = hashlib.blake2b(f"{seed}:{epoch}:{example}:{side}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")
