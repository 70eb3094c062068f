"""Which kind of source a run has: what the user says, else what the first file looks like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seqsmith import config
from seqsmith.cli.program import Say
from seqsmith.data.files import suffix
from seqsmith.data.kinds import TABLES, Guess, guess_kind


def kind_of(table: Mapping[str, Any]) -> str | None:
    """What the table says, in either of the two ways to write it."""
    source = table.get("source", {})
    kind = source.get("kind") if isinstance(source, Mapping) else source
    return kind if isinstance(kind, str) else None


def with_kind(table: Mapping[str, Any], say: Say) -> Mapping[str, Any]:
    """The table with the kind of its sources, found from the data where nothing says it.

    Whoever says what the target is has no series in mind, unless series are spoken of as well.
    """
    if kind_of(table) is not None:
        return table
    data = config.draft({"data": table.get("data", {})}, where="settings").data
    guess = guess_kind(data.train[0], data)
    if guess.kind == "text" and table.get("series") and suffix(data.train[0].path) in TABLES:
        guess = Guess("series", "for settings of series are given")
    if guess.kind == "text" or (guess.kind == "series" and "target" in table and "series" not in table):
        if guess.reason:
            say(f"  source.kind=text  ({guess.reason})")
        return table
    say(f"  source.kind={guess.kind}  ({guess.reason}; for text set source.kind=text)")
    return config.merge(table, {"source": {"kind": guess.kind}})
