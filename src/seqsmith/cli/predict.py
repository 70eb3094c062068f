"""`seqsmith predict`: a line in, a line out, in order, from standard input or a file; tables are read by column."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TextIO, assert_never

from seqsmith import config, runtime
from seqsmith.data.corpus import Counts, read_every_row, read_lines
from seqsmith.errors import UserError
from seqsmith.evaluate.heatmap import heatmap
from seqsmith.featurise import roles
from seqsmith.predictor import Prediction, Predictor

Format = Literal["text", "tsv", "jsonl"]
Row = tuple[str, str | None]
"""A source and its raw features, None where the model has none."""

_TABLES = (".tsv", ".csv", ".jsonl", ".ndjson", ".parquet")


@dataclass
class Remarks:
    """What was cut or never seen, counted while answers go by and told once at the end."""

    rows: int = 0
    cut_sources: list[int] = field(default_factory=list)
    cut_answers: list[int] = field(default_factory=list)
    strange: list[int] = field(default_factory=list)

    def note(self, prediction: Prediction) -> None:
        self.rows += 1
        for condition, numbers in (
            (prediction.cut_source, self.cut_sources),
            (not prediction.nbest[0].ended, self.cut_answers),
            (prediction.unknown_share > 0.5, self.strange),
        ):
            if condition:
                numbers.append(self.rows)

    def lines(self, settings: config.Settings) -> Iterator[str]:
        for numbers, what in (
            (self.cut_sources, f"sources were cut to {settings.data.longest_source:,} tokens (data.longest_source)"),
            (self.cut_answers, "answers were cut at the longest length allowed (search.longest, longest_ratio)"),
            (self.strange, "sources are mostly symbols that were never seen in training"),
        ):
            if numbers:
                yield f"{len(numbers):,} of {self.rows:,} {what}, the first in line {numbers[0]}."


def predict(
    folders: Sequence[Path],
    input_path: str,
    *,
    output: Path | None,
    form: Format | None,
    search: dict[str, Any],
    data: dict[str, Any],
    attention: Path | None,
    threads: int | None,
) -> None:
    """Answer every row of the input; writes to `output` or standard output."""
    runtime.keep_memory()
    runtime.use_threads(threads)
    predictor = Predictor.open(*folders)
    settings = _reading(predictor.settings, data)
    rows = _rows(input_path, settings, has_features=bool(predictor.featuriser.source.features.symbols))
    remarks = Remarks()
    form = form or _form(input_path, output)
    with _opened(output) as file:
        for number, prediction in enumerate(predictor.stream(rows, window=_window(input_path), **search)):
            remarks.note(prediction)
            if attention is not None and number == 0:
                _draw(predictor, prediction, next(_rows(input_path, settings, has_features=True), None), attention)
            for line in _written(prediction, form, nbest=int(search.get("nbest") or 1)):
                file.write(line + "\n")
            file.flush()
    for line in remarks.lines(predictor.settings):
        print(f"seqsmith: {line}", file=sys.stderr)


def _window(path: str) -> int:
    """A person who types wants an answer a line; a file is sorted by length a thousand lines at a time."""
    return 1 if path == "-" and sys.stdin.isatty() else 1024


def _reading(settings: config.Settings, data: dict[str, Any]) -> config.Data:
    """How the input is read: as the training data was, where the user says nothing else; no row is left out."""
    table = settings.data.model_dump(exclude={"train", "dev"}, exclude_none=True)
    return config.build({"data": {**table, "header": None, **data}}, where="predict").data


def _rows(path: str, settings: config.Data, *, has_features: bool) -> Iterator[Row]:
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if has_features or any(suffix in _TABLES for suffix in suffixes):
        wanted = [
            role for role in roles(settings) if role.name == "source" or (has_features and role.name == "features")
        ]
        for block in read_every_row(config.Corpus(path=path), wanted, settings, Counts()):
            features = block.fields.get("features")
            yield from zip(block.fields["source"], features or [None] * len(block.line), strict=True)
        return
    for lines in read_lines(path, settings, Counts()):
        yield from ((text, None) for text in lines.texts)


def _form(path: str, output: Path | None) -> Format:
    name = output.name if output is not None else path
    if name.endswith((".jsonl", ".ndjson")):
        return "jsonl"
    return "tsv" if output is not None and name.endswith(".tsv") else "text"


def _written(prediction: Prediction, form: Format, *, nbest: int) -> Iterator[str]:
    """text: the answers, n-best lists as tab-separated score and answer; tsv: with source; jsonl: everything."""
    candidates = prediction.nbest[:nbest]
    match form:
        case "text":
            yield from (_line(c.text) if nbest == 1 else f"{c.score:.4f}\t{_line(c.text)}" for c in candidates)
        case "tsv":
            source = _line(prediction.source).replace("\t", " ")
            yield from (f"{source}\t{_line(c.text)}\t{c.score:.4f}" for c in candidates)
        case "jsonl":
            answers = [{"text": c.text, "score": c.score, "log_prob": c.log_prob, "ended": c.ended} for c in candidates]
            row: dict[str, Any] = {"source": prediction.source, "text": prediction.text, "score": prediction.score}
            yield json.dumps(row | ({"nbest": answers} if nbest > 1 else {}), ensure_ascii=False)
        case _:
            assert_never(form)


def _line(text: str) -> str:
    """An answer is one line: a byte-level model can speak a line feed."""
    return text.replace("\n", " ").replace("\r", " ")


class _opened:
    """Standard output, or a file that is closed after use."""

    def __init__(self, path: Path | None):
        self.path = path

    def __enter__(self) -> TextIO:
        if self.path is None:
            self.file: TextIO = sys.stdout
        else:
            try:
                self.file = self.path.open("w", encoding="utf-8")
            except OSError as error:
                raise UserError(f"{self.path}: cannot be written: {error.strerror}.") from None
        return self.file

    def __exit__(self, *_error: object) -> None:
        if self.path is not None:
            self.file.close()


def _draw(predictor: Predictor, prediction: Prediction, row: Row | None, path: Path) -> None:
    features = None if row is None or not predictor.featuriser.source.features.symbols else row[1]
    found = predictor.attention(prediction.source, prediction.text, features=features)
    title = f"{prediction.source} → {prediction.text}"
    path.write_text(heatmap(found.weight_TS, found.source, found.target, title=title), encoding="utf-8")
    print(f"seqsmith: attention of the first line drawn to {path}", file=sys.stderr)
