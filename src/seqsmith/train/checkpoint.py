"""Checkpoints: all that a run needs to go on, in folders that appear whole or not at all.

State is tensors and JSON, never code. A damaged checkpoint is found by its manifest and set aside.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from seqsmith.folder import check_folder, write_folder
from seqsmith.tensors import read_tensors, save_tensors


@dataclass
class Progress:
    """Where a run stands: with the data's digest and the settings, all that decides what comes next."""

    update: int = 0
    epoch: int = 0
    batch: int = 0  # of the epoch, the next one to be computed
    best: list[tuple[tuple[float, float], int]] = field(default_factory=list)  # (score, update), best first
    stale: int = 0  # validations since the best one
    shrinks: int = 0  # of a plateau schedule
    since_shrink: int = 0
    seconds: float = 0.0
    skipped: int = 0  # updates that were left out because their gradient was not finite
    skipped_in_a_row: int = 0
    unvalidated: bool = False  # stopped in the validation of this update, which is yet to be done


@dataclass(frozen=True)
class Checkpoint:
    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    average: dict[str, Tensor]  # of the moving average, empty without
    progress: Progress
    data_digest: str


def place_of(folder: Path, update: int) -> Path:
    """Where the checkpoint of this update is, or would be."""
    return folder / f"step-{update:08d}"


def updates_in(folder: Path) -> list[int]:
    """The updates whose checkpoints are there, oldest first."""
    found = (path.name.removeprefix("step-") for path in folder.glob("step-*"))
    return sorted(int(update) for update in found if update.isdigit())


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write it whole to its place in the folder."""

    def fill(temporary: Path) -> None:
        save_tensors(checkpoint.weights, temporary / "weights.safetensors")
        save_tensors(checkpoint.optimizer, temporary / "optimizer.safetensors")
        if checkpoint.average:
            save_tensors(checkpoint.average, temporary / "average.safetensors")
        state = {"progress": asdict(checkpoint.progress), "data_digest": checkpoint.data_digest}
        (temporary / "state.json").write_text(json.dumps(state, indent=1) + "\n")

    write_folder(place_of(folder, checkpoint.progress.update), fill)


def load_checkpoint(folder: Path) -> Checkpoint:
    state = json.loads((folder / "state.json").read_text())
    progress = Progress(**state["progress"])
    progress.best = [((score[0], score[1]), update) for score, update in progress.best]
    average = folder / "average.safetensors"
    return Checkpoint(
        weights=read_tensors(folder / "weights.safetensors"),
        optimizer=read_tensors(folder / "optimizer.safetensors"),
        average=read_tensors(average) if average.exists() else {},
        progress=progress,
        data_digest=state["data_digest"],
    )


def latest_checkpoint(folder: Path, tell: Callable[[str], None]) -> Checkpoint | None:
    """The newest whole checkpoint. A damaged one is renamed out of the way, loudly, and the one before is taken."""
    for update in reversed(updates_in(folder)):
        path = place_of(folder, update)
        wrong = check_folder(path)
        if wrong is None:
            return load_checkpoint(path)
        aside = path.with_name(f".corrupt-{path.name}-{os.getpid()}")
        path.rename(aside)
        tell(f"{path}: {wrong}; set aside as {aside.name}, going on from the checkpoint before it.")
    return None


def prune(folder: Path, *, keep: Collection[int]) -> None:
    """Delete the checkpoints of other updates, all but the newest two: should the newest be damaged, the one before it
    takes its place. Failing to delete is no reason to stop a run."""
    for update in updates_in(folder)[:-2]:
        if update not in keep:
            shutil.rmtree(place_of(folder, update), ignore_errors=True)


def average_weights(folder: Path, updates: list[int]) -> dict[str, Tensor]:
    """The mean of the evaluated weights of several checkpoints (Vaswani et al. 2017, section 6.1)."""
    total: dict[str, Tensor] = {}
    for update in updates:
        for name, tensor in evaluated_weights(folder, update).items():
            exact = tensor.double() if tensor.is_floating_point() else tensor
            total[name] = total[name] + exact if name in total and tensor.is_floating_point() else exact
    return {
        name: (tensor / len(updates)).float() if tensor.dtype == torch.float64 else tensor
        for name, tensor in total.items()
    }


def evaluated_weights(folder: Path, update: int) -> dict[str, Tensor]:
    """The weights that were scored: the moving average's where there is one."""
    place = place_of(folder, update)
    average = place / "average.safetensors"
    return {**read_tensors(place / "weights.safetensors"), **(read_tensors(average) if average.exists() else {})}
