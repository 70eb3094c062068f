"""`seqsmith predict`, whatever the model answers: texts, recordings or series."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from seqsmith.errors import UserError
from seqsmith.model_folder import is_series_model, is_speech_model, is_vector_model
from seqsmith.series.split import Part

Format = Literal["text", "tsv", "csv", "jsonl", "json", "srt", "vtt"]


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
    if horizon is not None and not is_series_model(folders[0]):
        raise UserError("--horizon belongs to models of series, and this one is not.")
    if is_speech_model(folders[0]):
        from seqsmith.cli.transcribe import transcribe

        if attention is not None:
            raise UserError("--attention: drawn over the words of a text, and this model hears recordings.")
        if engine not in ("auto", "torch"):
            raise UserError(f"--engine {engine}: takes text only. Leave it out, or take torch.")
        transcribe(folders, inputs, output=output, form=form, search=search, data=data, threads=threads)
        return
    if len(inputs) > 1:
        raise UserError(f"predict: expected one INPUT, found {len(inputs)}: only recordings may be several.")
    if form == "json" or form == "srt" or form == "vtt":
        raise UserError(f"--format {form}: only models that hear recordings write it. Take text, tsv, csv or jsonl.")
    if is_series_model(folders[0]):
        from seqsmith.cli.series_verbs import predict_series

        predict_series(folders[0], inputs[0], horizon=horizon, output=output, form=form, threads=threads)
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


def evaluate_numbers(
    model: Path,
    data: str,
    *,
    part: Part,
    names: list[str] | None,
    series: dict[str, Any],
    report: Path | None,
    plot: Path | None,
) -> bool:
    """Evaluate a model whose answers are numbers; False where the model is none."""
    if is_series_model(model):
        from seqsmith.cli.series_verbs import evaluate_series

        evaluate_series(model, data, part=part, names=names or [], series=series, report=report, plot=plot)
        return True
    if plot is not None or part != "all" or series:
        raise UserError("--part, --plot and settings of series belong to models of series, and this one is not.")
    if is_vector_model(model):
        from seqsmith.cli.vector_verbs import evaluate_vectors

        evaluate_vectors(model, data, report=report)
        return True
    return False
