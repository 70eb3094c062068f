"""Counts what a peer trains: real target tokens, padded ones, and the seconds between two steps of its optimizer.

This runs in the peer's own environment and imports torch and the standard library alone. A driver tells it the batches;
after enough steps it prints one line of JSON and ends the process.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch.optim import optimizer


class Meter:
    """Told of each batch, asked at each step."""

    def __init__(self, package: str) -> None:
        self.spec: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
        self.package = package
        self.clock = time.process_time if self.spec["anyway"] else time.perf_counter
        self.real = self.padded = self.steps = 0
        self.rows: list[tuple[int, int, float]] = []
        self.last = 0.0
        self.parameters = 0
        torch.set_num_threads(self.spec["threads"])
        optimizer.register_optimizer_step_post_hook(self._stepped)

    @property
    def shape(self) -> str:
        return str(self.spec["shape"])

    def data(self, name: str) -> str:
        return str(Path(self.spec["data"]) / name)

    def work(self, name: str) -> str:
        return str(Path(self.spec["work"]) / name)

    def add(self, real: Any, padded: Any) -> None:
        """A batch with so many real target tokens, END included, and so many with padding."""
        self.real += int(real)
        self.padded += int(padded)

    def _stepped(self, stepped: torch.optim.Optimizer, _args: Any, _kwargs: Any) -> None:
        now = self.clock()
        self.steps += 1
        if self.steps > self.spec["warm"]:
            self.rows.append((self.real, self.padded, now - self.last))
        self.real = self.padded = 0
        self.last = now
        self.parameters = sum(p.numel() for group in stepped.param_groups for p in group["params"])
        seconds = sum(row[2] for row in self.rows)
        if len(self.rows) >= self.spec["updates"] or (len(self.rows) > 1 and seconds > self.spec["seconds"]):
            self.report()

    def report(self) -> None:
        real, padded, seconds = (sum(column) for column in zip(*self.rows, strict=True))
        row = {
            "tokens_per_second": round(real / seconds),
            "tokens_per_update": round(real / len(self.rows)),
            "padding": round(1 - real / padded, 4),
            "updates": len(self.rows),
            "parameters": self.parameters,
            "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "version": importlib.metadata.version(self.package),
            "torch": str(torch.__version__),
        }
        print("\nmeasured " + json.dumps(row), flush=True)
        os._exit(0)  # a trainer has no wish to stop here
