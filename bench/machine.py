"""The machine that is measured: whether it is idle, which clock counts, how fast it multiplies; and rows in a file."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import torch

from seqsmith import runtime

BUSY = 0.3  # of a core, by the load average of the last minute
PATIENCE_SECONDS = 240  # in which the load of two busy cores falls below that
Row = dict[str, Any]
Clock = Callable[[], float]


def add_options(parser: argparse.ArgumentParser) -> None:
    """What every script here has."""
    parser.add_argument("--anyway", action="store_true", help="measure on a busy machine, in CPU seconds")
    parser.add_argument("--out", type=Path, help="append the rows to this file, a JSON object a line")


def load_or_exit(options: argparse.Namespace, *, name: str) -> float:
    """The load of the machine, which must be idle unless the user wants numbers anyway: what a benchmark before this
    one left of it is waited for."""
    load = os.getloadavg()[0]
    if load > BUSY and not options.anyway:
        print(f"{name}: the load of this machine is {load:.2f}; waiting until it is idle.", flush=True)
        until = time.monotonic() + PATIENCE_SECONDS
        while load > BUSY and time.monotonic() < until:
            time.sleep(2)
            load = os.getloadavg()[0]
        if load > BUSY:
            sys.exit(f"{name}: the load of this machine is {load:.2f}: wait until it is idle, or say --anyway.")
    return round(load, 2)


def clock_of(options: argparse.Namespace) -> Clock:
    """Seconds on the clock; on a busy machine CPU seconds of the process, which shared caches still slow down."""
    return time.process_time if options.anyway else time.perf_counter


def keep(row: Row, options: argparse.Namespace, *, load: float) -> Row:
    """Show a row and append it to the file of results, with the load and the date."""
    row = {**row, "load": load, "date": date.today().isoformat()}
    print(" ".join(f"{name}={value}" for name, value in row.items() if name != "date"), flush=True)
    if options.out is not None:
        with options.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    return row


def read(path: Path) -> list[Row]:
    """All rows of a file of results."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def multiplications_per_second(precision: runtime.Precision, clock: Clock, *, size: int = 1024) -> float:
    """The machine's own: floating-point operations a second in a product of square matrices."""
    a = torch.randn(size, size, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
    best = float("inf")
    for _ in range(10):
        began = clock()
        torch.mm(a, a)
        best = min(best, clock() - began)
    return 2.0 * size**3 / best
