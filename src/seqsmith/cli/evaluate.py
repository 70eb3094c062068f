"""`seqsmith evaluate` and `seqsmith score`: how good the answers to given pairs are, and how likely the pairs are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, count
from pathlib import Path
from typing import Any

from seqsmith import config, runtime
from seqsmith.cli.predict import Remarks
from seqsmith.cli.program import note
from seqsmith.cli.validate import final_scores
from seqsmith.cli.write import replacing
from seqsmith.data.columns import placed
from seqsmith.data.corpus import Counts, read_rows
from seqsmith.data.files import shown
from seqsmith.data.printable import printable
from seqsmith.engine.expressible import needs_torch
from seqsmith.errors import UserError
from seqsmith.evaluate.answers import bleu_words, score_answers
from seqsmith.evaluate.report import Example, as_dict, render, render_paired, worst
from seqsmith.evaluate.scores import NAMES, Paired, paired_test
from seqsmith.featurise import Texts, roles
from seqsmith.predictor import Predictor
from seqsmith.speech.names import telling_where
from seqsmith.speech.survey import tell_rates
from seqsmith.text.marks import joined


@dataclass
class GivenPairs:
    """All pairs of a corpus, and where each stands in its file."""

    path: str  # as messages call it
    texts: Texts = field(default_factory=dict)
    line: list[int] = field(default_factory=list)

    def places(self) -> Iterator[tuple[str, str]]:
        """Each source, and its file and line."""
        for source, line in zip(self.texts["source"], self.line, strict=True):
            yield source, f"{self.path}:{line}"


def evaluate(
    folders: Sequence[Path],
    corpus: config.Corpus,
    *,
    against: Sequence[Path],
    names: Sequence[str],
    engine: str,
    search: dict[str, Any],
    data: dict[str, Any],
    report: Path | None,
    show_worst: int,
) -> None:
    """Answer the sources, score against the targets, print a table; `report` takes it all as JSON."""
    for name in names:
        if name not in NAMES:
            raise UserError(f"--score {name}: no such score, expected one of {', '.join(NAMES)}.")
    runtime.keep_memory()
    if engine == "auto" and needs_torch(search):
        engine = "torch"
    options: dict[str, Any] = {"engine": engine, "threads": runtime.threads(None), "say": note}
    predictor = Predictor.open(*folders, **options).with_search(**search).with_longest(data)
    other = Predictor.open(*against, **options).with_search(**search).with_longest(data) if against else None
    with nullcontext() if report is None else replacing(report) as file:
        given = read_pairs(corpus, predictor.settings, data)
        outputs = _outputs(predictor, given)
        others = None if other is None else _outputs(other, given)
        chosen = tuple(names) or final_scores(predictor.settings)
        scores = score_answers(predictor.settings, outputs, given.texts["target"], chosen, resamples=1000)
        manner = predictor.settings.search.manner
        print(f"{len(outputs):,} pair{'s' * (len(outputs) != 1)} of {_name(corpus)}, answered with {manner}")
        print(render(scores))
        found: dict[str, Any] = {
            "models": [str(folder) for folder in folders],
            "data": [corpus.path, *([corpus.target] if corpus.target else [])],
            "pairs": len(outputs),
            "engine": predictor.engine.name,
            "search": predictor.settings.search.model_dump(exclude_none=True),
            "scores": as_dict(scores),
        }
        if others is not None:
            tests = _paired(predictor.settings, outputs, others, given, chosen)
            print(f"\na: {', '.join(map(str, folders))}   b: {', '.join(map(str, against))}")
            print(render_paired(tests))
            found["against"] = {"models": list(map(str, against)), "tests": [asdict(t) for t in tests]}
        examples = [
            replace(example, number=given.line[example.number - 1])
            for example in worst(outputs, given.texts["target"], given.texts["source"], show_worst)
        ]
        _show(examples, _name(corpus))
        if file is not None:
            found |= {"worst": [asdict(example) for example in examples], "lines": given.line, "outputs": outputs}
            json.dump(found, file, ensure_ascii=False, indent=1)
            file.write("\n")


def score(folders: Sequence[Path], corpus: config.Corpus, *, data: dict[str, Any]) -> None:
    """Print the log-probability of each pair, in nats."""
    predictor = Predictor.open(*folders, engine="torch", threads=runtime.threads(None)).with_longest(data)
    given = read_pairs(corpus, predictor.settings, {"empty": "error", **data})
    texts = given.texts
    named = (f"pair {number:,}" for number in count(1))
    with telling_where(chain(zip(named, (place for _, place in given.places()), strict=False), given.places())):
        values = predictor.score(texts["source"], texts["target"], features=texts.get("features"))
    for value in values:
        print(f"{value:.6f}")
    targets = predictor.featuriser.targets(texts)
    unseen = predictor.featuriser.target.tokeniser.unseen
    strange = [number for number, ids in enumerate(targets, 1) if not unseen.isdisjoint(ids)]
    if strange:
        note(
            f"{len(strange):,} of {len(targets):,} targets hold symbols that were never seen in training, the first is "
            f"number {strange[0]:,}: each is scored as any unknown symbol would be."
        )


def read_pairs(corpus: config.Corpus, settings: config.Settings, data: dict[str, Any]) -> GivenPairs:
    """All pairs of a file, read as the training data was where the user says nothing else."""
    table = settings.data.model_dump(exclude={"train", "dev", "audio_folder"}, exclude_none=True)
    reading = config.build({"data": {**table, **data}}, where="evaluate").data
    counts = Counts()
    given = GivenPairs(_name(corpus))
    columns = roles(settings, reading)
    for rows in read_rows(corpus, columns, reading, counts):
        block = placed(rows, columns, Path(corpus.path).parent)
        given.line += block.line
        for role, column in block.fields.items():
            given.texts.setdefault(role, []).extend(column)
    for sentence in counts.sentences():
        note(sentence)
    if isinstance(settings.source, config.SpeechSource):
        tell_rates(given.texts.get("source", []), settings.source, note)
    return given


def _outputs(predictor: Predictor, given: GivenPairs) -> list[str]:
    with telling_where(given.places()):
        predictions = predictor.predict(given.texts["source"], features=given.texts.get("features"))
    remarks = Remarks()
    for prediction in predictions:
        remarks.note(prediction, "jsonl")
    for sentence in remarks.lines(predictor.settings):
        note(sentence)
    return [prediction.text for prediction in predictions]


def _paired(
    settings: config.Settings, outputs: list[str], others: list[str], given: GivenPairs, names: tuple[str, ...]
) -> list[Paired]:
    a, b, references = ([joined(text) for text in texts] for texts in (outputs, others, given.texts["target"]))
    return [paired_test(a, b, references, name, tokenize=bleu_words(settings)) for name in names]


def _name(corpus: config.Corpus) -> str:
    return printable(shown(corpus.path), longest=1000)


def _show(examples: list[Example], path: str) -> None:
    for example in examples:
        print(f"\n  {path}:{example.number}  {example.edits} edits")
        for label in ("source", "reference", "output"):
            print(f"    {label:<10} {printable(getattr(example, label), longest=200)}")
