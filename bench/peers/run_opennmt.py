"""OpenNMT-py by its own command line; its trainer tells the meter of each batch."""

from __future__ import annotations

import importlib.machinery
import json
import runpy
import sys
import types
from pathlib import Path
from typing import Any

from meter import Meter
from opennmt_training import TRAINING

METER = Meter("OpenNMT-py")
SHAPES: dict[str, dict[str, Any]] = {
    "T": {
        "encoder_type": "transformer",
        "decoder_type": "transformer",
        "enc_layers": 3,
        "dec_layers": 3,
        "heads": 4,
        "hidden_size": 256,
        "word_vec_size": 256,
        "transformer_ff": 1024,
        "position_encoding": True,
        "share_decoder_embeddings": True,
    },
    "R": {
        "encoder_type": "brnn",
        "decoder_type": "rnn",
        "rnn_type": "LSTM",
        "enc_layers": 1,
        "dec_layers": 1,
        "hidden_size": 512,
        "word_vec_size": 256,
        "global_attention": "general",
    },
}


def settings() -> dict[str, Any]:
    shape = SHAPES["T" if METER.shape == "T" else "R"]
    feeding = {} if METER.shape == "T" else {"input_feed": int(METER.shape == "Rif")}
    return {
        "save_data": METER.work("data"),
        "save_model": METER.work("model"),
        "src_vocab": METER.data("vocabulary"),
        "tgt_vocab": METER.data("vocabulary"),
        "share_vocab": True,
        "share_embeddings": True,
        "data": {"corpus_1": {"path_src": METER.data("train.source"), "path_tgt": METER.data("train.target")}},
        **TRAINING,
        "optim": "adam",
        **shape,
        **feeding,
    }


def main() -> None:
    for name in ("spacy", "fasttext"):
        empty = types.ModuleType(name)
        empty.__spec__ = importlib.machinery.ModuleSpec(name, None)
        sys.modules[name] = empty
    from onmt.trainer import Trainer

    accumulate = Trainer._gradient_accumulation

    def counted(self: Any, batches: Any, *args: Any, **kwargs: Any) -> Any:
        for batch in batches:
            target = batch["tgt"][:, 1:, 0]
            METER.add((target != self.train_loss.padding_idx).sum(), target.numel())
        return accumulate(self, batches, *args, **kwargs)

    Trainer._gradient_accumulation = counted
    config = Path(METER.work("config.yaml"))
    config.write_text(json.dumps(settings()))  # JSON is YAML
    sys.argv = ["onmt_train", "-config", str(config)]
    runpy.run_module("onmt.bin.train", run_name="__main__", alter_sys=True)


main()
