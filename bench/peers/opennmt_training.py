"""How OpenNMT-py and Eole, which comes from it, are trained alike."""

from __future__ import annotations

from typing import Any

TRAINING: dict[str, Any] = {
    "save_checkpoint_steps": 100_000,
    "train_steps": 100_000,
    "valid_steps": 1_000_000,
    "num_workers": 0,
    "batch_size": 2048,
    "batch_type": "tokens",
    "normalization": "tokens",
    "bucket_size": 29_000,
    "adam_beta2": 0.98,
    "learning_rate": 0.0005,
    "max_grad_norm": 1.0,
    "label_smoothing": 0.1,
    "dropout": [0.1],
    "attention_dropout": [0.0],
}
