"""`seqsmith predict`, `evaluate` and `score`, whatever the model takes: texts, recordings, tables or vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, assert_never

from seqsmith import config
from seqsmith.cli.write import keep_apart
from seqsmith.data.kinds import SOUNDS
from seqsmith.errors import UserError
from seqsmith.model_folder import kind_of_models
from seqsmith.series.split import Part

RowFormat = Literal["text", "tsv", "csv", "jsonl"]
Format = RowFormat | Literal["json", "srt", "vtt"]
_FORMATS: dict[str, Format] = {
    ".tsv": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".srt": "srt",
    ".vtt": "vtt",
}
_OTHERS = (".parquet", ".xlsx", ".npz", ".npy", ".gz", *SOUNDS)  # names that promise what is not written


def answer(
    folders: Sequence[Path],
    inputs: Sequence[str],
    *,
    output: Path | None,
    form: Format | None,
    sections: dict[str, dict[str, Any]],
    attention: Path | None,
    horizon: int | None,
    engine: str,
    threads: int | None,
) -> None:
    """Answer the inputs, none of which stands for standard input, by the kind of the first model."""
    inputs = inputs or ["-"]
    kind = kind_of_models(folders)
    keep_apart(output, inputs, option="--out")
    _check_picture(attention, inputs, output)
    asked = f"--format {form}"
    if form is None and output is not None and kind != "vectors":
        form, asked = _format_of(output), f"--out {output}"
    search, data, series = sections["search"], sections["data"], sections["series"]
    if kind != "series" and (horizon is not None or series):
        raise UserError("--horizon and settings of series belong to models that forecast tables; this one does not.")
    others = {"--attention": attention, "--engine": engine, "search": search}
    match kind:
        case "speech":
            from seqsmith.cli.transcribe import transcribe

            _refuse_of_recordings(attention, engine)
            speech: dict[str, Any] = {"search": search, "data": data, "threads": threads}
            transcribe(folders, inputs, output=output, form=form, asked=asked, **speech)
        case "series":
            from seqsmith.cli.series_verbs import predict_series

            source, rows = _of_rows(inputs, form, asked)
            _refuse(others)
            predict_series(
                folders, source, horizon=horizon, output=output, form=rows, sections=sections, threads=threads
            )
        case "vectors":
            from seqsmith.cli.vector_verbs import predict_vectors

            source, rows = _of_rows(inputs, form, asked)
            _refuse({**others, "data": data, "--format": rows, "--with": folders[1:]})
            predict_vectors(folders[0], source, output=output, threads=threads)
        case "text":
            from seqsmith.cli.predict import predict

            source, rows = _of_rows(inputs, form, asked)
            texts: dict[str, Any] = {"search": search, "data": data, "attention": attention, "engine": engine}
            predict(folders, source, output=output, form=rows, threads=threads, **texts)
        case _:
            assert_never(kind)


def _of_rows(inputs: Sequence[str], form: Format | None, asked: str) -> tuple[str, RowFormat | None]:
    """The only input, and the format of its answers. Raises UserError for what recordings alone may have."""
    if len(inputs) > 1:
        raise UserError(f"predict: expected one INPUT, found {len(inputs)}: only recordings may be several.")
    if form == "json" or form == "srt" or form == "vtt":
        raise UserError(f"{asked}: only models that hear recordings write {form}. Take text, tsv, csv or jsonl.")
    return inputs[0], form


def _format_of(output: Path) -> Format | None:
    """What the suffix asks for, if anything. Raises UserError for one that promises what is not written."""
    suffix = output.suffix.lower()
    if suffix in _OTHERS:
        raise UserError(f"--out {output}: expected a name that ends in .txt, .tsv, .csv or .jsonl, found {suffix}.")
    return _FORMATS.get(suffix)


def _check_picture(attention: Path | None, inputs: Sequence[str], output: Path | None) -> None:
    keep_apart(attention, inputs, option="--attention")
    if attention is not None and output is not None and output.resolve() == attention.resolve():
        raise UserError(f"--attention {attention}: --out names this file too. Give each its own.")
    if attention is not None and attention.suffix.lower() != ".svg":
        raise UserError(f"--attention {attention}: expected a name that ends in .svg: the picture is SVG.")


def _refuse_of_recordings(attention: Path | None, engine: str) -> None:
    if attention is not None:
        raise UserError("--attention: drawn over the words of a text, and this model hears recordings.")
    if engine not in ("auto", "torch"):
        raise UserError(f"--engine {engine}: takes text only. Leave it out, or take torch.")


def evaluate(
    folders: Sequence[Path],
    data: str,
    target: str | None,
    *,
    against: Sequence[Path],
    names: list[str],
    report: Path | None,
    show_worst: int,
    part: Part,
    plot: Path | None,
    engine: str,
    sections: dict[str, dict[str, Any]],
) -> None:
    """Score the answers to what is in the data, by the kind of the first model."""
    keep_apart(report, [data, target], option="--report")
    kind = kind_of_models(folders)
    search, reading, series = sections["search"], sections["data"], sections["series"]
    others: dict[str, object] = {"TARGET": target, "--against": against, "--worst": show_worst}
    others |= {"--engine": engine, "search": search}
    if kind != "series" and (plot is not None or part != "all" or series):
        raise UserError(
            "--part, --plot and settings of series belong to models that forecast tables; this one does not."
        )
    match kind:
        case "series":
            from seqsmith.cli.series_verbs import evaluate_series

            _refuse(others)
            evaluate_series(folders, data, part=part, names=names, sections=sections, report=report, plot=plot)
        case "vectors":
            from seqsmith.cli.vector_verbs import evaluate_vectors

            _refuse({**others, "data": reading, "--score": names, "--with": folders[1:]})
            evaluate_vectors(folders[0], data, report=report)
        case "text" | "speech":
            from seqsmith.cli.evaluate import evaluate as run

            texts: dict[str, Any] = {"engine": engine, "search": search, "data": reading, "show_worst": show_worst}
            corpus = config.Corpus(path=data, target=target)
            run(folders, corpus, against=against, names=names, report=report, **texts)
        case _:
            assert_never(kind)


def score(folders: Sequence[Path], data: str, target: str | None, *, sections: dict[str, dict[str, Any]]) -> None:
    """Print how likely what is in the data is, by the kind of the first model."""
    kind = kind_of_models(folders)
    others = {"TARGET": target}
    if kind != "series" and sections["series"]:
        raise UserError("series: its settings belong to models that forecast tables; this one does not.")
    match kind:
        case "series":
            from seqsmith.cli.series_verbs import score_series

            _refuse(others)
            score_series(folders, data, sections=sections)
        case "vectors":
            from seqsmith.cli.vector_verbs import score_pairs

            _refuse({**others, "data": sections["data"], "--with": folders[1:]})
            score_pairs(folders[0], data)
        case "text" | "speech":
            from seqsmith.cli.evaluate import score as run

            run(folders, config.Corpus(path=data, target=target), data=sections["data"])
        case _:
            assert_never(kind)


def _refuse(options: Mapping[str, object]) -> None:
    """Raise UserError for the first that was given; torch answers with numbers, so that engine may be named."""
    for name, value in options.items():
        if value and not (name == "--engine" and value in ("auto", "torch")):
            named = f"{name}.{next(iter(value))}" if isinstance(value, Mapping) else name
            raise UserError(f"{named}: means nothing to this model, whose answers are numbers. Leave it out.")
