"""Corpora to memory-mapped columns on disk: first the texts as they are, then the ids of a tokeniser.

`gather` reads every corpus once and keeps texts, line numbers, statistics and what the split needs. `encode` turns
chosen rows into ids. Either result is found again under a digest of contents and settings; neither holds a corpus in
memory.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from seqsmith import config
from seqsmith.data.cache import build, content_digest, is_complete, make_cache, spooled
from seqsmith.data.columns import Role, Rows, placed
from seqsmith.data.corpus import read_rows
from seqsmith.data.counts import PLACES, Counts, Tally
from seqsmith.data.files import shown, suffix
from seqsmith.data.ragged import Ragged, RaggedWriter, read_column
from seqsmith.data.split import Hashes, hash_texts, pair_hashes
from seqsmith.data.statistics import TextStatistics
from seqsmith.errors import UserError

FORMAT = 2
FACTS = "facts.json"
BLOCK_ROWS = 10_000
BLOCK_BYTES = 4_000_000  # of text that is encoded at once
NOT_READING = {"train", "dev", "longest_source", "longest_target", "dev_pairs"}  # settings that change no text

Encoder = Callable[[dict[str, list[str]]], Ragged]
"""The texts of a block of rows, by role -> the ids of each row, END included; or its frames [steps, channels]."""


@dataclass(frozen=True)
class Column:
    """How one side is encoded, and how it is kept on disk."""

    encoder: Encoder
    longest: int  # steps; pairs with more are left out
    dtype: DTypeLike
    channels: tuple[int, ...] = ()
    at_once: int = BLOCK_ROWS  # rows that are encoded together


@dataclass(frozen=True, eq=False)
class Gathered:
    """All pairs of some corpora, in their order."""

    digest: str
    folder: Path
    corpora: tuple[config.Corpus, ...]
    start: NDArray[np.int64]  # the first row of each corpus, and the number of rows
    text: Mapping[str, Ragged]  # by role
    line: NDArray[np.int64]  # where each row was in its file
    counts: Counts
    statistics: Mapping[str, TextStatistics]  # by role

    @property
    def source_hash(self) -> Hashes:
        """Of the sources without their features; mapped anew, as no more than the split has to hold it."""
        return read_column(self.folder / "source_hash", "<u8")

    @property
    def target_hash(self) -> Hashes:
        return read_column(self.folder / "target_hash", "<u8")

    @property
    def pair_hash(self) -> Hashes:
        """Of source, target and features together."""
        return read_column(self.folder / "pair_hash", "<u8")

    def __len__(self) -> int:
        return len(self.line)

    def corpus(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which corpus each row comes from."""
        return np.searchsorted(self.start, rows, side="right") - 1

    def where(self, row: int, side: str = "source") -> str:
        """The place of a side of a row, as messages name it."""
        corpus = self.corpora[int(self.corpus(np.array([row]))[0])]
        path = corpus.target if side == "target" and corpus.target is not None else corpus.path
        return f"{shown(path)}:{self.line[row]}"


@dataclass(frozen=True, eq=False)
class Encoded:
    """Rows as ids; example i is row `row[i]` of what was gathered."""

    digest: str
    gathered: Gathered
    source: Ragged
    target: Ragged
    row: NDArray[np.int64]
    corpus: NDArray[np.uint16]  # which corpus each example comes from
    counts: Mapping[str, Tally]  # by column: pairs left out because that side is too long

    def __len__(self) -> int:
        return len(self.row)

    def text(self, example: int, role: str) -> str:
        return self.gathered.text[role].text(int(self.row[example]))


# ------------------------------------------------------------------------------------------------ texts


def gather(corpora: Sequence[config.Corpus], roles: Sequence[Role], settings: config.Data, cache: Path) -> Gathered:
    """Read all corpora, or find them read. Raises UserError for whatever is wrong in them.

    A role that no corpus has a column for is left out; where only some have one, the others' texts are empty.
    """
    assert corpora
    make_cache(cache)
    with ExitStack() as stack:
        copies = [_spool(corpus, cache, stack) for corpus in corpora]
        digest = _digest_of_reading(copies, roles, settings, cache, beside=[corpus.path for corpus in corpora])
        folder = cache / digest
        if not is_complete(folder):
            with build(cache, digest) as building:
                _gather(corpora, copies, roles, settings, building)
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    return Gathered(
        digest,
        folder,
        tuple(corpora),
        np.array(facts["start"], np.int64),
        {role: Ragged.open(folder, role) for role in facts["statistics"]},
        read_column(folder / "line", np.int64),
        _counts(facts["counts"], dict(zip(facts["names"], _names(corpora), strict=True))),
        {role: TextStatistics.from_json(value) for role, value in facts["statistics"].items()},
    )


