"""Small models, taught a little, and their folders: what engines are tried on."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch

import reversal
from seqsmith.bundle import Bundle
from seqsmith.engine.pytorch import TorchEngine
from seqsmith.engine.selfcheck import Pair, save_sample
from seqsmith.model_folder import SAMPLE, ModelFolder
from seqsmith.predictor import Predictor

CPU = torch.device("cpu")
SOURCES = [source for source, _ in reversal.pairs(20, longest=9)]


@cache
def taught(kind: str) -> Bundle:
    """A model that has begun to learn."""
    return reversal.bundle(kind, updates=40)


def folder_of(bundle: Bundle, path: Path, *, sample: bool = False) -> ModelFolder:
    """The model written, with a sample of dev if it is wanted."""
    predictor = Predictor(TorchEngine((bundle.model,), CPU), bundle.featuriser, bundle.settings)
    texts = [prediction.text for prediction in predictor.predict(SOURCES)]
    pairs = [Pair(source, source[::-1], text, None) for source, text in zip(SOURCES, texts, strict=True)]
    bundle.save(path, card="", beside=lambda place: save_sample(pairs if sample else [], place / SAMPLE))
    return ModelFolder.open(path)


def sides(encoder: dict[str, Any] | None = None, decoder: dict[str, Any] | None = None, **model: Any) -> dict[str, Any]:
    """Changes to a small model's table."""
    return {"encoder": encoder or {}, "decoder": decoder or encoder or {}, **model}
