"""Quality against speed: models of one task, each answered greedily and with a beam of 5, as a table and a picture.

    OMP_NUM_THREADS=1 python bench/pareto.py SOURCES.txt REFERENCES.txt teacher=run/model student=small/model \\
        --out docs/pareto.csv

For each model and beam: sacreBLEU, and sentences a second on one thread in batches of 64 by the engine that `seqsmith
predict` takes, in CPU seconds of the process, the best of three rounds in turns. The picture lies beside the table.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from time import process_time

import sacrebleu
from matplotlib import rcParams
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from seqsmith.predictor import Predictor

ROUNDS = 3
COLOURS = ("#3437a8", "#c2410c", "#0f766e", "#7c3aed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", type=Path)
    parser.add_argument("references", type=Path)
    parser.add_argument("models", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--tokenize", default="13a", help="of sacreBLEU; none for texts that are split already")
    parser.add_argument("--out", type=Path, default=Path("pareto.csv"))
    options = parser.parse_args()
    sources, references = (
        path.read_text(encoding="utf-8").split("\n")[:-1] for path in (options.sources, options.references)
    )
    named = [entry.split("=", 1) for entry in options.models]
    predictors = {name: Predictor.open(Path(folder), engine="auto", threads=1) for name, folder in named}
    cases = [(name, beam) for name in predictors for beam in (1, 5)]
    seconds = dict.fromkeys(cases, float("inf"))
    answers: dict[tuple[str, int], list[str]] = {}
    for _ in range(ROUNDS):
        for name, beam in cases:
            began = process_time()
            answers[name, beam] = [answer.text for answer in predictors[name].predict(sources, beam=beam)]
            seconds[name, beam] = min(seconds[name, beam], process_time() - began)
    rows = [
        {
            "model": name,
            "beam": beam,
            "engine": predictors[name].engine.name,
            "bleu": round(
                sacrebleu.corpus_bleu(answers[name, beam], [references], tokenize=options.tokenize, force=True).score, 2
            ),
            "sentences_per_second": round(len(sources) / seconds[name, beam]),
        }
        for name, beam in cases
    ]
    with options.out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        print(" ".join(f"{key}={value}" for key, value in row.items()))
    _draw(rows, options.out.with_suffix(".svg"))


def _draw(rows: list[dict[str, str | int | float]], path: Path) -> None:
    rcParams["svg.hashsalt"] = path.name
    rcParams["svg.fonttype"] = "none"
    figure = Figure(figsize=(6, 4), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots()
    for name, colour in zip(dict.fromkeys(str(row["model"]) for row in rows), COLOURS, strict=False):
        own = [row for row in rows if row["model"] == name]
        axes.plot(
            [row["sentences_per_second"] for row in own], [row["bleu"] for row in own], "o-", color=colour, label=name
        )
        for row in own:
            place = (row["sentences_per_second"], row["bleu"])
            axes.annotate(f"beam {row['beam']}", place, xytext=(5, 5), textcoords="offset points", fontsize=8)
    axes.set_xlabel("sentences a second, one thread")
    axes.set_ylabel("BLEU")
    axes.grid(True, alpha=0.2)
    axes.legend()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