def _names(corpora: Sequence[config.Corpus]) -> list[str]:
    """The files of the corpora, as messages call them."""
    files = [file for corpus in corpora for file in (corpus.path, corpus.target)]
    return ["" if file is None else shown(file) for file in files]


def _counts(facts: dict[str, Any], name_of: Mapping[str, str]) -> Counts:
    """What was counted; the same contents may have been read under other names."""
    tallies = {name: _renamed(Tally(**value), name_of) for name, value in facts.items() if isinstance(value, dict)}
    return Counts(**{**facts, **tallies})


def _renamed(tally: Tally, name_of: Mapping[str, str]) -> Tally:
    parts = [place.rpartition(":") for place in tally.places]
    return Tally(tally.count, [f"{name_of.get(file, file)}:{line}" for file, _, line in parts])


def _spool(corpus: config.Corpus, cache: Path, stack: ExitStack) -> config.Corpus:
    paths = {"path": stack.enter_context(spooled(corpus.path, cache))}
    if corpus.target is not None:
        paths["target"] = stack.enter_context(spooled(corpus.target, cache))
    return corpus.model_copy(update=paths)


def _digest_of_reading(
    corpora: Sequence[config.Corpus],
    roles: Sequence[Role],
    settings: config.Data,
    cache: Path,
    *,
    beside: Sequence[str],
) -> str:
    paths = [[corpus.path] if corpus.target is None else [corpus.path, corpus.target] for corpus in corpora]
    return _digest(
        FORMAT,
        [
            [[suffix(path), path.lower().endswith(".gz"), content_digest(path, cache)] for path in pair]
            for pair in paths
        ],
        [asdict(role) | {"folder": role.folder and os.path.abspath(role.folder)} for role in roles],
        [os.path.abspath(path) for path in beside if any(role.folder == "" for role in roles)],
        settings.model_dump(mode="json", exclude=NOT_READING),
    )


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _gather(
    corpora: Sequence[config.Corpus],
    copies: Sequence[config.Corpus],
    roles: Sequence[Role],
    settings: config.Data,
    folder: Path,
) -> None:
    counts = Counts()
    start = [0]
    with _TextWriter(folder, roles) as writer:
        for corpus, copy in zip(corpora, copies, strict=True):
            try:
                for rows in read_rows(copy, roles, settings, counts):
                    writer.append(placed(rows, roles, Path(corpus.path).parent))
            except UserError as error:
                raise UserError(_retold(str(error), corpus, copy)) from None
            start.append(writer.rows)
    facts = {
        "start": start,
        "names": _names(copies),
        "counts": asdict(counts),
        "statistics": {role: writer.statistics[role].to_json() for role in sorted(writer.present)},
    }
    (folder / FACTS).write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")


def _retold(message: str, corpus: config.Corpus, copy: config.Corpus) -> str:
    """Name the user's file, not the passing copy of it that was read."""
    message = message.replace(copy.path, shown(corpus.path))
    return message.replace(copy.target, shown(corpus.target)) if corpus.target and copy.target else message


class _TextWriter:
    """Writes blocks of rows: a column for each role, line numbers and hashes."""

    def __init__(self, folder: Path, roles: Sequence[Role]) -> None:
        self.rows = 0
        self.present: set[str] = set()  # roles that a corpus has a column for
        self.statistics = {role.name: TextStatistics() for role in roles}
        with ExitStack() as stack:
            self._text = {role.name: stack.enter_context(RaggedWriter(folder, role.name, np.uint8)) for role in roles}
            names = ("line", "source_hash", "target_hash", "pair_hash")
            self._file = {name: stack.enter_context((folder / name).open("wb")) for name in names}
            self._stack = stack.pop_all()

    def append(self, rows: Rows) -> None:
        self.present |= rows.fields.keys()
        for role, writer in self._text.items():
            texts = rows.fields.get(role) or [""] * len(rows.line)
            writer.append_texts(texts)
            self.statistics[role].add(texts)
        source, target = (hash_texts(rows.fields[role]) for role in ("source", "target"))
        pair = pair_hashes(source, target)
        for role in rows.fields.keys() - {"source", "target"}:
            pair = pair_hashes(pair, hash_texts(rows.fields[role]))
        columns = {"source_hash": source, "target_hash": target, "pair_hash": pair}
        for name, column in {"line": np.array(rows.line, np.int64), **columns}.items():
            self._file[name].write(column.tobytes())
        self.rows += len(rows.line)

    def __enter__(self) -> _TextWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()


