"""Eole by its own command line; its trainer tells the meter of each batch."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from meter import Meter
from opennmt_training import TRAINING

METER = Meter("eole")
TRANSFORMER = {
    "architecture": "transformer",
    "layers": 3,
    "heads": 4,
    "hidden_size": 256,
    "transformer_ff": 1024,
    "embeddings": {"position_encoding_type": "SinusoidalInterleaved", "word_vec_size": 256},
    "share_embeddings": True,
    "share_decoder_embeddings": True,
}
RECURRENT = {
    "architecture": "rnn",
    "rnn_type": "LSTM",
    "layers": 1,
    "hidden_size": 512,
    "embeddings": {"word_vec_size": 256},
    "encoder": {"encoder_type": "brnn", "layers": 1, "hidden_size": 512, "src_word_vec_size": 256},
    "decoder": {
        "decoder_type": "rnn",
        "layers": 1,
        "hidden_size": 512,
        "global_attention": "general",
        "tgt_word_vec_size": 256,
    },
    "share_embeddings": True,
}


def settings() -> dict[str, Any]:
    recurrent = {**RECURRENT, "input_feed": int(METER.shape == "Rif")}
    return {
        "src_vocab": METER.data("vocabulary"),
        "tgt_vocab": METER.data("vocabulary"),
        "share_vocab": True,
        "overwrite": True,
        "data": {"corpus_1": {"path_src": METER.data("train.source"), "path_tgt": METER.data("train.target")}},
        "training": {
            "model_path": METER.work("model"),
            **TRAINING,
            "optim": "adamw",
            "world_size": 0,
            "gpu_ranks": [],
            "compute_dtype": "fp32",
        },
        "report_every": 100,
        "model": TRANSFORMER if METER.shape == "T" else recurrent,
    }


def main() -> None:
    from eole.trainer import Trainer

    accumulate = Trainer._accum_batches

    def counted(self: Any, batches: Any) -> Iterator[Any]:
        for group, *rest in accumulate(self, batches):
            for batch in group:
                target = batch["tgt"][:, 1:]
                METER.add((target != self.train_loss.padding_idx).sum(), target.numel())
            yield group, *rest

    Trainer._accum_batches = counted
    config = Path(METER.work("config.yaml"))
    config.write_text(json.dumps(settings()))  # JSON is YAML
    sys.argv = ["eole", "train", "-config", str(config)]
    runpy.run_module("eole.bin.main", run_name="__main__", alter_sys=True)


main()
