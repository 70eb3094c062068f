"""How fast each engine answers: sentences a second on one thread, greedy and with a beam, one by one and in batches.

    OMP_NUM_THREADS=1 python bench/answering.py MODEL SOURCES.txt --sentences 200 --rounds 2
    OMP_NUM_THREADS=1 python bench/answering.py          (models of random weights, see training.py for their shapes)

Without a model, the shapes T and R of training.py answer with random weights, cut at 16 tokens. The engines take turns
(A B A B), so that what else the machine does meets them alike; the best round of each counts. A machine that is busy is
refused. With --anyway it is not: then CPU seconds of the process are counted in place of seconds on the clock, which
caches and memory shared with others still slow down, so that ratios are worth more than the numbers. `same` is the
share of answers that are those of torch, word for word.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import machine
from training import new_task

from seqsmith import config, runtime
from seqsmith.bundle import Bundle
from seqsmith.engine.choose import choose
from seqsmith.engine.protocol import Engine, Source
from seqsmith.errors import UserError
from seqsmith.model_folder import ModelFolder
from seqsmith.search.answer import Answer

ENGINES = ("torch", "torch-bf16", "ctranslate2", "onnx")
LONGEST = 16  # tokens that a model of random weights says
Cell = tuple[int, int]  # beam, sentences in a batch


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?", help="a model folder; none: random weights")
    parser.add_argument("sources", type=Path, nargs="?", help="a file of source lines; none: those of the dev set")
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES)
    parser.add_argument("--beams", nargs="+", type=int, default=[1, 5])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 64])
    parser.add_argument("--workers", type=int, default=1, help="batches that are answered at once, a thread each")
    parser.add_argument("--longest", type=int, help="where to cut answers, for models of random weights")
    parser.add_argument("--shortlist", action=argparse.BooleanOptionalAction, help="answer with one, or without")
    machine.add_options(parser)
    options = parser.parse_args(arguments)
    load = machine.load_or_exit(options, name="answering")
    if options.model is not None:
        if options.sources is None:
            parser.error("a model needs a file of source lines to answer")
        lines = options.sources.read_text(encoding="utf-8").split("\n")
        _measure(ModelFolder.open(options.model), str(options.model), lines, options, load=load)
        return
    options.longest = options.longest or LONGEST
    for shape in ("T", "R"):
        with TemporaryDirectory() as folder:
            model, lines = _random_model(shape, Path(folder))
            _measure(model, f"{shape}, random weights", lines, options, load=load)


def _random_model(shape: str, folder: Path) -> tuple[ModelFolder, list[str]]:
    """A model folder that was never trained, and the sources of its dev set."""
    _, task = new_task(shape, folder)
    Bundle(task.settings, task.prepared.featuriser, task.model.eval()).save(folder / "model", card="Random weights.\n")
    return ModelFolder.open(folder / "model"), task.prepared.pairs.dev_texts("source")


def _measure(folder: ModelFolder, name: str, lines: Sequence[str], options: argparse.Namespace, *, load: float) -> None:
    texts = [line for line in lines if line.strip()][: options.sentences]
    sources = folder.featuriser.sources({"source": texts})
    engines = _engines(folder, options.engines, options.workers)
    for beam in options.beams:
        for size in options.batches:
            changes = {"beam": beam, "nbest": 1, "shortlist": options.shortlist}
            changes |= {"longest": options.longest} if options.longest else {}
            search = folder.settings.search.model_copy(update=changes)
            for row in _cell(engines, sources, search, size, options.rounds, machine.clock_of(options)):
                machine.keep({"model": name, "workers": options.workers, **row}, options, load=load)


def _engines(folder: ModelFolder, names: Sequence[str], workers: int) -> dict[str, Engine]:
    """Those that can run the model."""
    runtime.keep_memory()
    found = {}
    for name in names:
        try:
            choice = choose([folder], wanted=name, device="cpu", threads=workers, say=print)  # type: ignore[arg-type]
            found[name] = choice.engine
        except UserError as error:
            print(f"left out: {error}")
    return found


def _cell(
    engines: dict[str, Engine],
    sources: Sequence[Source],
    search: config.Search,
    size: int,
    rounds: int,
    clock: machine.Clock,
) -> list[machine.Row]:
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
            if engine.workers == 1:
                answered: Iterable[list[list[Answer]]] = [engine.answer(batch, search) for batch in batches]
            else:
                with ThreadPoolExecutor(engine.workers) as pool:
                    answered = list(pool.map(lambda batch, engine=engine: engine.answer(batch, search), batches))
            found = [answer[0] for batch in answered for answer in batch]
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
