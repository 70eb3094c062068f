"""Yoyodyne by its own command line; its models tell the meter of each batch."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from meter import Meter

METER = Meter("yoyodyne")


def model() -> dict[str, Any]:
    modules = "yoyodyne.models.modules"
    both = {
        "decoder_dropout": 0.1,
        "embedding_size": 256,
        "label_smoothing": 0.1,
        "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.0005}},
    }
    if METER.shape == "T":
        encoder = {"dropout": 0.1, "embedding_size": 256, "hidden_size": 1024, "layers": 3, "attention_heads": 4}
        own = {"decoder_hidden_size": 1024, "decoder_layers": 3, "decoder_attention_heads": 4}
        names = "yoyodyne.models.TransformerModel", f"{modules}.TransformerEncoder"
    else:
        encoder = {"dropout": 0.1, "embedding_size": 256, "hidden_size": 256, "layers": 1, "bidirectional": True}
        own = {"decoder_hidden_size": 512, "decoder_layers": 1}
        names = "yoyodyne.models.SoftAttentionLSTMModel", f"{modules}.LSTMEncoder"
    source_encoder = {"class_path": names[1], "init_args": encoder}
    return {"class_path": names[0], "init_args": {"source_encoder": source_encoder, **both, **own}}


def main() -> None:
    from yoyodyne.cli.main import main as command
    from yoyodyne.models.base import BaseModel

    step = BaseModel.training_step

    def counted(self: Any, batch: Any, *args: Any, **kwargs: Any) -> Any:
        METER.add((~batch.target.mask).sum(), batch.target.tensor.numel())
        return step(self, batch, *args, **kwargs)

    BaseModel.training_step = counted
    pairs = Path(METER.work("train.tsv"))
    sides = (Path(METER.data(f"train.{side}")).read_text().splitlines() for side in ("source", "target"))
    pairs.write_text("".join(f"{source}\t{target}\n" for source, target in zip(*sides, strict=True)))
    settings = {
        "seed_everything": 1,
        "trainer": {
            "accelerator": "cpu",
            "max_epochs": 5,
            "gradient_clip_val": 1.0,
            "logger": False,
            "enable_progress_bar": False,
            "num_sanity_val_steps": 0,
            "default_root_dir": METER.work("output"),
        },
        "model": model(),
        "data": {
            "train": str(pairs),
            "val": str(pairs),
            "model_dir": METER.work("model"),
            "source_sep": " ",
            "target_sep": " ",
            "batch_size": METER.spec["sentences"],
            "max_source_length": 256,
            "max_target_length": 256,
        },
    }
    config = Path(METER.work("config.yaml"))
    config.write_text(json.dumps(settings))  # JSON is YAML
    sys.argv = ["yoyodyne", "fit", "--config", str(config)]
    command()


main()
