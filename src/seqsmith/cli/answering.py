"""`seqsmith predict`, `evaluate` and `score`, whatever the model answers: texts, recordings or series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from seqsmith.cli.write import keep_apart
from seqsmith.errors import UserError
from seqsmith.model_folder import check_exists, is_series_model, is_speech_model, is_vector_model
from seqsmith.series.split import Part

Format = Literal["text", "tsv", "csv", "jsonl", "json", "srt", "vtt"]
_FORMATS: dict[str, Format] = {
    ".tsv": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".srt": "srt",
    ".vtt": "vtt",
}
_OTHERS = (".parquet", ".xlsx", ".npz", ".npy", ".gz")  # names that promise what is not written


def answer(
    folders: Sequence[Path],
    inputs: Sequence[str],
    *,
    output: Path | None,
    form: Format | None,
    search: dict[str, Any],
    data: dict[str, Any],
    attention: Path | None,
    horizon: int | None,
    engine: str,
    threads: int | None,
) -> None:
    """Answer the inputs, none of which stands for standard input, by the kind of the first model."""
    inputs = inputs or ["-"]
    for folder in folders:
        check_exists(folder)
    keep_apart(output, inputs, option="--out")
    _check_picture(attention, inputs, output)
    if output is not None and not is_vector_model(folders[0]):
        form = form or _format_of(output)
    if horizon is not None and not is_series_model(folders[0]):
        raise UserError("--horizon belongs to models that forecast tables, and this one does not.")
    if is_speech_model(folders[0]):
        from seqsmith.cli.transcribe import transcribe

        _refuse_of_recordings(attention, engine)
        transcribe(folders, inputs, output=output, form=form, search=search, data=data, threads=threads)
        return
    if len(inputs) > 1:
        raise UserError(f"predict: expected one INPUT, found {len(inputs)}: only recordings may be several.")
    if form == "json" or form == "srt" or form == "vtt":
        raise UserError(f"--format {form}: only models that hear recordings write it. Take text, tsv, csv or jsonl.")
    if is_series_model(folders[0]) or is_vector_model(folders[0]):
        others = {"--attention": attention, "--engine": engine, "search": search, "data": data}
        _refuse(others | ({"--format": form, "--with": folders[1:]} if is_vector_model(folders[0]) else {}))
    if is_series_model(folders[0]):
        from seqsmith.cli.series_verbs import predict_series

        predict_series(folders, inputs[0], horizon=horizon, output=output, form=form, threads=threads)
        return
    if is_vector_model(folders[0]):
        from seqsmith.cli.vector_verbs import predict_vectors

        predict_vectors(folders[0], inputs[0], output=output, threads=threads)
        return
    from seqsmith.cli.predict import predict

    predict(
        folders,
        inputs[0],
        output=output,
        form=form,
        search=search,
        data=data,
        attention=attention,
        engine=engine,
        threads=threads,
    )


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


def evaluate_numbers(
    folders: Sequence[Path],
    data: str,
    *,
    part: Part,
    names: list[str] | None,
    series: dict[str, Any],
    report: Path | None,
    plot: Path | None,
    others: Mapping[str, object],
) -> bool:
    """Evaluate a model whose answers are numbers; False where it is none. `others` are options for all but those."""
    for folder in folders:
        check_exists(folder)
    model = folders[0]
    if is_vector_model(model):
        _refuse({**others, "--score": names, "--with": folders[1:]})
    if is_series_model(model):
        from seqsmith.cli.series_verbs import evaluate_series

        _refuse(others)
        evaluate_series(folders, data, part=part, names=names or [], series=series, report=report, plot=plot)
        return True
    if plot is not None or part != "all" or series:
        raise UserError(
            "--part, --plot and settings of series belong to models that forecast tables; this one does not."
        )
    if is_vector_model(model):
        from seqsmith.cli.vector_verbs import evaluate_vectors

        evaluate_vectors(model, data, report=report)
        return True
    return False


def score(folders: Sequence[Path], data: str, target: str | None, *, sections: dict[str, dict[str, Any]]) -> None:
    """Print how likely what is in the data is, by the kind of the first model."""
    for folder in folders:
        check_exists(folder)
    if is_series_model(folders[0]):
        from seqsmith.cli.series_verbs import score_series

        _refuse({"TARGET": target, "data": sections["data"]})
        score_series(folders, data, series=sections["series"])
        return
    if sections["series"]:
        raise UserError("series: its settings belong to models that forecast tables; this one does not.")
    if is_vector_model(folders[0]):
        from seqsmith.cli.vector_verbs import score_pairs

        _refuse({"TARGET": target, "data": sections["data"], "--with": folders[1:]})
        score_pairs(folders[0], data)
        return
    from seqsmith import config
    from seqsmith.cli.evaluate import score as run

    run(list(folders), config.Corpus(path=data, target=target), data=sections["data"])


def _refuse(options: Mapping[str, object]) -> None:
    """Raise UserError for the first that was given; torch answers with numbers, so that engine may be named."""
    for name, value in options.items():
        if value and not (name == "--engine" and value in ("auto", "torch")):
            named = f"{name}.{next(iter(value))}" if isinstance(value, Mapping) else name
            raise UserError(f"{named}: means nothing to this model, whose answers are numbers. Leave it out.")
