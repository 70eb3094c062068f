"""`seqsmith inspect`: what is in data, a model or a run, and what is wrong with it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, assert_never

from seqsmith import config
from seqsmith.cli.inspect_series import inspect_series_model, inspect_table, inspect_vector_model, inspect_vectors
from seqsmith.cli.inspect_speech import inspect_manifest
from seqsmith.cli.program import Found, command
from seqsmith.data.inspect import inspect_corpus
from seqsmith.data.kinds import guess_kind
from seqsmith.data.printable import printable
from seqsmith.errors import UserError
from seqsmith.evaluate.report import TITLES
from seqsmith.folder import MANIFEST, check_folder
from seqsmith.model_folder import kind_of_model
from seqsmith.text.columns import roles


def inspect(
    path: str,
    target: str | None,
    *,
    dev: config.Corpus | None,
    test: config.Corpus | None,
    sections: dict[str, dict[str, Any]],
    as_json: bool,
) -> None:
    """Print the report on a file of pairs, a model folder or a run folder."""
    folder = Path(path)
    if target is not None or not folder.is_dir():
        settings = config.build({"data": sections["data"]}, where="inspect").data
        corpus = config.Corpus(path=path, target=target)
        kind = "series" if sections["series"] else guess_kind(corpus, settings).kind
        if (dev or test) and kind != "text":
            raise UserError("--dev and --test: overlap is looked for in pairs of text alone. Inspect files one by one.")
        if path.lower().endswith(".npz"):
            lines, table = inspect_vectors(path)
        elif kind == "series":
            series = config.build({"series": sections["series"]}, where="inspect").series or config.Series()
            lines, table = inspect_table(path, series, settings)
        elif kind == "speech":
            lines, table = inspect_manifest(corpus, settings)
        else:
            report = inspect_corpus(corpus, roles(settings), settings, dev=dev, test=test)
            lines, table = list(report.lines()), report.as_dict()
    elif dev or test or any(sections.values()):
        raise UserError(f"{path}: is a folder, and --dev, --test and --set are for files of data. Leave them out.")
    elif (folder / "journal.jsonl").is_file():
        lines, table = _run(folder)
    elif (folder / MANIFEST).is_file():
        lines, table = _model(folder)
    else:
        raise UserError(f"{path}: neither a run (it has no journal.jsonl) nor a model folder (no {MANIFEST}).")
    print(_json(table) if as_json else "\n".join(lines))


def _json(table: dict[str, Any]) -> str:
    """JSON in which what could steer a terminal is escaped, as JSON itself does for some of it only."""
    text = json.dumps(_finite(table), ensure_ascii=False, indent=1)
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def _finite(value: Any) -> Any:
    """Numbers that JSON does not know, such as the loss of a run that diverged, become null."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
    return value


def _model(folder: Path) -> Found:
    kind = kind_of_model(folder)
    match kind:
        case "series":
            return inspect_series_model(folder)
        case "vectors":
            return inspect_vector_model(folder)
        case "text" | "speech":
            return _model_of_texts(folder)
    assert_never(kind)


def _model_of_texts(folder: Path) -> Found:
    from seqsmith import runtime
    from seqsmith.bundle import open_bundle
    from seqsmith.cli.card import describe

    bundle = open_bundle(folder)
    settings, channels = bundle.settings, bundle.featuriser.channels
    source = {"source_channels": channels} if channels else {"source_symbols": bundle.featuriser.text_source.size}
    table: dict[str, Any] = {
        "model": describe(settings.model),
        "parameters": runtime.parameter_count(bundle.model),
        **source,
        "target_symbols": bundle.featuriser.target.size,
        "bytes": sum(file.stat().st_size for file in folder.iterdir()),
        "settings": settings.model_dump(mode="json", exclude_none=True),
    }
    lines = [
        f"{_name(folder)}: a whole model folder, every file as it was saved",
        f"  {table['model']}, {table['parameters']:,} parameters, {table['bytes'] / 1e6:.1f} MB",
        f"  {table['target_symbols']:,} target symbols, {channels} channels a frame"
        if channels
        else f"  {table['source_symbols']:,} source and {table['target_symbols']:,} target symbols",
        "",
        config.dump(settings).rstrip(),
    ]
    return lines, table


def _damage(folder: Path) -> str | None:
    """What keeps a run from going on, if anything does."""
    try:
        config.read(folder / "config.toml")
    except UserError as error:
        return str(error)
    vocabulary = folder / "vocabulary"
    wrong = check_folder(vocabulary) if vocabulary.exists() else None
    return wrong and f"{vocabulary}: damaged: {wrong}"


def _run(folder: Path) -> Found:
    from seqsmith.cli.card import describe, duration
    from seqsmith.cli.display import validation_line
    from seqsmith.train.journal import read_journal

    events = list(read_journal(folder / "journal.jsonl"))
    by_kind = {event["event"]: event for event in events}  # the last of each
    if "start" not in by_kind:
        raise UserError(f"{folder}: this run has not begun: nothing is in its journal.")
    settings = config.build(by_kind["start"]["settings"], where=str(folder / "journal.jsonl"))
    validations = [event for event in events if event["event"] == "validation"]
    finished = events[-1]["event"] == "model"
    seconds = max((event["seconds"] for event in events if "seconds" in event), default=0.0)
    wrong = None if finished else _damage(folder)
    how = "finished" if finished else f"not finished: go on with {command('train', '--resume', '--out', folder)}"
    how = f"not finished, and cannot go on: {wrong}" if wrong else how
    updates = max((event["update"] for event in events if "update" in event), default=0)
    lines = [
        f"{_name(folder)}: a run of {updates:,} updates in {duration(seconds / 60)}, {how}",
        f"  {describe(settings.model)}",
        *(f"  {validation_line(event)}" for event in validations),
    ]
    table = {"finished": finished, "updates": updates, "seconds": seconds, "validations": validations}
    if finished:
        scores = by_kind["model"]["scores"]
        lines.append(f"  {by_kind['model']['weights']}")
        lines += [
            f"  dev {TITLES[name]} {score['value']:.2f}" if name in TITLES else f"  dev {name} {score['value']:.4g}"
            for name, score in scores.items()
        ]
        table["scores"] = scores
    return lines, {**table, "settings": settings.model_dump(mode="json", exclude_none=True)}


def _name(folder: Path) -> str:
    return printable(str(folder), longest=1000)
