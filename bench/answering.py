"""How fast each engine answers: sentences a second on one thread, greedy and with a beam, one by one and in batches.

    OMP_NUM_THREADS=1 python bench/answering.py MODEL SOURCES.txt --sentences 200 --rounds 2

The engines take turns (A B A B), so that what else the machine does meets them alike; the best round of each counts. A
machine that is busy is refused. With --anyway it is not: then CPU seconds of the process are counted in place of
seconds on the clock, which caches and memory shared with others still slow down, so that ratios are worth more than the
numbers. `same` is the share of answers that are those of torch, word for word.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from seqsmith import config, runtime
from seqsmith.engine.choose import choose
from seqsmith.engine.protocol import Engine, Source
from seqsmith.errors import UserError
from seqsmith.model_folder import ModelFolder
from seqsmith.search.answer import Answer

BUSY = 0.3  # of a core, by the load average of the last minute
ENGINES = ("torch", "ctranslate2", "onnx")
Cell = tuple[int, int]  # beam, sentences in a batch


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("sources", type=Path, help="a file of source lines")
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES)
    parser.add_argument("--beams", nargs="+", type=int, default=[1, 5])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 64])
    parser.add_argument("--longest", type=int, help="where to cut answers, for models of random weights")
    parser.add_argument("--anyway", action="store_true", help="measure on a busy machine, in CPU seconds")
    parser.add_argument("--out", type=Path, help="append the rows to this file, a JSON object a line")
    options = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    if load > BUSY and not options.anyway:
        sys.exit(f"answering: the load of this machine is {load:.2f}: wait until it is idle, or say --anyway.")
    clock = time.process_time if options.anyway else time.perf_counter
    folder = ModelFolder.open(options.model)
    lines = options.sources.read_text(encoding="utf-8").split("\n")
    texts = [line for line in lines if line.strip()][: options.sentences]
    sources = folder.featuriser.sources({"source": texts})
    engines = _engines(folder, options.engines)
    for beam in options.beams:
        for size in options.batches:
            changes = {"beam": beam, "nbest": 1} | ({"longest": options.longest} if options.longest else {})
            search = folder.settings.search.model_copy(update=changes)
            for row in _cell(engines, sources, search, size, options.rounds, clock):
                row |= {"model": str(options.model), "load": round(load, 2), "date": date.today().isoformat()}
                shown = (f"{name}={value}" for name, value in row.items() if name not in ("model", "date"))
                print(" ".join(shown), flush=True)
                if options.out is not None:
                    with options.out.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")


def _engines(folder: ModelFolder, names: Sequence[str]) -> dict[str, Engine]:
    """Those that can run the model."""
    runtime.keep_memory()
    found = {}
    for name in names:
        try:
            found[name] = choose([folder], wanted=name, device="cpu", threads=1, say=print).engine  # type: ignore[arg-type]
        except UserError as error:
            print(f"left out: {error}")
    return found


def _cell(
    engines: dict[str, Engine],
    sources: Sequence[Source],
    search: config.Search,
    size: int,
    rounds: int,
    clock: Callable[[], float],
) -> list[dict[str, object]]:
    """One beam and one size of batches: the rows of all engines."""
    order = sorted(range(len(sources)), key=lambda row: len(sources[row])) if size > 1 else range(len(sources))
    batches = [[sources[row] for row in order[first : first + size]] for first in range(0, len(sources), size)]
    seconds = dict.fromkeys(engines, float("inf"))
    answers: dict[str, list[Answer]] = {}
    for engine in engines.values():
        engine.answer(batches[0], search)
    for _ in range(rounds):
        for name, engine in engines.items():
            began = clock()
            found = [answer[0] for batch in batches for answer in engine.answer(batch, search)]
            seconds[name] = min(seconds[name], clock() - began)
            answers[name] = found
    reference = answers.get("torch")
    return [
        {
            "engine": name,
            "beam": search.beam,
            "batch": size,
            "sentences_per_second": round(len(sources) / seconds[name], 1),
            "same": None if reference is None else _share(answers[name], reference),
        }
        for name in engines
    ]


def _share(answers: list[Answer], others: list[Answer]) -> float:
    return round(sum(a.ids == b.ids for a, b in zip(answers, others, strict=True)) / len(answers), 3)


if __name__ == "__main__":
    main()
