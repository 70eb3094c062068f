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
Published are, on test: SCAN, an LSTM (Lake & Baroni 2018); G2P, the LSTM and the Transformer of the shared task, tuned
for each language (SIGMORPHON 2020); inflection, the Transformer's mean over the language's family (SIGMORPHON 2020);
Multi30k, a small Transformer (Wu et al. 2021) and a GRU (Caglayan et al. 2017); AN4, on dev, a Transformer with CTC and
80 mel bins (ESPnet); ETTh1, LSTMa (24) and DLinear (96).

| task | set | score | dev | test | published | each seed | seeds | parameters | minutes | settings given | date |
|---|---|---|---|---|---|---|---|---|---|---|---|"""
LANGUAGES = ("fre", "hin", "ice", "kor", "vie")
PUBLISHED = {
    "scan": {"simple": 99.8},
    "g2p-lstm": {"fre": 6.22, "hin": 6.67, "ice": 10.00, "kor": 46.89, "vie": 4.67},
    "g2p-transformer": {"fre": 6.89, "hin": 9.56, "ice": 10.22, "kor": 43.78, "vie": 7.56},
    "inflection": {"mlt": 95.5, "kon": 97.7, "ceb": 81.2, "tgl": 81.2},
    "multi30k-transformer": {"en-de": 41.02},
    "multi30k-recurrent": {"en-de": 38.1},
    "an4": {"an4": 12.9},
    **{f"etth1-24-{family}": {"ETTh1": 0.650} for family in ("lstm", "gru")},
    **{f"etth1-96-{family}": {"ETTh1": 0.375} for family in ("lstm", "gru", "transformer")},
}


@dataclass(frozen=True)
class Task:
    """A kind of experiment: data sets that share one setting."""

    name: str
    sets: tuple[tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...]  # (name, train, dev, test) files
    score: str  # of `seqsmith evaluate`
    settings: tuple[str, ...] = ()
    also: tuple[str, ...] = ()  # scores that have a row of their own
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
        Task("multi30k-raw", (("en-de", *RAW),), "bleu", also=("chrf",)),
        Task("inflection", INFLECTION, "exact_match", ("data.source=1", "data.target=2", "data.features=3")),
        Task(
            "tatoeba",
            (("zh-en", ("tatoeba_cmn_eng/train.tsv",), ("tatoeba_cmn_eng/dev.tsv",), ()),),
            "bleu",
            ("data.source=2", "data.target=1"),
            also=("chrf",),
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
    key["score"] = task.score
    for line in RESULTS.read_text().splitlines() if RESULTS.exists() else ():
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
    with RESULTS.open("a") as file:
        for score in (task.score, *task.also):
            file.write(json.dumps(row | {"score": score, **_values(score, reports, model)}) + "\n")
    publish()
    print(json.dumps(row), flush=True)
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


def publish() -> None:
    """Write the table of all rows, one line for each task, set and way of use, seeds side by side."""
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        key = (row["task"], row["set"], row["score"], row["models"], tuple(row["settings"]))
        groups.setdefault(key, []).append(row)
    lines = [HEAD]
    for (task, name, score, models, settings), found in groups.items():
        tests = [row["test"] for row in found if row["test"] is not None]
        digits = 3 if score == "mse" else 2
        published = PUBLISHED.get(task, {}).get(name)
        seeds = f"{models} together" if models > 1 else ", ".join(str(row["seeds"]) for row in found)
        cells = (
            task,
            name,
            score,
            f"{mean(row['dev'] for row in found):.{digits}f}",
            f"{mean(tests):.{digits}f}" if tests else "-",
            "-" if published is None else f"{published:.{digits}f}",
            ", ".join(f"{value:.{digits}f}" for value in tests) or "-",
            seeds,
            f"{found[0]['parameters']:,}",
            f"{mean(row['minutes'] for row in found):.1f} on {found[0]['threads']}",
            " ".join(settings) or "none",
            max(row["date"] for row in found),
        )
        lines.append(f"| {' | '.join(cells)} |")
    for task, score, models, settings in dict.fromkeys((key[0], *key[2:]) for key in groups):
        sets = [key for key in groups if (key[0], *key[2:]) == (task, score, models, settings)]
        values = [mean(row["test"] for row in groups[key]) for key in sets if groups[key][0]["test"] is not None]
        if len(values) > 1:
            theirs = PUBLISHED.get(task)
            beside = f"{mean(theirs[key[1]] for key in sets):.2f}" if theirs else "-"
            together = "" if models == 1 else f"{models} together"
            name = f"mean of {len(values)}"
            lines.append(
                f"| **{task}** | {name} | {score} | | **{mean(values):.2f}** | {beside} | | {together} | | | | |"
            )
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
