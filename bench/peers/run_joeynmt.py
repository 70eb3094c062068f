"""JoeyNMT by its own command line; its trainer tells the meter of each batch."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from meter import Meter

METER = Meter("joeynmt")
SPECIALS = ("<unk>", "<pad>", "<s>", "</s>")


def model() -> dict[str, Any]:
    if METER.shape == "T":
        embeddings = {"embedding_dim": 256, "scale": True, "dropout": 0.1}
        side = {"type": "transformer", "num_layers": 3, "num_heads": 4, "hidden_size": 256, "ff_size": 1024,
                "dropout": 0.1, "layer_norm": "pre", "embeddings": embeddings}  # fmt: skip
        return {"initializer": "xavier_uniform", "tied_embeddings": True, "tied_softmax": True,
                "encoder": side, "decoder": side}  # fmt: skip
    embeddings = {"embedding_dim": 256, "scale": False, "dropout": 0.1}
    cell = {"type": "recurrent", "rnn_type": "lstm", "num_layers": 1, "embeddings": embeddings, "dropout": 0.1}
    return {
        "initializer": "xavier_uniform",
        "encoder": {**cell, "hidden_size": 256, "bidirectional": True},
        "decoder": {
            **cell,
            "hidden_size": 512,
            "hidden_dropout": 0.1,
            "attention": "luong",
            "init_hidden": "bridge",
            "input_feeding": METER.shape == "Rif",
        },
    }


def settings() -> dict[str, Any]:
    side = {"level": "word", "max_length": 256, "voc_file": METER.work("vocabulary.txt")}
    return {
        "name": "bench",
        "joeynmt_version": "2.3.0",
        "model_dir": METER.work("model"),
        "use_cuda": False,
        "fp16": False,
        "random_seed": 1,
        "data": {
            "train": METER.data("train"),
            "dev": METER.work("dev"),
            "dataset_type": "plain",
            "src": {**side, "lang": "source"},
            "trg": {**side, "lang": "target"},
        },
        "training": {
            "optimizer": "adamw",
            "adam_betas": [0.9, 0.98],
            "learning_rate": 0.0005,
            "scheduling": "warmupinversesquareroot",
            "clip_grad_norm": 1.0,
            "label_smoothing": 0.1,
            "normalization": "tokens",
            "batch_size": 2048,
            "batch_type": "token",
            "epochs": 20,
            "validation_freq": 100_000,
            "logging_freq": 100,
        },
        "testing": {"batch_size": 2048, "batch_type": "token", "eval_metrics": ["bleu"], "beam_size": 1},
        "model": model(),
    }


def main() -> None:
    from joeynmt.__main__ import main as command
    from joeynmt.training import TrainManager

    step = TrainManager._train_step

    def counted(self: Any, batch: Any) -> Any:
        METER.add(batch.ntokens, batch.trg.numel())
        return step(self, batch)

    TrainManager._train_step = counted
    words = [line.split("\t")[0] for line in Path(METER.data("vocabulary")).read_text().splitlines()]
    Path(METER.work("vocabulary.txt")).write_text("".join(f"{word}\n" for word in (*SPECIALS, *words)))
    for side in ("source", "target"):  # it wants a dev set, and is stopped before it looks at it
        lines = Path(METER.data(f"train.{side}")).read_text().splitlines(keepends=True)
        Path(METER.work(f"dev.{side}")).write_text("".join(lines[:100]))
    config = Path(METER.work("config.yaml"))
    config.write_text(json.dumps(settings()))  # JSON is YAML
    sys.argv = ["joeynmt", "train", str(config), "--skip-test"]
    command()


main()
