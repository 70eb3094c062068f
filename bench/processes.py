"""What it costs to share a training between processes: one process of two threads, and two of one thread each.

    SEQSMITH_DATA=... python bench/processes.py T R --updates 40 --rounds 2

Every run is `seqsmith train` on the data and shapes of training.py, the last one under torchrun. An update has 2,048
target tokens at the most: for one process in one batch and in two, for two processes in a batch each. Target tokens a
second are those of the run's journal from its first report to its last, so that making batches and summing gradients
are within the time. The cases take turns (A B C A B C); the best round of each counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import harmonic_mean
from tempfile import TemporaryDirectory
from typing import Any

import machine
from corpus import corpus, table
from training import SHAPES

from seqsmith import config

CASES = {"1 process, 1 batch": (1, 1), "1 process, 2 batches": (1, 2), "2 processes": (2, 2)}
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
TOKENS = 2_048  # of an update, with padding


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="+", choices=SHAPES)
    parser.add_argument("--updates", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=2)
    machine.add_options(parser)
    options = parser.parse_args(arguments)
    load = machine.load_or_exit(options, name="processes")
    with TemporaryDirectory() as folder:
        name, parts = corpus(Path(folder))
        parts["dev"] = _shortened(parts["dev"], Path(folder))
        for shape in options.shapes:
            best = dict.fromkeys(CASES, 0.0)
            for turn in range(options.rounds):
                for case, (processes, batches) in CASES.items():
                    settings = table(
                        parts,
                        SHAPES[shape],
                        batch_tokens=TOKENS // batches,
                        accumulate=batches,
                        updates=options.updates,
                        threads=2 // processes,
                        precision="fp32",
                    )
                    out = Path(folder) / f"{shape} {case} {turn}"
                    best[case] = max(best[case], tokens_per_second(settings, processes, out))
            for case, speed in best.items():
                row = {"shape": shape, "data": name, "case": case, "tokens_per_second": round(speed), "clock": "wall"}
                machine.keep({**row, "of_one": round(speed / best["1 process, 1 batch"], 2)}, options, load=load)


def _shortened(files: tuple[Path, Path], folder: Path) -> tuple[Path, Path]:
    """The first lines of parallel files: what comes after the last update is not measured."""
    source, target = (folder / f"few.{side}" for side in ("source", "target"))
    for path, few in zip(files, (source, target), strict=True):
        few.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:20]))
    return source, target


def tokens_per_second(settings: Mapping[str, Any], processes: int, out: Path) -> float:
    """Of one run, without its first updates."""
    file = out.with_suffix(".toml")
    file.write_text(config.dump(config.draft(settings, where="processes")), encoding="utf-8")
    words = [sys.executable, *(TORCHRUN if processes > 1 else ()), "-m", "seqsmith", "train", "--config", str(file)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(2 // processes)}
    subprocess.run([*words, "--out", str(out)], check=True, capture_output=True, env=environment)
    events = [json.loads(line) for line in (out / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    reports = [event for event in events if event["event"] == "update"]
    updates = [after["update"] - before["update"] for before, after in pairwise(reports)]
    return harmonic_mean([report["tokens_per_second"] for report in reports[1:]], weights=updates)


if __name__ == "__main__":
    main()
