"""The verbs for models of vector sequences: predict writes answers, evaluate and score say how good and how likely."""

from __future__ import annotations

import csv
import json
import os
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from seqsmith import runtime
from seqsmith.cli.forecasts import likelihood
from seqsmith.cli.program import note
from seqsmith.cli.vector_task import score_vectors
from seqsmith.cli.write import replacing
from seqsmith.data.printable import printable
from seqsmith.errors import UserError
from seqsmith.evaluate.forecast import render_forecasts
from seqsmith.mapper import Mapper
from seqsmith.series.vectors import Vectors, read_vectors


def predict_vectors(folder: Path, path: str, *, output: Path | None, threads: int | None) -> None:
    """Write target/NAME for each source/NAME into an .npz file."""
    if output is None or output.suffix.lower() != ".npz":
        raise UserError("predict: answers are arrays; name a file for them that ends in .npz: --out ANSWERS.npz")
    runtime.use_threads(threads)
    mapper = Mapper.open(folder)
    given = read_vectors(path, needs_target=False)
    for sentence in given.remarks():
        note(sentence)
    answers = mapper.predict(given.source)
    part = output.with_name(f"{output.name}.part.npz")
    try:
        np.savez(part, **{f"target/{name}": one for name, one in zip(given.names, answers, strict=True)})  # type: ignore[arg-type]
        os.replace(part, output)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UserError(f"{output}: cannot be written: {error.strerror or error}.") from None
    note(f"{len(answers):,} answers are in {output}")


def evaluate_vectors(folder: Path, path: str, *, report: Path | None) -> None:
    """Score the answers beside the mean of the training targets."""
    runtime.use_threads(None)
    with nullcontext() if report is None else replacing(report) as file:
        mapper, given = _opened(folder, path)
        rows = score_vectors(mapper, given)
        print(f"{len(given.source):,} pair{'s' * (len(given.source) != 1)} of {path}\n{render_forecasts(rows)}")
        if file is not None:
            json.dump({"models": [str(folder)], "data": [path], "pairs": len(given.source), "rows": dict(rows)}, file)
            file.write("\n")


def score_pairs(folder: Path, path: str) -> None:
    """Print how likely the target of each pair is, or how far off the answer to its source."""
    runtime.use_threads(None)
    mapper, given = _opened(folder, path)
    name, meaning = likelihood(mapper.engine, truth="the numbers of the target", units="target")
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("name", name))
    for pair, score in zip(given.names, mapper.score(given.source, given.target), strict=True):
        writer.writerow((printable(pair, longest=None), f"{score:.8g}"))
    note(meaning)


def _opened(folder: Path, path: str) -> tuple[Mapper, Vectors]:
    """The model, and pairs as wide as its own."""
    mapper, given = Mapper.open(folder), read_vectors(path)
    for sentence in given.remarks():
        note(sentence)
    found, expected = given.target[0].shape[1], mapper.featuriser.widths[1]
    if found != expected:
        raise UserError(f"{path}: its targets have {found} numbers a step; the model says {expected}.")
    return mapper, given
