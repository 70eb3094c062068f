"""Several processes that train one model, started by torchrun as a user would, or forked where that proves as much.

To start processes and to import torch takes far longer than what they do here. So forks do, in one go, all but what
torchrun has a part in, and the process alone that they are held against is that of the tests.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from seqsmith.demo.shops import write_demo
from seqsmith.train.checkpoint import place_of
from terminal import SOURCE, Seqsmith

TESTS = Path(__file__).parents[1]
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
LONG = {**SMALL, "train.updates": 100, "train.validate_every": 20, "train.early_stop": 0}
RECIPE = {"train.updates": 2, "model.encoder.width": 16, "model.decoder.width": 16}
SERIES = {
    "train.updates": 12,
    "train.validate_every": 6,
    "train.accumulate": 2,
    "train.threads": 1,
    "series.batch_windows": 64,
}
OTHER_DATA = """
from seqsmith.cli.train import _check_same_data
from seqsmith.errors import UserError
from seqsmith.train.ranks import joined
with joined() as rank:
    _check_same_data("0" * 64, rank)
    try:
        _check_same_data(f"{rank.number:064d}"[::-1], rank)
    except UserError as error:
        print(error)
"""


def table(folder: Path) -> Path:
    path = folder / "pairs.tsv"
    path.write_text("".join(f"{number:04d}\t{str(number)[::-1]} {number % 7}\n" for number in range(300)))
    return path


def train(*words: str | Path, **settings: Any) -> list[str]:
    """The words of a command."""
    changes = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    return ["train", *map(str, words), *changes]


def environment(cache: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(SOURCE), "SEQSMITH_CACHE": str(cache), "OMP_NUM_THREADS": "1"}


def start(folder: Path, *words: str | Path, **settings: Any) -> subprocess.Popen[str]:
    """Two processes, by torchrun."""
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    return subprocess.Popen(
        [sys.executable, *torchrun, "-m", "seqsmith", *train(*words, **settings)],
        env=environment(folder / "c"),
        stderr=subprocess.PIPE,
        text=True,
    )


@dataclass(frozen=True)
class Pair:
    """How two processes ended, and what they said together."""

    codes: list[int]
    said: str


@dataclass(frozen=True)
class Forks:
    """What pairs of forked processes did, and where their runs are."""

    folder: Path
    pairs: dict[str, Pair]

    def finished(self, name: str) -> Path:
        """A run that went to its end."""
        assert self.pairs[name].codes == [0, 0], self.pairs[name].said
        return self.folder / name

    def refused(self, name: str) -> str:
        """What is said by two processes that cannot begin."""
        assert self.pairs[name].codes == [2, 2], self.pairs[name].said
        assert not (self.folder / name).exists()
        return self.pairs[name].said


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Forks:
    folder = tmp_path_factory.mktemp("forks")
    (folder / "said").mkdir()
    pairs, (history, _) = table(folder), write_demo(folder, days=60)
    runs: dict[str, tuple[str | Path, dict[str, Any]]] = {
        "gru": (pairs, {**SMALL, "model.family": "gru"}),
        "transformer": (pairs, {**SMALL, "model.family": "transformer"}),
        "forecasts": (history, SERIES),
        "recipe": (pairs, RECIPE),
        "long": (pairs, LONG),
        "one batch": (pairs, {**SMALL, "train.accumulate": 1}),
        "read once": ("-", SMALL),
    }
    commands = {name: train(path, "--out", folder / name, **settings) for name, (path, settings) in runs.items()}
    commands["other data"] = ["-c", OTHER_DATA]
    with pairs.open() as stdin:
        done = subprocess.run(
            [sys.executable, TESTS / "forked.py", folder / "said", json.dumps(list(commands.values()))],
            env=environment(folder / "c"),
            stdin=stdin,
            capture_output=True,
            text=True,
            timeout=280,
        )
    assert done.returncode == 0, done.stderr
    codes = map(json.loads, done.stdout.splitlines())
    said = ((folder / "said" / str(number)).read_text() for number in range(len(commands)))
    return Forks(folder, {name: Pair(*ended) for name, *ended in zip(commands, codes, said, strict=True)})


def events(out: Path, kind: str) -> list[dict[str, Any]]:
    lines = (json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines())
    return [event for event in lines if event["event"] == kind]


def weights(out: Path, update: int = 12) -> torch.Tensor:
    tensors = load_file(place_of(out / "checkpoints", update) / "weights.safetensors")
    return torch.cat([tensors[name].double().flatten() for name in sorted(tensors)])


@pytest.mark.parametrize("family", ["gru", "transformer"])
def test_what_is_learnt_does_not_depend_on_the_number_of_processes(
    seqsmith: Seqsmith, forks: Forks, family: str
) -> None:
    alone, shared = Path("alone"), forks.finished(family)  # of three batches the leader takes two
    answer = seqsmith(*train(table(Path()), "--out", alone, **SMALL, **{"model.family": family}))
    assert answer.code == 0, answer.err
    for processes, out, said in ((1, alone, answer.err), (2, shared, forks.pairs[family].said)):
        assert said.count("The model is in") == 1
        assert events(out, "start")[0]["processes"] == processes
    losses, same = ([event["dev_nats_per_token"] for event in events(out, "validation")] for out in (alone, shared))
    assert len(losses) == 2
    assert same == pytest.approx(losses, rel=1e-4)
    moved = (weights(alone) - weights(alone, 6)).norm()
    assert (weights(alone) - weights(shared)).norm() < 0.02 * moved  # sums are rounded in another order


def test_forecasts_are_learnt_together_too(seqsmith: Seqsmith, forks: Forks) -> None:
    out, shared = Path("alone"), forks.finished("forecasts")
    answer = seqsmith(*train(forks.folder / "history.csv", "--out", out, **SERIES))
    assert answer.code == 0, answer.err
    alone, together = (events(run, "validation")[-1]["value"] for run in (out, shared))
    assert together == pytest.approx(alone, rel=1e-4)


def test_the_recipe_gives_every_process_a_batch_of_each_update(forks: Forks) -> None:
    config = (forks.finished("recipe") / "config.toml").read_text()
    assert "2 processes train together: train.accumulate = 2" in forks.pairs["recipe"].said
    assert "accumulate = 2\n" in config
    assert "batch_tokens = 512\n" in config  # half of the 1,024 of an update


def test_a_signal_stops_all_and_all_go_on(tmp_path: Path, forks: Forks) -> None:
    halted = tmp_path / "halted"
    process = start(tmp_path, forks.folder / "pairs.tsv", "--out", halted, **LONG)
    assert process.stderr is not None
    assert any(line.startswith("update      20 ") for line in process.stderr)  # a validation
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert "Go on with" in said
    stopped = events(halted, "end")[-1]
    assert stopped["reason"] == "signal 2"
    assert 20 <= stopped["update"] < 100
    process = start(tmp_path, "--resume", "--out", halted)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert torch.equal(weights(halted, 100), weights(forks.finished("long"), 100))


def test_what_is_wrong_is_told_once(tmp_path: Path) -> None:
    process = start(tmp_path, tmp_path / "missing.tsv", "--out", tmp_path / "run")
    _, said = process.communicate(timeout=120)
    assert process.returncode != 0
    assert not (tmp_path / "run").exists()
    assert said.count("missing.tsv: no such file") == 1
    assert "lost the others" not in said


def test_an_update_has_a_batch_for_every_process(forks: Forks) -> None:
    said = forks.refused("one batch")
    assert said.count("train.accumulate: found 1 for 2 processes; expected a batch of each update for every") == 1


def test_processes_with_other_data_do_not_train_together(forks: Forks) -> None:
    pair = forks.pairs["other data"]
    assert pair.codes == [0, 0], pair.said
    assert pair.said.splitlines() == [
        "process 1 found other data than process 0. Give every process the same files, unchanged."
    ]


def test_what_can_be_read_only_once_is_refused(forks: Forks) -> None:
    said = forks.refused("read once")
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
        environment = {**os.environ, "PYTHONPATH": str(SOURCE), "RANK": "0", "WORLD_SIZE": processes}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stdout) == (3, said), done.stderr
