"""`seqsmith evaluate` and `seqsmith score`: how good the answers to given pairs are, and how likely the pairs are."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from seqsmith import config, runtime
from seqsmith.cli.validate import final_scores, score_answers
from seqsmith.data.corpus import Counts, read_rows
from seqsmith.data.printable import printable
from seqsmith.errors import UserError, nearest
from seqsmith.evaluate.report import as_dict, render, render_paired, worst
from seqsmith.evaluate.scores import NAMES, paired_test
from seqsmith.featurise import Texts, roles
from seqsmith.predictor import Predictor
from seqsmith.text.marks import joined


def evaluate(
    folders: list[Path],
    corpus: config.Corpus,
    *,
    against: list[Path],
    names: list[str],
    search: dict[str, Any],
    data: dict[str, Any],
    report: Path | None,
    show_worst: int,
) -> None:
    """Answer the sources, score against the targets, print a table; `report` takes it all as JSON."""
    for name in names:
        if name not in NAMES:
            raise UserError(f"--score {name}: no such score.{nearest(name, NAMES)}")
    runtime.keep_memory()
    runtime.use_threads(None)
    predictor = Predictor.open(*folders)
    texts = read_texts(corpus, predictor.settings, data)
    outputs = _outputs(predictor, texts, search)
    chosen = tuple(names) or final_scores(predictor.settings)
    scores = score_answers(predictor.settings, outputs, texts["target"], chosen, resamples=1000)
    print(f"{len(outputs):,} pairs of {corpus.path}")
    print(render(scores))
    found: dict[str, Any] = {"data": corpus.path, "pairs": len(outputs), "scores": as_dict(scores)}
    if against:
        references = [joined(text) for text in texts["target"]]
        others = _outputs(Predictor.open(*against), texts, search)
        both = [[joined(text) for text in side] for side in (outputs, others)]
        tests = [paired_test(both[0], both[1], references, name) for name in chosen]
        print(f"\na: {', '.join(map(str, folders))}   b: {', '.join(map(str, against))}")
        print(render_paired(tests))
        found["against"] = [asdict(test) for test in tests]
    examples = worst(outputs, texts["target"], texts["source"], show_worst)
    for example in examples:
        print(f"\n  line {example.number}: {example.edits} edits")
        for label in ("source", "reference", "output"):
            print(f"    {label:<10} {printable(getattr(example, label), longest=200)}")
    if report is not None:
        found["worst"] = [asdict(example) for example in examples]
        found["outputs"] = outputs
        report.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def score(folders: list[Path], corpus: config.Corpus, *, data: dict[str, Any]) -> None:
    """Print the log-probability of each pair, in nats."""
    runtime.use_threads(None)
    predictor = Predictor.open(*folders)
    texts = read_texts(corpus, predictor.settings, data)
    for value in predictor.score(texts["source"], texts["target"], features=texts.get("features")):
        print(f"{value:.6f}")


def read_texts(corpus: config.Corpus, settings: config.Settings, data: dict[str, Any]) -> Texts:
    """All pairs of a file, read as the training data was where the user says nothing else."""
    table = settings.data.model_dump(exclude={"train", "dev"}, exclude_none=True)
    reading = config.build({"data": {**table, **data}}, where="evaluate").data
    counts = Counts()
    texts: Texts = {}
    for block in read_rows(corpus, roles(reading), reading, counts):
        for role, column in block.fields.items():
            texts.setdefault(role, []).extend(column)
    for sentence in counts.sentences():
        print(f"seqsmith: {sentence}", file=sys.stderr)
    return texts


def _outputs(predictor: Predictor, texts: Texts, search: dict[str, Any]) -> list[str]:
    predictions = predictor.predict(texts["source"], features=texts.get("features"), **search)
    return [prediction.text for prediction in predictions]
