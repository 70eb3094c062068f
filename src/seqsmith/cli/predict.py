"""`seqsmith predict`: a line in, a line out, in order, from standard input or a file; tables are read by column."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Any, Literal, TextIO, assert_never

from seqsmith import config, runtime
from seqsmith.cli.program import note
from seqsmith.cli.write import one_line, replacing
from seqsmith.data.corpus import Counts, read_every_row, read_lines
from seqsmith.data.files import check_readable, suffix
from seqsmith.data.kinds import TABLES
from seqsmith.engine.expressible import needs_torch
from seqsmith.errors import UserError
from seqsmith.evaluate.heatmap import heatmap
from seqsmith.model_folder import SAMPLE
from seqsmith.predictor import Candidate, Prediction, Predictor
from seqsmith.text.columns import roles

Format = Literal["text", "tsv", "csv", "jsonl"]
Row = tuple[str, str | None]
"""A source and its raw features, None where the model has none."""


@dataclass
class Remarks:
    """What was cut, changed or never seen, counted while answers go by and told once at the end."""

    rows: int = 0
    cut_sources: list[int] = field(default_factory=list)
    cut_answers: list[int] = field(default_factory=list)
    strange: list[int] = field(default_factory=list)
    strange_features: list[int] = field(default_factory=list)
    tabs: list[int] = field(default_factory=list)
    broken: list[int] = field(default_factory=list)

    def note(self, prediction: Prediction, form: Format, *, known_features: bool = True) -> None:
        self.rows += 1
        for condition, numbers in (
            (prediction.cut_source, self.cut_sources),
            (not prediction.nbest[0].ended, self.cut_answers),
            (prediction.unknown_share > 0.5, self.strange),
            (not known_features, self.strange_features),
            ("\t" in prediction.source, self.tabs),
            (any(_written(c, form) != c.text for c in prediction.nbest), self.broken),
        ):
            if condition:
                numbers.append(self.rows)

    def lines(self, settings: config.Settings) -> Iterator[str]:
        for numbers, what in (
            (self.cut_sources, f"sources were cut to {settings.data.longest_source:,} tokens (data.longest_source)"),
            (self.cut_answers, "answers were cut at the longest length allowed (search.longest, longest_ratio)"),
            (self.strange, "sources are mostly symbols that were never seen in training"),
            (self.strange_features, "sources have features that were never seen in training"),
            (
                self.tabs,
                "sources hold a tab as part of their text: of a table take a column, or give it as a .tsv file",
            ),
            (self.broken, "answers hold a tab or a line break, written as a space: --format jsonl keeps them"),
        ):
            if numbers:
                yield f"{len(numbers):,} of {self.rows:,} {what}, the first is number {numbers[0]:,}."


def predict(
    folders: Sequence[Path],
    input_path: str,
    *,
    output: Path | None,
    form: Format | None,
    search: dict[str, Any],
    data: dict[str, Any],
    attention: Path | None,
    engine: str,
    threads: int | None,
) -> None:
    """Answer every row of the input; writes to `output` or standard output."""
    runtime.keep_memory()
    check_readable(input_path)
    if engine == "auto" and needs_torch(search):
        engine = "torch"
    opened = Predictor.open(*folders, engine=engine, threads=runtime.threads(threads), say=note)
    if engine != "torch" and (folders[0] / SAMPLE).exists():  # else there was nothing to choose
        note(opened.why)
    predictor = opened.with_search(**search).with_longest(data)
    listed = search.get("shortlist")
    if listed is not None:
        note(f"a shortlist of the vocabulary is {'' if listed else 'not '}used, as asked (search.shortlist).")
    form = form or "text"
    several = predictor.settings.search.nbest > 1
    has_features = predictor.featuriser.takes_features
    counts, remarks = Counts(), Remarks()
    blocks = _blocks(input_path, _reading(predictor.settings, data), counts, has_features=has_features)
    with _opened(output) as file:
        for block in blocks:
            # block by block, so that whoever writes a line into a pipe and waits for its answer gets it
            for row, prediction in zip(block, predictor.stream(block), strict=True):
                if attention is not None and row[0].strip():
                    _draw(predictor, prediction, row[1], attention)
                    attention = None
                known = row[1] is None or predictor.featuriser.text_source.knows_features(row[1])
                remarks.note(prediction, form, known_features=known)
                file.write(_rendered(prediction, form, remarks.rows if several else None))
                file.flush()
    if attention is not None:
        note(f"--attention: there was no text to look at, so {attention} is not written.")
    for sentence in (*counts.sentences(), *remarks.lines(predictor.settings)):
        note(sentence)


# ------------------------------------------------------------------------------------------------ input


def _reading(settings: config.Settings, data: dict[str, Any]) -> config.Data:
    """How the input is read: as the training data was where the user says nothing else, but every row is answered."""
    table = settings.data.model_dump(exclude={"train", "dev"}, exclude_none=True) | data
    every = {"bad_utf8": "replace"} if table["bad_utf8"] == "skip" else {}
    return config.build({"data": table | every}, where="predict").data


def _blocks(path: str, reading: config.Data, counts: Counts, *, has_features: bool) -> Iterator[list[Row]]:
    """The rows of the input, as many at a time as were read at once."""
    if suffix(path) in TABLES:
        wanted = {"source", "features"} if has_features else {"source"}
        some = [role for role in roles(reading) if role.name in wanted]
        for rows in read_every_row(config.Corpus(path=path), some, reading, counts):
            yield list(zip(rows.fields["source"], rows.fields.get("features") or repeat(None), strict=False))
        return
    for lines in read_lines(path, reading, counts):
        if has_features:
            yield [_cut(text, f"{lines.path}:{number}") for number, text in enumerate(lines.texts, lines.first)]
        else:
            yield [(text, None) for text in lines.texts]


def _cut(line: str, where: str) -> Row:
    source, _, features = line.partition("\t")
    tabs = line.count("\t")
    if line.strip() and tabs != 1:
        found = f"{tabs} tabs" if tabs else "no tab"
        raise UserError(f"{where}: this model takes a source, a tab and its features; found {found}.")
    return source, features


# ------------------------------------------------------------------------------------------------ output


def _opened(path: Path | None) -> AbstractContextManager[TextIO]:
    return nullcontext(sys.stdout) if path is None else replacing(path)


def _rendered(prediction: Prediction, form: Format, number: int | None) -> str:
    """text: the answer; tsv and csv: with source and score; jsonl: everything.

    A number is given where there may be several answers, to tell whose they are.
    """
    candidates = prediction.nbest
    match form:
        case "text" if number is None:
            return _written(candidates[0], form) + "\n"
        case "text":
            return "".join(f"{number}\t{c.score:.4f}\t{_written(c, form)}\n" for c in candidates)
        case "tsv":
            source = one_line(prediction.source)
            return "".join(f"{source}\t{_written(c, form)}\t{c.score:.4f}\n" for c in candidates)
        case "csv":
            table = io.StringIO()
            csv.writer(table, lineterminator="\n").writerows(
                (prediction.source, c.text, f"{c.score:.4f}") for c in candidates
            )
            return table.getvalue()
        case "jsonl":
            answers = [{"text": c.text, "score": c.score, "log_prob": c.log_prob, "ended": c.ended} for c in candidates]
            found: dict[str, Any] = {"source": prediction.source, **answers[0]}
            if number is not None:
                found["nbest"] = answers
            return json.dumps(found, ensure_ascii=False) + "\n"
        case _:
            assert_never(form)


def _written(candidate: Candidate, form: Format) -> str:
    return candidate.text if form in ("csv", "jsonl") else one_line(candidate.text)


def _draw(predictor: Predictor, prediction: Prediction, features: str | None, path: Path) -> None:
    found = predictor.attention(prediction.source, prediction.text, features=features)
    title = f"{prediction.source} → {prediction.text}"
    with replacing(path) as file:
        file.write(heatmap(found.weight_TS, found.source, found.target, title=title))
    note(f"where the decoder looked for the first answer is drawn in {path}")
