"""How fast seqsmith trains, beside what the machine can multiply: target tokens a second for three shapes of model.

    SEQSMITH_DATA=... python bench/training.py T R Rif --threads 2 --precisions fp32 bf16 --rounds 3

Multi30k en-de, raw, or pairs made by corpus.py where SEQSMITH_DATA names no data; one sentencepiece BPE of 8,000 for
both sides, batches of 2,048 target tokens; the shapes are T, a Transformer of 3 + 3 layers, width 256, feed-forward
1,024; R, a bidirectional LSTM encoder (2 x 256) and an LSTM decoder of 512 with attention over the whole target,
embedding 256; Rif, the same with input feeding; C, R on single letters (words and their sounds, or dates), about 256
pairs to a batch. The data, model, batches, loss and optimizer are those of `seqsmith
train`. Each case runs in a process of its own, in turns (A B A B); the best round of each counts. A busy machine is
refused; with --anyway CPU seconds are counted in place of seconds on the clock, which is fair for one thread only. Rows
go to the file that --out names.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import machine
import torch
from corpus import corpus, letters, table
from torch import nn

from seqsmith import config, native, runtime
from seqsmith.batch import Batch, Tokens
from seqsmith.cli.text_task import TextTask, open_text_task
from seqsmith.train.optimizer import new_optimizer

WARM = 5  # updates that are not counted
RECURRENT = {
    "encoder": {"kind": "lstm", "layers": 1, "width": 512, "dropout": 0.1},
    "decoder": {"kind": "lstm", "layers": 1, "width": 512, "start": "copy", "attention": "general", "dropout": 0.1},
    "embedding": 256,
    "share_embeddings": "source",
}
TRANSFORMER = {"kind": "transformer", "layers": 3, "width": 256, "heads": 4, "feed_forward": 1024, "dropout": 0.1}
SHAPES: dict[str, dict[str, Any]] = {
    "T": {"encoder": TRANSFORMER, "decoder": TRANSFORMER, "share_embeddings": "all"},
    "R": RECURRENT,
    "Rif": config.merge(RECURRENT, {"decoder": {"input_feeding": True}}),
    "C": RECURRENT,
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="+", choices=SHAPES)
    parser.add_argument("--precisions", nargs="+", choices=("fp32", "bf16"), default=["fp32"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--updates", type=int, default=30)
    machine.add_options(parser)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)  # a case in its own process
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(measure(options.shapes[0], options.precisions[0], options)))
        return
    load = machine.load_or_exit(options, name="training")
    cases = [(shape, precision) for shape in options.shapes for precision in options.precisions]
    best: dict[tuple[str, str], dict[str, Any]] = {}
    for _ in range(options.rounds):
        for case in cases:
            row = in_a_process(*case, options)
            if case not in best or row["tokens_per_second"] > best[case]["tokens_per_second"]:
                best[case] = row
    for row in best.values():
        machine.keep({**row, "rounds": options.rounds}, options, load=load)


def in_a_process(shape: str, precision: str, options: argparse.Namespace) -> machine.Row:
    """One case, measured where nothing was before it."""
    words = [sys.executable, __file__, shape, "--one", "--precisions", precision]
    words += ["--threads", str(options.threads), "--updates", str(options.updates)]
    found = subprocess.run([*words, *["--anyway"] * options.anyway], check=True, capture_output=True, text=True)
    row: machine.Row = json.loads(found.stdout.splitlines()[-1])
    return row


def measure(shape: str, precision: runtime.Precision, options: argparse.Namespace) -> machine.Row:
    """One case: the updates of an epoch's first batches, after a few to warm up."""
    clock = machine.clock_of(options)
    runtime.use_large_pages()
    runtime.keep_memory()
    native.use()
    runtime.use_threads(options.threads)
    with TemporaryDirectory() as folder:
        name, task = new_task(shape, Path(folder))
        batches = task.batches(0)
        optimizer = new_optimizer(task.model, beta2=0.98, weight_decay=0.01)
        task.model.train()
        tokens, work, seconds = 0, 0.0, 0.0
        for index in range(WARM + options.updates):
            began = clock()
            batch = batches[index % len(batches)]
            assert batch.target is not None
            optimizer.zero_grad(set_to_none=True)
            with runtime.precision_context(precision, task.device):
                loss = task.loss(batch, 0.0)
            (loss.loss_nats / loss.count).backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(task.model.parameters(), 1.0)
            optimizer.step()
            if index >= WARM:
                seconds += clock() - began
                tokens += batch.target.count
                work += operations(task.model, batch)
        peak = machine.multiplications_per_second(precision, clock)
        return {
            "shape": shape,
            "data": name,
            "precision": precision,
            "threads": options.threads,
            "tokens_per_second": round(tokens / seconds),
            "gflops": round(work / seconds / 1e9, 1),
            "megaflop_per_token": round(work / tokens / 1e6, 2),
            "peak_gflops": round(peak / 1e9, 1),
            "share_of_peak": round(work / seconds / peak, 3),
            "padding": round(_padding(task), 4),
            "parameters": runtime.parameter_count(task.model),
            "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "clock": "CPU" if options.anyway else "wall",
        }


def task_table(shape: str, folder: Path) -> tuple[str, dict[str, Any]]:
    """The name of a shape's data, and all settings."""
    spaced = shape == "C"
    name, parts = letters(folder) if spaced else corpus(folder)
    return name, table(parts, SHAPES[shape], spaced=spaced)


def new_task(shape: str, folder: Path) -> tuple[str, TextTask]:
    """The name of the data, and the task that `seqsmith train` would work on."""
    name, settings = task_table(shape, folder)
    return name, open_text_task(settings, folder, torch.device("cpu"), resume=False, say=lambda _: None)


def operations(model: nn.Module, batch: Batch) -> float:
    """Floating-point operations of an update: two for each weight and real position that it meets, forward, and twice
    as many backward; attention as the products that it is. Padding and everything but products are not counted."""
    assert isinstance(batch.source, Tokens)
    assert isinstance(batch.target, Tokens)
    source, target = batch.source.count, batch.target.count
    weights = {"encoder": 0, "decoder": 0}
    for name, parameter in model.named_parameters():
        part = name.split(".")[0]
        if parameter.dim() == 2 and part in weights:
            weights[part] += parameter.numel()
    outlet = model.outlet.weight.numel()  # type: ignore[union-attr]
    products = 2.0 * (source * weights["encoder"] + target * (weights["decoder"] + outlet))
    S, T = batch.source.length_B.double(), batch.target.length_B.double()
    decoder = model.decoder
    if isinstance(getattr(decoder, "layers", None), nn.ModuleList):  # a Transformer: scores and mixtures of every layer
        layers, width = len(decoder.layers), model.target_inlet.width  # type: ignore[union-attr,arg-type]
        attended = float((S * S + T * T + S * T).sum()) * layers * width  # type: ignore[operator]
    else:
        attended = float((S * T).sum()) * decoder.output_width  # type: ignore[operator,union-attr]
    return 3 * (products + 4.0 * attended)


def _padding(task: TextTask) -> float:
    """Share of the target positions of an epoch that are padding."""
    batches = task.batches(0)
    targets = [batches[index].target for index in range(len(batches))]
    real = sum(target.count for target in targets if target is not None)
    return 1 - real / sum(target.id_BL.numel() for target in targets if target is not None)


if __name__ == "__main__":
    main()