# ------------------------------------------------------------------------------------------------ ids


class NoneShort(UserError):
    """Every pair was left out for its length."""


def encode(
    gathered: Gathered,
    rows: NDArray[np.int64],
    columns: Mapping[str, Column],
    *,
    key: str,
    cache: Path,
) -> Encoded:
    """Turn the given rows into ids or frames, or find them turned; pairs with a side that is too long are left out and
    counted.

    `columns` are source and target. `key` is the digest of all that decides what their encoders give.
    """
    rows = np.ascontiguousarray(rows, np.int64)
    digest = _digest(
        FORMAT,
        gathered.digest,
        key,
        {name: (column.longest, np.dtype(column.dtype).str, column.channels) for name, column in columns.items()},
        hashlib.sha256(rows.data).hexdigest(),
    )
    folder = cache / digest
    if not is_complete(folder):
        with build(cache, digest) as building:
            _encode(gathered, rows, columns, building)
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    return Encoded(
        digest,
        gathered,
        Ragged.open(folder, "source"),
        Ragged.open(folder, "target"),
        read_column(folder / "row", np.int64),
        read_column(folder / "corpus", np.uint16),
        {side: _tally(found, gathered, side) for side, found in facts["too_long"].items()},
    )


def _encode(gathered: Gathered, rows: NDArray[np.int64], columns: Mapping[str, Column], folder: Path) -> None:
    too_long: dict[str, list[int]] = {name: [] for name in columns}
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(RaggedWriter(folder, name, column.dtype, column.channels))
            for name, column in columns.items()
        }
        row_file = stack.enter_context((folder / "row").open("wb"))
        corpus_file = stack.enter_context((folder / "corpus").open("wb"))
        for block in _blocks(gathered, rows, most=min(column.at_once for column in columns.values())):
            texts = {role: column.texts(block) for role, column in gathered.text.items()}
            items = {name: column.encoder(texts) for name, column in columns.items()}
            keep = np.ones(len(block), bool)
            for name, column in columns.items():
                fits = items[name].lengths <= column.longest
                too_long[name] += block[keep & ~fits].tolist()
                keep &= fits
            for name, writer in writers.items():
                writer.append(items[name] if keep.all() else items[name].take(np.flatnonzero(keep)))
            row_file.write(block[keep].tobytes())
            corpus_file.write(gathered.corpus(block[keep]).astype(np.uint16).tobytes())
    found = {name: {"count": len(rows), "rows": rows[:PLACES]} for name, rows in too_long.items()}
    if 0 < len(rows) == sum(len(left_out) for left_out in too_long.values()):
        raise NoneShort(_all_too_long({name: _tally(one, gathered, name) for name, one in found.items()}, columns))
    (folder / FACTS).write_text(json.dumps({"too_long": found}), encoding="utf-8")


def _tally(found: dict[str, Any], gathered: Gathered, side: str) -> Tally:
    return Tally(found["count"], [gathered.where(row, side) for row in found["rows"]])


def _blocks(gathered: Gathered, rows: NDArray[np.int64], *, most: int) -> Iterator[NDArray[np.int64]]:
    """Blocks of rows, bounded in rows and in bytes of text."""
    for start in range(0, len(rows), most):
        block = rows[start : start + most]
        size = sum(column.offset[block + 1] - column.offset[block] for column in gathered.text.values())
        yield from np.split(block, np.flatnonzero(np.diff(np.cumsum(size) // BLOCK_BYTES)) + 1)


def _all_too_long(too_long: Mapping[str, Tally], columns: Mapping[str, Column]) -> str:
    found = " and ".join(
        f"{tally.count:,} with a {name} of more than {columns[name].longest:,} "
        f"{'frames' if columns[name].channels else 'tokens'} (the first at {tally.places[0]})"
        for name, tally in too_long.items()
        if tally.count
    )
    return f"none is short enough to be used: {found}. Raise data.longest_source or data.longest_target."
