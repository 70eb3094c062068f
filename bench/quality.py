"""Quality on public tasks: trains with the tool's own defaults, chooses on dev, scores test once, writes a table.

    SEQSMITH_DATA=... python bench/quality.py g2p-lstm scan --threads 1 --seeds 1 2 3

Every run is an ordinary `seqsmith train`; nothing here reaches into the package. Rows are appended to
`bench/results.jsonl`, from which `docs/results.md` is written anew (quality_page.py). A test set is scored when its row
is made, and a model that has its row already is not scored again, unless `--check` asks for rows that are only printed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from statistics import mean

import fsdd
from quality_page import RESULTS, publish
from quality_tasks import TASKS, Task

ROOT = Path(__file__).parents[1]


def read(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="+", choices=sorted(TASKS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sets", nargs="*", help="only these data sets of the task")
    parser.add_argument("--out", type=Path, default=ROOT / "run-quality")
    parser.add_argument("--ensemble", action="store_true", help="score the seeds together as well")
    parser.add_argument("--set", dest="settings", nargs="*", default=[], help="further settings, stated in the table")
    parser.add_argument("--check", action="store_true", help="score anew, print the rows and write them nowhere")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    options = read(arguments)
    if "SEQSMITH_DATA" not in os.environ:
        sys.exit("quality: SEQSMITH_DATA does not name the folder of the data sets.")
    data = Path(os.environ["SEQSMITH_DATA"])
    for name in options.tasks:
        task = TASKS[name]
        if task.fsdd:
            fsdd.write_manifests(data, options.out / "fsdd")
        files_in = options.out / "fsdd" if task.fsdd else data
        values = []
        for data_set in task.sets:
            if options.sets and data_set[0] not in options.sets:
                continue
            models = [_train(task, data_set, files_in, seed, options) for seed in options.seeds]
            rows = [
                _score(task, data_set, files_in, [model], seed, options)
                for model, seed in zip(models, options.seeds, strict=True)
            ]
            if options.ensemble and len(models) > 1:
                rows.append(_score(task, data_set, files_in, models, 0, options))
            values += [row["test"] for row in rows if row["seeds"] != "all" and row["test"] is not None]
        if values:
            print(f"{name}: mean of {len(values)} runs: {task.score} {mean(values):.2f}", flush=True)


def _train(task: Task, data_set: tuple, data: Path, seed: int, options: argparse.Namespace) -> Path:
    name, train, dev, _test = data_set
    run = options.out / f"{task.name}-{name}-{seed}"
    if not (run / "model").exists():
        command = [*_seqsmith(), "train", *(str(data / file) for file in train), "--out", str(run)]
        for file in dev:
            command += ["--dev", str(data / file)]
        for setting in (*task.settings, *options.settings, f"seed={seed}", f"train.threads={options.threads}"):
            command += ["--set", setting]
        if (run / "config.toml").exists():
            command = [*_seqsmith(), "train", "--resume", "--out", str(run)]
        run.mkdir(parents=True, exist_ok=True)
        with (run / "log.txt").open("a") as log:
            subprocess.run(command, check=True, stderr=log)
    return run


def _score(task: Task, data_set: tuple, data: Path, runs: list[Path], seed: int, options: argparse.Namespace) -> dict:
    """Evaluate on dev and once on test; append the row."""
    name, _train, dev, test = data_set
    key = {"task": task.name, "set": name, "seeds": "all" if len(runs) > 1 else seed, "models": len(runs)}
    key["score"] = task.score
    for line in RESULTS.read_text().splitlines() if RESULTS.exists() and not options.check else ():
        row = json.loads(line)
        if key.items() <= row.items() and row["settings"] == [*task.settings, *options.settings]:
            return row
    reports = {part: _evaluate(runs, files, data, task, part) for part, files in (("dev", dev), ("test", test))}
    journals = [[json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()] for run in runs]
    model = [event for event in journals[0] if event["event"] == "model"][-1]
    start = next(event for event in journals[0] if event["event"] == "start")
    row = {
        **key,
        **_values(task.score, reports, model),
        "parameters": _parameters(runs[0]),
        "minutes": round(model["minutes"], 1),
        "threads": start["threads"],
        "settings": [*task.settings, *options.settings],
        "date": date.today().isoformat(),
    }
    if task.parts and reports["test"] is not None:
        row |= {"beside": reports["test"]["rows"], "last_batch_dropped": reports["test"]["dropped"]}
    rows = [json.dumps(row | {"score": score, **_values(score, reports, model)}) for score in (task.score, *task.also)]
    if not options.check:
        with RESULTS.open("a") as file:
            file.writelines(f"{made}\n" for made in rows)
        publish()
    print(*rows, sep="\n", flush=True)
    return row


def _values(score: str, reports: dict[str, dict | None], model: dict) -> dict:
    """What the reports say of a score; where there is no dev set, what training said."""
    dev, test = (report and report["scores"][score] for report in (reports["dev"], reports["test"]))
    return {
        "dev": dev["value"] if dev else model["scores"].get(score, {}).get("value"),
        "test": test["value"] if test else None,
        "test_interval": [test["low"], test["high"]] if test else None,
        "signature": (test or dev or {"signature": ""})["signature"],
    }


def _evaluate(runs: list[Path], files: Sequence[str], data: Path, task: Task, part: str) -> dict | None:
    if not files:
        return None
    report = runs[0] / "report.json"
    command = [*_seqsmith(), "evaluate", str(runs[0] / "model"), *(str(data / file) for file in files)]
    for other in runs[1:]:
        command += ["--with", str(other / "model")]
    if task.parts:
        command += ["--part", part, "--set", "series.drop_last=32"]
    else:
        for score in (task.score, *task.also):
            command += ["--score", score]
    subprocess.run([*command, "--report", str(report)], check=True, stdout=subprocess.DEVNULL)
    return json.loads(report.read_text())


def _parameters(run: Path) -> int:
    command = [*_seqsmith(), "inspect", str(run / "model"), "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["parameters"]


def _seqsmith() -> list[str]:
    return [sys.executable, "-m", "seqsmith"]


if __name__ == "__main__":
    main()
