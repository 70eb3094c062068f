"""How fast seqsmith trains beside its peers: the same data, shapes, threads and batches, in one run.

    SEQSMITH_DATA=... python bench/peers.py T R Rif C --threads 2 --rounds 2

The peers are set up first, each in an environment of its own (environments.py); what cannot be installed or run has a
row that says why. All train on the same pieces: seqsmith's own, written as numbers, which every tool takes for words. A
peer runs by its own command line and a driver in bench/peers/, which counts real target tokens (END included, padding
not) from step to step of the optimizer. Ours and theirs take turns, each in a process of its own; the better round
counts. The share of the peak is that of the products which the shape needs for a token, the same for all.
A busy machine is refused; with --anyway CPU seconds are counted, and nothing is written. Otherwise rows are appended to
bench/peers.jsonl, and docs/performance.md gets its table from the newest rows of each case.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import environments
import machine
from environments import PEERS, Peer
from training import SHAPES, in_a_process, new_task

ROOT = Path(__file__).parents[1]
RESULTS, PAGE = ROOT / "bench" / "peers.jsonl", ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- peers: written by bench/peers.py -->", "<!-- peers: end -->"
WARM = 3  # updates that are not counted
LONGEST_SECONDS = 240  # of a whole process
DATA = environments.ENVIRONMENTS / "data"
Case = tuple[str, str]  # shape, tool
OURS = ("fp32", "bf16")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", default=list(SHAPES), help="of T, R, Rif and C; none: all")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--precisions", nargs="+", choices=OURS, default=["fp32"], help="seqsmith's; theirs is fp32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--updates", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=8.0, help="a peer's updates that are counted end after these")
    machine.add_options(parser)
    options = parser.parse_args(arguments)
    peers = [PEERS[name] for name in options.peers]
    load = machine.load_or_exit(options, name="peers")
    failed = {peer.name: why for peer in peers if (why := _set_up(peer)) is not None}
    data = {spaced: _write_data("C" if spaced else "T", options) for spaced in (False, True)}
    cases = [(shape, tool) for shape in options.shapes for tool in (*map(_ours, options.precisions), *options.peers)]
    best: dict[Case, machine.Row] = {}
    for number in range(options.rounds):
        for case in cases:
            row = _measure(case, failed, data[case[0] == "C"], options)
            print(f"round {number + 1}: {' '.join(case)}: {row.get('tokens_per_second') or row['failed']}", flush=True)
            if case not in best or row.get("tokens_per_second", 0) > best[case].get("tokens_per_second", 0):
                best[case] = row
    if not options.anyway:
        options.out = options.out or RESULTS
    for (shape, _), row in best.items():
        own = best[shape, _ours(options.precisions[0])]
        machine.keep({**row, **_beside(row, own), "rounds": options.rounds}, options, load=load)
    if options.out == RESULTS:
        publish()


def _ours(precision: str) -> str:
    return f"seqsmith {precision}"


def _set_up(peer: Peer) -> str | None:
    print(f"setting up {peer.name} ...", flush=True)
    why = environments.install(peer)
    return None if why is None else f"cannot be installed: {why}"


def _write_data(shape: str, options: argparse.Namespace) -> dict[str, object]:
    """The training pairs of a shape as numbers, and the vocabulary; what a driver needs to know of them."""
    data = DATA / shape
    data.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        name, task = new_task(shape, Path(folder))
        count: Counter[str] = Counter()
        lengths = []
        for side, column in (("source", task.prepared.train.source), ("target", task.prepared.train.target)):
            rows = [[str(number) for number in column[row][:-1]] for row in range(len(task.prepared.train))]
            (data / f"train.{side}").write_text("".join(" ".join(row) + "\n" for row in rows))
            count.update(number for row in rows for number in row)
            lengths.append(sum(map(len, rows)) / len(rows) + 1)
        size = task.prepared.featuriser.target.size
    (data / "vocabulary").write_text("".join(f"{number}\t{times}\n" for number, times in count.most_common()))
    return {
        "data": str(data),
        "named": name,
        "vocabulary": size,
        "sentences": round(2048 / lengths[1]),
        "threads": options.threads,
        "warm": WARM,
        "updates": options.updates,
        "seconds": options.seconds,
        "anyway": options.anyway,
    }


def _measure(case: Case, failed: dict[str, str], data: dict[str, object], options: argparse.Namespace) -> machine.Row:
    """One process."""
    shape, tool = case
    head = {"shape": shape, "tool": tool, "data": data["named"], "threads": options.threads}
    if tool not in PEERS:
        return head | in_a_process(shape, tool.split()[1], options) | {"tool": tool}
    peer = PEERS[tool]
    why = failed.get(tool) or peer.lacks.get(shape)
    if why is not None:
        return {**head, "failed": why}
    with TemporaryDirectory() as folder:
        spec = Path(folder) / "spec.json"
        spec.write_text(json.dumps({**data, "shape": shape, "work": folder}))
        return head | _run(peer, spec, options.threads)


def _run(peer: Peer, spec: Path, threads: int) -> machine.Row:
    number = str(threads)
    quiet = {
        "OMP_NUM_THREADS": number,
        "MKL_NUM_THREADS": number,
        "TOKENIZERS_PARALLELISM": "false",
        "WANDB_MODE": "off",
    }
    environment = {**os.environ, **quiet, "PYTHONPATH": ""}
    words = [str(peer.python), str(peer.driver), str(spec)]
    log = environments.ENVIRONMENTS / f"{peer.name}.log"
    try:
        found = subprocess.run(
            words, check=False, env=environment, cwd=spec.parent, text=True, timeout=LONGEST_SECONDS,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"failed": f"fewer than {WARM + 2} updates in {LONGEST_SECONDS} seconds"}
    log.write_text(found.stdout, encoding="utf-8")
    lines = [line for line in found.stdout.splitlines() if line.startswith("measured ")]
    if not lines:
        return {"failed": f"cannot be run: {environments.last_line(found.stdout)}"}
    row: machine.Row = json.loads(lines[-1].removeprefix("measured "))
    return row


def _beside(row: machine.Row, own: machine.Row) -> machine.Row:
    """A peer's share of the peak, and how many times as fast ours is."""
    if "failed" in row or row["tool"] not in PEERS:
        return {}
    work = row["tokens_per_second"] * own["megaflop_per_token"] / 1e3
    return {
        "share_of_peak": round(work / own["peak_gflops"], 3),
        "peak_gflops": own["peak_gflops"],
        "ratio": round(own["tokens_per_second"] / row["tokens_per_second"], 2),
    }


