"""Quality on public tasks: trains with the tool's own defaults, chooses on dev, scores test once, writes a table.

    SEQSMITH_DATA=... python bench/quality.py g2p-lstm scan --threads 1 --seeds 1 2 3

Every run is an ordinary `seqsmith train`; nothing here reaches into the package. Rows are appended to
`bench/results.jsonl`, from which `docs/results.md` is written anew. A test set is scored when its row is made, and a
model that has its row already is not scored again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import mean

import fsdd

ROOT = Path(__file__).parents[1]
RESULTS, TABLE = ROOT / "bench" / "results.jsonl", ROOT / "docs" / "results.md"
HEAD = """# Results

Written by `python bench/quality.py TASK --seeds ...` from `bench/results.jsonl`, which has intervals and signatures.
Models are chosen on dev; a test set is scored once for each setting that has a line here.
Scores: `exact_match` is the share of answers that are right,
`ser` (sequence error rate, which G2P papers call WER) the share that are not, `bleu` is on the text as it is in the
files, with subword marks joined; `mse` is on standardised numbers (docs/series.md has the naive forecasts beside it).
Minutes are wall-clock on a machine that did other work beside, on so many threads.

| task | set | score | dev | test | each seed | seeds | parameters | minutes | settings beside the defaults | date |
|---|---|---|---|---|---|---|---|---|---|---|"""
LANGUAGES = ("fre", "hin", "ice", "kor", "vie")


@dataclass(frozen=True)
class Task:
    """A kind of experiment: data sets that share one setting."""

    name: str
    sets: tuple[tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...]  # (name, train, dev, test) files
    score: str  # of `seqsmith evaluate`
    settings: tuple[str, ...] = ()
    parts: bool = False  # dev and test are parts of one table of series
    fsdd: bool = False  # the files are manifests that fsdd.py writes


def _g2p(name: str, *settings: str) -> Task:
    folder = "sigmorphon2020_g2p"
    sets = tuple(
        (language, *((f"{folder}/{language}_{part}.tsv",) for part in ("train", "dev", "test")))
        for language in LANGUAGES
    )
    return Task(name, sets, "ser", settings)


def _etth1(horizon: int, family: str) -> Task:
    """The published protocol: 12, 4 and 4 months of 30 days, standardised, all seven columns, windows at every step."""
    file = ("ett/ETTh1.csv",)
    settings = ("series.split_rows=[8640,2880,2880]", f"series.horizon={horizon}", f"model.family={family}")
    return Task(f"etth1-{horizon}-{family}", (("ETTh1", file, (), file),), "mse", settings, parts=True)


def _multi30k(name: str, *settings: str) -> Task:
    parts = tuple(
        tuple(f"multi30k/bpe-en-de/{part}.{language}" for language in ("en", "de"))
        for part in ("train", "valid", "test.2016")
    )
    return Task(name, (("en-de", *parts),), "bleu", settings)


def _fsdd(name: str, *, tested: bool = True) -> tuple:
    train, dev, test = ((f"{name}_{part}.tsv",) for part in ("train", "dev", "test"))
    return name, train, dev, test if tested else ()


INFLECTION = tuple(
    (language, *((f"sigmorphon2020_inflection/{language}.{part}",) for part in ("trn", "dev", "tst")))
    for language in ("mlt", "kon", "ceb", "tgl")
)
RAW = tuple(
    tuple(f"multi30k/raw/{part}.{language}" for language in ("en", "de"))
    for part in ("train", "val", "test_2016_flickr")
)
TASKS = {
    task.name: task
    for task in (
        Task(
            "scan",
            (("simple", ("scan/simple_train.tsv",), (), ("scan/simple_test.tsv",)),),
            "exact_match",
            (  # as published (Lake & Baroni 2018): two layers of 200, no attention, dropout 0.5, one command an update
                *("model.encoder.layers=2", "model.encoder.width=200", "model.encoder.dropout=0.5"),
                *("model.decoder.layers=2", "model.decoder.width=200", "model.decoder.dropout=0.5"),
                *("model.decoder.attention=none", "model.embedding=200", "train.batch_tokens=1", "train.rate=0.001"),
                *("train.updates=80000", "train.early_stop=0", "train.precision=fp32"),
            ),
        ),
        _g2p("g2p-lstm", "model.family=lstm"),
        _g2p("g2p-transformer", "model.family=transformer"),
        _multi30k("multi30k-transformer", "model.family=transformer"),
        _multi30k("multi30k-recurrent", "model.family=gru"),
        Task("multi30k-raw", (("en-de", *RAW),), "bleu"),
        Task("inflection", INFLECTION, "exact_match", ("data.source=1", "data.target=2", "data.features=3")),
        Task(
            "tatoeba",
            (("zh-en", ("tatoeba_cmn_eng/train.tsv",), ("tatoeba_cmn_eng/dev.tsv",), ()),),
            "bleu",
            ("data.source=2", "data.target=1"),
        ),
        Task("an4", (("an4", ("an4_mfcc/train.tsv",), ("an4_mfcc/dev.tsv",), ()),), "wer"),
        Task("fsdd-connected", (_fsdd("connected", tested=False),), "wer", fsdd=True),
        Task("fsdd-speaker", tuple(map(_fsdd, fsdd.SPEAKERS)), "wer", fsdd=True),
        *(_etth1(horizon, family) for horizon in (24, 96) for family in ("lstm", "gru", "transformer")),
    )
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="+", choices=sorted(TASKS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sets", nargs="*", help="only these data sets of the task")
    parser.add_argument("--out", type=Path, default=ROOT / "run-quality")
    parser.add_argument("--ensemble", action="store_true", help="score the seeds together as well")
    parser.add_argument("--set", dest="settings", nargs="*", default=[], help="further settings, stated in the table")
    options = parser.parse_args(arguments)
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
    for line in RESULTS.read_text().splitlines() if RESULTS.exists() else ():
        row = json.loads(line)
        if key.items() <= row.items() and row["settings"] == [*task.settings, *options.settings]:
            return row
    reports = {part: _evaluate(runs, files, data, task, part) for part, files in (("dev", dev), ("test", test))}
    values = {part: report and report["scores"][task.score] for part, report in reports.items()}
    journals = [[json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()] for run in runs]
    model = [event for event in journals[0] if event["event"] == "model"][-1]
    start = next(event for event in journals[0] if event["event"] == "start")
    chosen = model["scores"].get(task.score, {}).get("value")
    row = {
        **key,
        "score": task.score,
        "dev": values["dev"]["value"] if values["dev"] else chosen,
        "test": values["test"]["value"] if values["test"] else None,
        "test_interval": [values["test"]["low"], values["test"]["high"]] if values["test"] else None,
        "signature": (values["test"] or values["dev"] or {"signature": ""})["signature"],
        "parameters": _parameters(runs[0]),
        "minutes": round(model["minutes"], 1),
        "threads": start["threads"],
        "settings": [*task.settings, *options.settings],
        "date": date.today().isoformat(),
    }
    if task.parts and reports["test"] is not None:
        row |= {"beside": reports["test"]["rows"], "last_batch_dropped": reports["test"]["dropped"]}
    with RESULTS.open("a") as file:
        file.write(json.dumps(row) + "\n")
    publish()
    print(json.dumps(row), flush=True)
    return row


def publish() -> None:
    """Write the table of all rows, one line for each task, set and way of use, seeds side by side."""
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        key = (row["task"], row["set"], row["score"], row["models"] > 1, tuple(row["settings"]))
        groups.setdefault(key, []).append(row)
    lines = [HEAD]
    for (task, name, score, together, settings), found in groups.items():
        tests = [row["test"] for row in found if row["test"] is not None]
        digits = 3 if score == "mse" else 2
        seeds = f"{found[0]['models']} together" if together else ", ".join(str(row["seeds"]) for row in found)
        cells = (
            task,
            name,
            score,
            f"{mean(row['dev'] for row in found):.{digits}f}",
            f"{mean(tests):.{digits}f}" if tests else "-",
            ", ".join(f"{value:.{digits}f}" for value in tests) or "-",
            seeds,
            f"{found[0]['parameters']:,}",
            f"{mean(row['minutes'] for row in found):.1f} on {found[0]['threads']}",
            " ".join(settings) or "none",
            max(row["date"] for row in found),
        )
        lines.append(f"| {' | '.join(cells)} |")
    for task, settings in dict.fromkeys((key[0], key[4]) for key in groups):
        alone = [key for key in groups if (key[0], key[4]) == (task, settings) and not key[3]]
        values = [mean(row["test"] for row in groups[key]) for key in alone if groups[key][0]["test"] is not None]
        if len(values) > 1:
            lines.append(f"| **{task}** | mean of {len(values)} |  |  | **{mean(values):.2f}** |  |  |  |  |  |  |")
    TABLE.write_text("\n".join(lines) + "\n")


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
        command += ["--score", task.score]
    subprocess.run([*command, "--report", str(report)], check=True, stdout=subprocess.DEVNULL)
    return json.loads(report.read_text())


def _parameters(run: Path) -> int:
    command = [*_seqsmith(), "inspect", str(run / "model"), "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["parameters"]


def _seqsmith() -> list[str]:
    return [sys.executable, "-m", "seqsmith"]


if __name__ == "__main__":
    main()
