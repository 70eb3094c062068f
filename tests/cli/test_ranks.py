"""Several processes that train one model, started by torchrun as a user would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.unwatched  # the tensors are in other processes

ROOT = Path(__file__).parents[2]
SMALL = {
    "train.batch_tokens": 60,
    "train.accumulate": 3,
    "train.updates": 12,
    "train.validate_every": 6,
    "train.threads": 1,
    "train.precision": "fp32",
    "model.embedding": 16,
    **{
        f"model.{side}.{key}": value for side in ("encoder", "decoder") for key, value in (("width", 16), ("layers", 1))
    },
}


def table(folder: Path) -> Path:
    path = folder / "pairs.tsv"
    path.write_text("".join(f"{number:04d}\t{str(number)[::-1]} {number % 7}\n" for number in range(300)))
    return path


def start(processes: int, folder: Path, *words: str | Path, **settings: Any) -> subprocess.Popen[str]:
    torchrun = ("-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}")
    changes = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    return subprocess.Popen(
        [sys.executable, *(torchrun if processes > 1 else ()), "-m", "seqsmith", "train", *map(str, words), *changes],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT / "src"),
            "SEQSMITH_CACHE": str(folder / "c"),
            "OMP_NUM_THREADS": "1",
        },
        stderr=subprocess.PIPE,
        text=True,
    )


def run(processes: int, folder: Path, *words: str | Path, **settings: Any) -> str:
    """Train to the end; returns what was said."""
    process = start(processes, folder, *words, **settings)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


def events(out: Path, kind: str) -> list[dict[str, Any]]:
    lines = (json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines())
    return [event for event in lines if event["event"] == kind]


def weights(out: Path, update: int = 12) -> torch.Tensor:
    tensors = load_file(out / "checkpoints" / f"step-{update:08d}" / "weights.safetensors")
    return torch.cat([tensors[name].double().flatten() for name in sorted(tensors)])


@pytest.mark.parametrize("family", ["gru", "transformer"])
def test_what_is_learnt_does_not_depend_on_the_number_of_processes(tmp_path: Path, family: str) -> None:
    pairs = table(tmp_path)
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    for processes, out in ((1, alone), (2, shared)):  # of three batches the leader takes two
        said = run(processes, tmp_path, pairs, "--out", out, **SMALL, **{"model.family": family})
        assert said.count("The model is in") == 1
        assert events(out, "start")[0]["processes"] == processes
    losses, same = ([event["loss"] for event in events(out, "update")[-1:]] for out in (alone, shared))
    assert same == pytest.approx(losses, rel=1e-4)
    moved = (weights(alone) - weights(alone, 6)).norm()
    assert (weights(alone) - weights(shared)).norm() < 0.02 * moved  # sums are rounded in another order


def test_the_recipe_gives_every_process_a_batch_of_each_update(tmp_path: Path) -> None:
    pairs = table(tmp_path)
    said = run(2, tmp_path, pairs, "--out", tmp_path / "run", **{"train.updates": 2, "model.encoder.width": 16})
    assert "2 processes train together: train.accumulate = 2" in said
    config = (tmp_path / "run" / "config.toml").read_text()
    assert "accumulate = 2\n" in config
    assert "batch_tokens = 512\n" in config  # half of the 1,024 of an update


def test_a_signal_stops_all_and_all_go_on(tmp_path: Path) -> None:
    pairs = table(tmp_path)
    whole, halted = tmp_path / "whole", tmp_path / "halted"
    long = {**SMALL, "train.updates": 400, "train.validate_every": 50, "train.early_stop": 0}
    run(2, tmp_path, pairs, "--out", whole, **long)
    process = start(2, tmp_path, pairs, "--out", halted, **long)
    while not (halted / "journal.jsonl").exists() or not events(halted, "validation"):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert "Go on with" in said
    stopped = events(halted, "end")[-1]
    assert stopped["reason"] == "signal 2"
    assert stopped["update"] < 400
    run(2, tmp_path, "--resume", "--out", halted)
    assert torch.equal(weights(halted, 400), weights(whole, 400))


def test_what_is_wrong_is_told_once(tmp_path: Path) -> None:
    process = start(2, tmp_path, tmp_path / "missing.tsv", "--out", tmp_path / "run")
    _, said = process.communicate(timeout=120)
    assert process.returncode != 0
    assert said.count("missing.tsv: no such file") == 1
    assert not (tmp_path / "run").exists()