# ------------------------------------------------------------------------------------------------ the page


def publish() -> None:
    """Write the newest row of each case between the two marks of the page."""
    newest = {(row["shape"], row["tool"]): row for row in machine.read(RESULTS)}
    lines = [
        BEGIN,
        "| shape | tool | target tokens/s | ours / theirs | share of the peak | padding | peak memory | "
        "parameters | threads | data | date |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    order = {shape: number for number, shape in enumerate(SHAPES)}
    for row in sorted(newest.values(), key=lambda row: (order[row["shape"]], -row.get("tokens_per_second", 0))):
        lines.append(f"| {' | '.join(_cells(row))} |")
    lines += ["", "How the peers were adapted:", *(f"- {peer.name}: {peer.adapted}." for peer in PEERS.values())]
    lines += ["", "Not set up:", *(f"- {name}: {why}." for name, why in environments.NOT_SET_UP.items()), END]
    page = PAGE.read_text(encoding="utf-8")
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    PAGE.write_text(before + "\n".join(lines) + after, encoding="utf-8")


def _cells(row: machine.Row) -> list[str]:
    tool = f"{row['tool']} {row.get('version', '')}".strip()
    ends = [str(row["threads"]), row["data"], row["date"]]
    if "failed" in row:
        return [row["shape"], tool, row["failed"].replace("|", "/"), *[""] * 5, *ends]
    return [
        row["shape"],
        tool,
        f"{row['tokens_per_second']:,}",
        str(row.get("ratio", "")),
        f"{row['share_of_peak']:.0%} of {row['peak_gflops']:.0f} GFLOP/s",
        f"{row['padding']:.1%}",
        f"{row['peak_megabytes']:,} MB",
        f"{row['parameters']:,}",
        *ends,
    ]


if __name__ == "__main__":
    sys.exit(main())
