"""What work costs as it grows: training, answering and preparation, one size varied at a time; a CSV and plots.

    python bench/growth.py --threads 2 --out growth/

Training and answering are those of the shapes T and R (training.py). Each point is measured in a process of its own, so
that its peak of memory is its own; torch answers, which every other engine is held against. The exponent between two
neighbouring points is log(cost ratio) / log(size ratio): 0 where a token, a sentence or a line costs the same at any
size, 1 where its cost grows like the size. Those that are more than --tell above what must be are named. A busy machine
is refused; with --anyway CPU seconds are counted, which tell exponents but no speed.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import growing
import machine
from growth_plot import Line, plot

from seqsmith import native, runtime

COLUMNS = (
    "what",
    "shape",
    "axis",
    "value",
    "rate",
    "unit",
    "cost",
    "cost_exponent",
    "peak_megabytes",
    "memory_exponent",
)


@dataclass(frozen=True)
class Sweep:
    """Sizes of one kind."""

    what: str
    axis: str
    label: str
    values: tuple[int, ...]
    shapes: tuple[str, ...] = ("T", "R")
    least: float = 0.0  # the exponent of the cost that must be: an answer takes steps, and a beam has rows

    @property
    def unit(self) -> str:
        return {"training": "target tokens/s", "answering": "ms/sentence", "preparation": "lines/s"}[self.what]


def sweeps(most_lines: int) -> tuple[Sweep, ...]:
    lines = tuple(10**power for power in range(4, 8) if 10**power <= most_lines)
    return (
        Sweep("training", "batch", "target tokens of a batch", (256, 1024, 4096, 16384)),
        Sweep("training", "length", "tokens of a source and of its target", (16, 64, 256, 1024, 4096)),
        Sweep("training", "vocabulary", "vocabulary", (1000, 4000, 16000, 64000)),
        Sweep("training", "width", "width", (64, 128, 256, 512)),
        Sweep("answering", "length", "tokens of a source and of its answer", (8, 32, 128), least=1.0),
        Sweep("answering", "beam", "beam", (1, 4, 16), least=1.0),
        Sweep("preparation", "lines", "lines of the corpus", lines, ("-",)),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", help="names as training-length")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--most-lines", type=int, default=10**6, help="of the preparation; 10000000 takes many minutes")
    parser.add_argument("--largest", type=int, help="leave larger sizes out, for a quick look")
    parser.add_argument("--tell", type=float, default=0.3, help="exponents this much above what must be are named")
    parser.add_argument("--anyway", action="store_true", help="measure on a busy machine, in CPU seconds")
    parser.add_argument("--out", type=Path, default=Path("growth"), help="the folder of the CSV and the plots")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # a point in its own process
    options = parser.parse_args(arguments)
    if options.one:
        runtime.use_large_pages()
        runtime.keep_memory()
        native.use()
        runtime.use_threads(options.threads)
        print(json.dumps(growing.measure(*json.loads(options.one), machine.clock_of(options))))
        return
    machine.load_or_exit(options, name="growth")
    options.out.mkdir(parents=True, exist_ok=True)
    found: list[machine.Row] = []
    for sweep in sweeps(options.most_lines):
        if options.only and f"{sweep.what}-{sweep.axis}" not in options.only:
            continue
        rows = [row for shape in sweep.shapes for row in _sweep(sweep, shape, options)]
        found += rows
        _draw(sweep, rows, options.out)
        with (options.out / "growth.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(found)


def _sweep(sweep: Sweep, shape: str, options: argparse.Namespace) -> list[machine.Row]:
    rows: list[machine.Row] = []
    for value in sweep.values:
        if options.largest and value > options.largest:
            continue
        point = json.dumps([sweep.what, shape, sweep.axis, value])
        words = [sys.executable, __file__, "--one", point, "--threads", str(options.threads)]
        done = subprocess.run([*words, *["--anyway"] * options.anyway], check=False, capture_output=True, text=True)
        if done.returncode:
            print(f"{sweep.what} {shape} {sweep.axis}={value}: failed: {done.stderr.strip().splitlines()[-1]}")
            continue
        raw = json.loads(done.stdout.splitlines()[-1])
        cost = raw["seconds"] / raw["amount"]
        rate = 1000 * cost if sweep.what == "answering" else 1 / cost
        names = {"what": sweep.what, "shape": shape, "axis": sweep.axis, "value": value}
        row = {**names, "rate": float(f"{rate:.4g}"), "unit": sweep.unit, "cost": cost}
        rows.append({**row, "peak_megabytes": raw["peak_megabytes"]})
        print(f"{sweep.what} {shape} {sweep.axis}={value}: {row['rate']:,} {sweep.unit}, {raw['peak_megabytes']:,} MB",
              flush=True)  # fmt: skip
    for small, large in pairwise(rows):
        steps = math.log(large["value"] / small["value"])
        for name, of in (("cost_exponent", "cost"), ("memory_exponent", "peak_megabytes")):
            large[name] = round(math.log(large[of] / small[of]) / steps, 2)
        _tell(large, sweep, options.tell)
    return rows


def _draw(sweep: Sweep, rows: Sequence[machine.Row], folder: Path) -> None:
    lines = [
        [
            Line(shape, [row["value"] for row in own], [row[measured] for row in own])
            for shape in sweep.shapes
            if (own := [row for row in rows if row["shape"] == shape])
        ]
        for measured in ("rate", "peak_megabytes")
    ]
    if rows:
        plot(lines, sweep.label, (sweep.unit, "peak memory, MB"), folder / f"{sweep.what}-{sweep.axis}.svg")


def _tell(row: machine.Row, sweep: Sweep, margin: float) -> None:
    """Say it where a sentence, a token or a line costs more than it must, or the memory grows."""
    for name, noun, least in (("cost_exponent", "cost", sweep.least), ("memory_exponent", "memory", 0.0)):
        if row[name] > least + margin:
            grown = f"{row['axis']}^{row[name]:.2f} up to {row['value']:,}"
            print(f"  {noun} of {row['what']} {row['shape']} grows like {grown}", flush=True)


if __name__ == "__main__":
    main()
