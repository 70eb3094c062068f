"""Digits and their reversal, the smallest task that needs attention: pairs, settings and small models."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from seqsmith import config
from seqsmith.batch import Batch, tokens
from seqsmith.bundle import Bundle, new_model
from seqsmith.featurise import Featuriser
from seqsmith.model.seq2seq import Seq2Seq
from seqsmith.objective.teacher import teacher_forced
from seqsmith.text.codec import train_codec

Pair = tuple[str, str]
DIGITS = "0123456789"


def pairs(count: int, *, seed: int = 1, shortest: int = 1, longest: int = 5) -> list[Pair]:
    """Digits, and the same digits from last to first."""
    chance = random.Random(seed)
    sources = ["".join(chance.choices(DIGITS, k=chance.randint(shortest, longest))) for _ in range(count)]
    return [(source, source[::-1]) for source in sources]


def write(path: Path, rows: Sequence[Sequence[str]]) -> str:
    """A file of tab-separated columns; returns its name, as settings want it."""
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def side(kind: str, *, width: int, **changes: Any) -> dict[str, Any]:
    """The table of a small encoder or decoder."""
    transformer = {"layers": 1, "heads": 2, "feed_forward": 2 * width} if kind == "transformer" else {}
    return {"kind": kind, "width": width, "dropout": 0.0, **transformer, **changes}


def model(kind: str = "lstm", *, width: int = 16, **changes: Any) -> dict[str, Any]:
    """The table of a small model."""
    table = {"encoder": side(kind, width=width), "decoder": side(kind, width=width), "embedding": width}
    return config.merge({**table, "share_embeddings": "target"}, changes)


def settings(kind: str = "lstm", **changes: Any) -> config.Settings:
    """Settings in which nothing is open that a model in use needs."""
    table = {
        "source": {"tokeniser": "characters"},
        "target": {"tokeniser": "characters"},
        "joint_vocabulary": False,
        "model": model(kind),
        "search": {"beam": 3, "longest_ratio": 2.0},
    }
    return config.build(config.merge(table, changes), where="test")


def bundle(
    kind: str = "lstm", *, seed: int = 1, digits: str = DIGITS, features: str = "", updates: int = 0, **changes: Any
) -> Bundle:
    """A model after some updates on a hundred pairs. `features` are letters; under the last nothing is reversed."""
    chosen = settings(kind, **changes)
    featuriser = Featuriser(
        train_codec(list(digits), chosen.source, features=list(features)), train_codec(list(digits), chosen.target)
    ).copying(chosen)
    torch.manual_seed(seed)
    model = new_model(chosen, featuriser)
    if updates:
        _teach(model, _lesson(featuriser, features), updates)
    return Bundle(chosen, featuriser, model.eval())


def _lesson(featuriser: Featuriser, features: str) -> Batch:
    rows = pairs(100)
    letters = [features[row % len(features)] if features else "" for row in range(len(rows))]
    sources = [source for source, _ in rows]
    targets = [source if letter and letter == features[-1] else target
               for (source, target), letter in zip(rows, letters, strict=True)]  # fmt: skip
    return Batch(
        tokens(featuriser.sources({"source": sources, **({"features": letters} if features else {})})),
        tokens(featuriser.targets({"target": targets})),
        torch.arange(len(rows)),
    )


def _teach(model: Seq2Seq, batch: Batch, updates: int) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(updates):
        optimizer.zero_grad()
        loss = teacher_forced(model, batch, smoothing=0.0)
        (loss.loss_nats / loss.count).backward()
        optimizer.step()
