"""Several processes that train one model, started by torchrun as a user would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import pytest
import torch
from safetensors.torch import load_file

from seqsmith.demo.shops import write_demo
from seqsmith.train.checkpoint import place_of

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


def start(
    processes: int, folder: Path, *words: str | Path, stdin: IO[str] | None = None, **settings: Any
) -> subprocess.Popen[str]:
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
        stdin=stdin,
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
    tensors = load_file(place_of(out / "checkpoints", update) / "weights.safetensors")
    return torch.cat([tensors[name].double().flatten() for name in sorted(tensors)])


@pytest.mark.parametrize("family", ["gru", "transformer"])
def test_what_is_learnt_does_not_depend_on_the_number_of_processes(tmp_path: Path, family: str) -> None:
    pairs = table(tmp_path)
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    for processes, out in ((1, alone), (2, shared)):  # of three batches the leader takes two
        said = run(processes, tmp_path, pairs, "--out", out, **SMALL, **{"model.family": family})
        assert said.count("The model is in") == 1
        assert events(out, "start")[0]["processes"] == processes
    losses, same = ([event["dev_nats_per_token"] for event in events(out, "validation")] for out in (alone, shared))
    assert len(losses) == 2
    assert same == pytest.approx(losses, rel=1e-4)
    moved = (weights(alone) - weights(alone, 6)).norm()
    assert (weights(alone) - weights(shared)).norm() < 0.02 * moved  # sums are rounded in another order


def test_forecasts_are_learnt_together_too(tmp_path: Path) -> None:
    history, _ = write_demo(tmp_path, days=60)
    settings = {"train.updates": 12, "train.validate_every": 6, "train.accumulate": 2, "train.threads": 1}
    for processes in (1, 2):
        run(
            processes, tmp_path, history, "--out", tmp_path / f"{processes}", **settings, **{"series.batch_windows": 64}
        )
    alone, shared = (events(tmp_path / f"{processes}", "validation")[-1]["value"] for processes in (1, 2))
    assert shared == pytest.approx(alone, rel=1e-4)


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
    assert process.stderr is not None
    assert any(line.startswith("update      50 ") for line in process.stderr)  # a validation
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert "Go on with" in said
    stopped = events(halted, "end")[-1]
    assert stopped["reason"] == "signal 2"
    assert stopped["update"] < 400
    run(2, tmp_path, "--resume", "--out", halted)
    assert torch.equal(weights(halted, 400), weights(whole, 400))


def refused(folder: Path, *words: str | Path, stdin: IO[str] | None = None, **settings: Any) -> str:
    """What is said by two processes that cannot begin."""
    process = start(2, folder, *words, "--out", folder / "run", stdin=stdin, **settings)
    _, said = process.communicate(timeout=120)
    assert process.returncode != 0
    assert not (folder / "run").exists()
    return said


def test_what_is_wrong_is_told_once(tmp_path: Path) -> None:
    said = refused(tmp_path, tmp_path / "missing.tsv")
    assert said.count("missing.tsv: no such file") == 1
    assert "lost the others" not in said


def test_an_update_has_a_batch_for_every_process(tmp_path: Path) -> None:
    said = refused(tmp_path, table(tmp_path), **{"train.accumulate": 1})
    assert said.count("train.accumulate: found 1 for 2 processes; expected a batch of each update for every") == 1


def test_processes_with_other_data_do_not_train_together(tmp_path: Path) -> None:
    script = tmp_path / "other.py"
    script.write_text(
        "from seqsmith.cli.train import _check_same_data\n"
        "from seqsmith.errors import UserError\n"
        "from seqsmith.train.ranks import joined\n"
        "with joined() as rank:\n"
        "    _check_same_data('0' * 64, rank)\n"
        "    try:\n"
        "        _check_same_data(f'{rank.number:064d}'[::-1], rank)\n"
        "    except UserError as error:\n"
        "        print(error)\n"
    )
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "process 1 found other data than process 0. Give every process the same files, unchanged."
    ]


def test_what_can_be_read_only_once_is_refused(tmp_path: Path) -> None:
    with table(tmp_path).open() as pairs:
        said = refused(tmp_path, "-", stdin=pairs, **SMALL)
    assert said.count("-: every process reads the data, and this can be read only once") == 1


def test_a_process_of_several_ends_whatever_threads_are_left() -> None:
    """A thread that asks for an interpreter that is ending would abort it (gloo's did, once in many runs)."""
    script = (
        "import atexit, sys\n"
        "from seqsmith import runtime\n"
        "atexit.register(print, 'the interpreter ended')\n"
        "print('all was said')\n"
        "runtime.leave(3)\n"
    )
    for processes, said in (("1", "all was said\nthe interpreter ended\n"), ("2", "all was said\n")):
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "RANK": "0", "WORLD_SIZE": processes}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stdout) == (3, said), done.stderr
