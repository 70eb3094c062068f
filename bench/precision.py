"""Whether bf16 learns as fp32 does: the loss along the same batches, for several seeds.

    SEQSMITH_DATA=... python bench/precision.py T R --updates 150 --seeds 1 2 3

Data, shapes and batches are those of training.py; the rate rises over the first 50 updates and stays. Seeds change the
weights, the noise and the order of batches; both precisions of a seed start from the same. The rows give the mean of
the training loss (nats a token, without smoothing) over each fifth of the updates. No time is measured, so that the
machine may be busy.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

import machine
import torch
from training import SHAPES, task_table

from seqsmith import config, native, runtime
from seqsmith.cli.text_task import open_text_task
from seqsmith.train.optimizer import new_optimizer

RATE, WARM = 0.001, 50
PARTS = 5


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="+", choices=SHAPES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--updates", type=int, default=150)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="append the rows to this file, a JSON object a line")
    options = parser.parse_args(arguments)
    runtime.use_large_pages()
    runtime.keep_memory()
    native.use()
    runtime.use_threads(options.threads)
    for shape in options.shapes:
        for seed in options.seeds:
            for precision in ("fp32", "bf16"):
                losses = curve(shape, seed, precision, options.updates)  # type: ignore[arg-type]  # one of the two
                each = -(-len(losses) // PARTS)
                row = {"shape": shape, "seed": seed, "precision": precision, "updates": options.updates}
                means = [round(mean(losses[start : start + each]), 3) for start in range(0, len(losses), each)]
                machine.keep({**row, "nats_per_token": means}, options, load=round(os.getloadavg()[0], 2))


def curve(shape: str, seed: int, precision: runtime.Precision, updates: int) -> list[float]:
    """Nats a token of each update."""
    with TemporaryDirectory() as folder:
        _, settings = task_table(shape, Path(folder))
        settings = config.merge(settings, {"seed": seed})
        task = open_text_task(settings, Path(folder), torch.device("cpu"), resume=False, say=lambda _: None)
        optimizer = new_optimizer(task.model, beta2=0.98, weight_decay=0.01)
        batches, losses = task.batches(0), []
        task.model.train()
        for update in range(updates):
            runtime.seed_batch(seed, update, 0)
            optimizer.zero_grad(set_to_none=True)
            with runtime.precision_context(precision, task.device):
                loss = task.loss(batches[update % len(batches)], 0.0)
            (loss.loss_nats / loss.count).backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(task.model.parameters(), 1.0)
            for group in optimizer.param_groups:
                group["lr"] = RATE * min(1.0, (update + 1) / WARM)
            optimizer.step()
            losses.append(float(loss.truth_nats) / loss.count)
        return losses


if __name__ == "__main__":
    main()
