"""What a run folder's settings may no longer say once its training has begun."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqsmith import config
from seqsmith.errors import UserError
from seqsmith.train.journal import read_journal

_SETTLED = ("seed", "source", "target", "joint_vocabulary", "model")
"""Sections that vocabularies, batches and weights were made by."""


def check_settled(run: Path) -> None:
    """Raise UserError where the folder's settings say another model, vocabulary or order than was begun with."""
    journal, file = run / "journal.jsonl", run / "config.toml"
    events = read_journal(journal) if journal.is_file() else iter(())
    begun = next((event["settings"] for event in events if event["event"] == "start"), None)
    if begun is None:
        return
    before, now = (made.model_dump() for made in (config.build(begun, where=str(journal)), config.read(file)))
    for section in _SETTLED:
        found = _difference(section, before[section], now[section])
        if found is not None:
            key, was, is_now = found
            raise UserError(
                f"{file}: {key}: found {is_now!r}, but this run began with {was!r}, and what it has learnt is of "
                "that. Put it back, or start a new run in another --out."
            )


def _difference(key: str, before: Any, now: Any) -> tuple[str, Any, Any] | None:
    """The first setting that is another, and both its values."""
    if not isinstance(before, Mapping) or not isinstance(now, Mapping):
        return None if before == now else (key, before, now)
    named = sorted({*before, *now}, key=lambda name: name != "kind")
    found = (_difference(f"{key}.{name}", before.get(name), now.get(name)) for name in named)
    return next((one for one in found if one is not None), None)
