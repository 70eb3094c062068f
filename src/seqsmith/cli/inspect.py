"""`seqsmith inspect`: what is in data, a model or a run, and what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from seqsmith import config
from seqsmith.data.inspect import inspect_corpus
from seqsmith.errors import UserError
from seqsmith.featurise import roles


def inspect(
    path: str,
    target: str | None,
    *,
    dev: config.Corpus | None,
    test: config.Corpus | None,
    data: dict[str, Any],
    as_json: bool,
) -> None:
    """Print the report on a file of pairs, a model folder or a run folder."""
    folder = Path(path)
    if target is None and (folder / "journal.jsonl").is_file():
        report: tuple[list[str], dict[str, Any]] = _run(folder)
    elif folder.is_dir():
        report = _model(folder)
    else:
        settings = config.build({"data": data}, where="inspect").data
        found = inspect_corpus(config.Corpus(path=path, target=target), roles(settings), settings, dev=dev, test=test)
        report = list(found.lines()), found.as_dict()
    lines, table = report
    print(json.dumps(table, ensure_ascii=False, indent=1) if as_json else "\n".join(lines))


def _model(folder: Path) -> tuple[list[str], dict[str, Any]]:
    from seqsmith import runtime
    from seqsmith.bundle import open_bundle
    from seqsmith.cli.card import describe

    bundle = open_bundle(folder)
    settings = bundle.settings
    table: dict[str, Any] = {
        "model": describe(settings.model),
        "parameters": runtime.parameter_count(bundle.model),
        "source_symbols": bundle.featuriser.source.size,
        "target_symbols": bundle.featuriser.target.size,
        "bytes": sum(file.stat().st_size for file in folder.iterdir()),
        "settings": settings.model_dump(mode="json", exclude_none=True),
    }
    lines = [
        f"{folder}: a whole model folder, every file as it was saved",
        f"  {table['model']}, {table['parameters']:,} parameters, {table['bytes'] / 1e6:.1f} MB",
        f"  {table['source_symbols']:,} source and {table['target_symbols']:,} target symbols",
        "",
        config.dump(settings).rstrip(),
    ]
    return lines, table


def _run(folder: Path) -> tuple[list[str], dict[str, Any]]:
    from seqsmith.train.journal import read_journal

    events = list(read_journal(folder / "journal.jsonl"))
    if not events:
        raise UserError(f"{folder}: its journal is empty: this run has not begun.")
    validations = [event for event in events if event["event"] == "validation"]
    lines = [f"{folder}: a run with {len(validations)} validations"]
    lines += [
        f"  epoch {event['epoch']:>3}  update {event['update']:>7,}  dev {event['dev_nats_per_token']:.3f} nats/token  "
        f"{event['name']} {event['value']:.2f}{'  best so far' if event['best'] else ''}"
        for event in validations
    ]
    last = events[-1]
    ended = last["event"] in ("end", "model")
    lines.append("ended" if ended else f"not ended: go on with seqsmith train --resume --out {folder}")
    return lines, {"validations": validations, "ended": ended}
