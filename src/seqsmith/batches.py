"""The batches of training: examples of an encoded corpus become tensors, when they are asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from seqsmith import config
from seqsmith.batch import Batch, Frames, Tokens, frames, tokens
from seqsmith.data.plan import Plan
from seqsmith.data.prepare import Encoded
from seqsmith.featurise import Featuriser
from seqsmith.special import END
from seqsmith.speech.codec import SpeechCodec


@dataclass(frozen=True)
class TrainingBatches:
    """The batches of one epoch over an encoded corpus, made when asked for.

    With subword regularisation each example is cut anew, by the seed (seed, epoch, example); recordings are stretched
    and masked anew.
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
            self._source(examples),
            self._side(examples, "target", self.settings.target),
            torch.from_numpy(examples),
        )

    def _source(self, examples: NDArray[np.int64]) -> Tokens | Frames:
        codec = self.featuriser.source
        if not isinstance(codec, SpeechCodec):
            assert isinstance(self.settings.source, config.TextSource)
            return self._side(examples, "source", self.settings.source)
        seeds = (_noise_seed(self.settings.seed, self.epoch, example, "source") for example in examples.tolist())
        return frames(
            [
                codec.varied(self.encoded.text(example, "source"), self.encoded.source[example], seed)
                for example, seed in zip(examples.tolist(), seeds, strict=True)
            ]
        )

    def _side(self, examples: NDArray[np.int64], side: str, settings: config.TextSource | config.TextTarget) -> Tokens:
        if not (isinstance(settings.tokeniser, config.Sentencepiece) and settings.tokeniser.sampling):
            column = self.encoded.source if side == "source" else self.encoded.target
            return tokens([column[example] for example in examples.tolist()])
        codec = self.featuriser.text_source if side == "source" else self.featuriser.target
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
