"""A corpus as rows of named texts, whatever its format, with a policy and a tally for all that is odd in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import compress

from seqsmith import config
from seqsmith.data.columns import Role, Rows
from seqsmith.data.counts import Counts, Tally
from seqsmith.data.files import shown, suffix
from seqsmith.data.lines import Lines, read_lines
from seqsmith.data.objects import read_objects
from seqsmith.data.parallel import falls_apart
from seqsmith.data.parquet import read_parquet
from seqsmith.data.separated import read_separated
from seqsmith.errors import UserError

__all__ = ["Counts", "Lines", "Role", "Rows", "Tally", "read_every_row", "read_lines", "read_rows"]

CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")  # all but tab and line feed
BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")  # Trojan Source (Boucher & Anderson 2021)
ODD = re.compile(f"{CONTROL.pattern}|{BIDI.pattern}".replace("]|[", ""))


def read_rows(corpus: config.Corpus, roles: Sequence[Role], settings: config.Data, counts: Counts) -> Iterator[Rows]:
    """The rows whose source and target are not empty. Raises UserError where none is."""
    before = counts.kept
    for block in read_every_row(corpus, roles, settings, counts):
        rows = _without_empty(block, settings, counts.empty)
        counts.kept -= len(block.line) - len(rows.line)
        if rows.line:
            yield rows
    if counts.kept == before:
        left_out = "".join(f" {sentence}" for sentence in counts.sentences())
        raise UserError(f"{shown(corpus.path)}: there is no example in it; expected one a row.{left_out}")


def read_every_row(
    corpus: config.Corpus, roles: Sequence[Role], settings: config.Data, counts: Counts
) -> Iterator[Rows]:
    """All rows, empty ones included, as prediction wants them; only `bad_utf8 = "skip"` leaves rows out."""
    try:
        for block in _blocks(corpus, roles, settings, counts):
            _look_for_odd_characters(block, counts)
            counts.kept += len(block.line)
            yield block
    except UserError as error:
        if not counts.no_line_feed.count:
            raise
        place = counts.no_line_feed.places[0].rpartition(":")[0]
        raise UserError(
            f"{error} {place} has carriage returns and no line feed: if its lines end in them, save it with line feeds."
        ) from None


def _blocks(corpus: config.Corpus, roles: Sequence[Role], settings: config.Data, counts: Counts) -> Iterator[Rows]:
    path = corpus.path
    if corpus.target is not None:
        return _read_parallel(path, corpus.target, roles, settings, counts)
    match suffix(path):
        case ".csv":
            return read_separated(path, roles, settings, counts, comma=True)
        case ".jsonl" | ".ndjson":
            return read_objects(path, roles, settings, counts)
        case ".parquet":
            return read_parquet(path, roles)
    return read_separated(path, roles, settings, counts, comma=False)


# ------------------------------------------------------------------------------------------- parallel files


def _read_parallel(
    source: str, target: str, roles: Sequence[Role], settings: config.Data, counts: Counts
) -> Iterator[Rows]:
    if source == target == "-":
        raise UserError("standard input cannot be both the source and the target file.")
    for role in roles:
        if role.name not in ("source", "target") and role.column is not None:
            raise UserError(
                f"data.{role.name} asks for a column, but {shown(source)} and {shown(target)} are plain lines. "
                "Put everything into one table (.tsv, .csv or .jsonl)."
            )
    wanted = {role.name for role in roles} & {"source", "target"}
    for left, right in _side_by_side(source, target, settings, counts):
        line, fields = left.numbers(), {"source": left.texts, "target": right.texts}
        if bad := left.bad | right.bad:
            for index in sorted(bad):
                counts.bad_utf8_skipped.add((left if index in left.bad else right).path, [line[index]])
            kept = [index for index in range(len(line)) if index not in bad]
            line = [line[index] for index in kept]
            fields = {name: [texts[index] for index in kept] for name, texts in fields.items()}
        yield Rows(left.path, line, {name: fields[name] for name in fields if name in wanted}, right.path)


def _side_by_side(source: str, target: str, settings: config.Data, counts: Counts) -> Iterator[tuple[Lines, Lines]]:
    """Blocks of the same lines of two files. Raises UserError where one file has more lines."""
    lefts, rights = read_lines(source, settings, counts), read_lines(target, settings, counts)
    left, right = next(lefts, None), next(rights, None)
    lines = 0
    while left is not None and right is not None:
        both = min(len(left.texts), len(right.texts))
        yield left.cut(0, both), right.cut(0, both)
        lines += both
        left = left.cut(both, len(left.texts)) if both < len(left.texts) else next(lefts, None)
        right = right.cut(both, len(right.texts)) if both < len(right.texts) else next(rights, None)
    if left is not None or right is not None:
        more = [
            sum(len(rest.texts) for rest in (first, *others) if rest)
            for first, others in ((left, lefts), (right, rights))
        ]
        raise UserError(
            f"{shown(source)} has {lines + more[0]:,} lines, {shown(target)} has {lines + more[1]:,}: line n of "
            f"one must belong to line n of the other.{_first_suspicion(source, target, settings)}"
        )


def _first_suspicion(source: str, target: str, settings: config.Data) -> str:
    """Where to look for what went wrong."""
    line = None
    if "-" not in (source, target):
        left, right = (
            [len(text) for block in read_lines(path, settings, Counts()) for text in block.texts]
            for path in (source, target)
        )
        line = falls_apart(left, right)
    where = f" They seem to fall apart around line {line:,}." if line else ""
    return f"{where} Look for a line that is missing, is there twice, or is broken in two."


# ------------------------------------------------------------------------------------------- policies


def _without_empty(rows: Rows, settings: config.Data, empty: Tally) -> Rows:
    sides = {name: texts for name, texts in rows.fields.items() if name in ("source", "target")}
    if all(all(map(str.strip, texts)) for texts in sides.values()):
        return rows
    kept = [all(map(str.strip, row)) for row in zip(*sides.values(), strict=True)]
    for index in (index for index, keep in enumerate(kept) if not keep):
        name = next(name for name, texts in sides.items() if not texts[index].strip())
        if settings.empty == "error":
            raise UserError(
                f"{rows.file(name)}:{rows.line[index]}: the {name} is empty. Fill it, remove the row, or set "
                "data.empty to skip."
            )
        empty.add(rows.file(name), [rows.line[index]])
    fields = {name: list(compress(texts, kept)) for name, texts in rows.fields.items()}
    return replace(rows, line=list(compress(rows.line, kept)), fields=fields)


def _look_for_odd_characters(rows: Rows, counts: Counts) -> None:
    control: list[tuple[int, str]] = []
    bidi: list[tuple[int, str]] = []
    for name, texts in rows.fields.items():
        joined = "".join(texts)
        if joined.isprintable() or not ODD.search(joined):  # the first is twice as fast, and true of most blocks
            continue
        file = rows.file(name)
        for line, text in zip(rows.line, texts, strict=True):
            if "\0" in text:
                raise UserError(f"{file}:{line}: the {name} holds a NUL character; expected text without it.")
            if CONTROL.search(text):
                control.append((line, file))
            if BIDI.search(text):
                bidi.append((line, file))
    for tally, found in ((counts.control, control), (counts.bidi, bidi)):
        for line, file in sorted(found):
            tally.add(file, [line])
