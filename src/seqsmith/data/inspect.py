"""What is in a corpus and what is wrong with it: sizes, lengths, alphabet, duplicates, overlap, copies, outliers.

One pass over each file, then arrays of 40 bytes a pair: texts are compared by 64-bit digests (BLAKE2b), so that 10
million pairs fit into a gigabyte; among them, two different texts share a digest with a chance of 3 in a million.
"""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from seqsmith import config
from seqsmith.data.corpus import Role, Rows, read_rows
from seqsmith.data.counts import Counts, Tally
from seqsmith.data.files import shown
from seqsmith.data.printable import printable
from seqsmith.data.report import EMPTY, LISTED, Character, Found, Part, Quantiles, Report, Side
from seqsmith.data.split import Hashes, hash_texts, pair_hashes

RATIO = 4.0
"""A pair is an outlier where its ratio of lengths is this many times off the median ratio,"""
RATIO_CHARACTERS = 20
"""and its longer side has this many characters."""
RAREST = 20
CODES = 0x110000
_ASKED = ("source", "features")  # what an answer depends on
_PAIR = ("source", "target", "features")


def inspect_corpus(
    train: config.Corpus,
    roles: Sequence[Role],
    settings: config.Data,
    *,
    dev: config.Corpus | None = None,
    test: config.Corpus | None = None,
) -> Report:
    """Read every corpus once and report what is in it."""
    given = {"train": train, "dev": dev, "test": test}
    surveys = {name: _survey(corpus, roles, settings) for name, corpus in given.items() if corpus is not None}
    overlap: dict[str, Found] = {}
    for name, seen_in in (("dev", "train"), ("test", "train"), ("test", "dev")):
        if name in surveys and seen_in in surveys:
            overlap |= _overlap(name, surveys[name], seen_in, surveys[seen_in])
    return Report({name: survey.part() for name, survey in surveys.items()}, overlap)


# ------------------------------------------------------------------------------------------- one pass


@dataclass
class _Column:
    """One side of a corpus in arrays: per row 8 bytes of digest and twice 4 of length; per character its count."""

    digest: array[int] = field(default_factory=lambda: array("Q"))
    characters: array[int] = field(default_factory=lambda: array("I"))
    words: array[int] = field(default_factory=lambda: array("I"))
    count_of: NDArray[np.int64] = field(default_factory=lambda: np.zeros(CODES, np.int64))
    line_of: NDArray[np.int64] = field(default_factory=lambda: np.zeros(CODES, np.int64))  # of its first occurrence

    def add(self, texts: list[str], lines: list[int]) -> None:
        self.digest.frombytes(hash_texts(texts).tobytes())
        lengths = list(map(len, texts))
        self.characters.extend(lengths)
        self.words.extend([len(text.split()) for text in texts])
        codes = np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32)
        met = np.bincount(codes)
        new = np.flatnonzero((met > 0) & (self.count_of[: len(met)] == 0))
        if len(new):
            found, first = np.unique(codes, return_index=True)
            row = np.searchsorted(np.cumsum(lengths), first, side="right")
            fresh = np.isin(found, new)
            self.line_of[found[fresh]] = np.asarray(lines)[row[fresh]]
        self.count_of[: len(met)] += met

    def side(self, path: str) -> Side:
        codes = np.flatnonzero(self.count_of)
        rarest = codes[np.argsort(self.count_of[codes], kind="stable")][:RAREST]
        odd = [code for code in codes if unicodedata.category(chr(code)) in ("Cc", "Cf", "Co", "Cn")]

        def described(code: int) -> Character:
            name = unicodedata.name(chr(code), "without a name")
            return Character(f"U+{code:04X}", name, int(self.count_of[code]), f"{path}:{self.line_of[code]}")

        return Side(
            _quantiles(self.characters),
            _quantiles(self.words),
            len(codes),
            tuple(described(int(code)) for code in rarest),
            tuple(described(int(code)) for code in odd),
        )


@dataclass
class _Survey:
    path: str
    target_path: str  # the same, or the file beside it
    counts: Counts
    line: array[int] = field(default_factory=lambda: array("Q"))
    column: dict[str, _Column] = field(default_factory=dict)
    sample: list[dict[str, str]] = field(default_factory=list)

    def add(self, rows: Rows) -> None:
        self.line.extend(rows.line)
        for name, texts in rows.fields.items():
            self.column.setdefault(name, _Column()).add(texts, rows.line)
        if not self.sample:
            first = zip(*(texts[:3] for texts in rows.fields.values()), strict=True)
            self.sample = [dict(zip(rows.fields, map(printable, row), strict=True)) for row in first]

    def digests(self, *names: str) -> Hashes:
        """Of the columns of these names together; one that the corpus lacks is left out."""
        columns = (self.column[name].digest for name in names if name in self.column)
        return reduce(pair_hashes, (np.frombuffer(digest, np.uint64) for digest in columns))

    def place(self, row: np.intp | int, side: str = "source") -> str:
        return f"{self.target_path if side == 'target' else self.path}:{self.line[row]}"

    def part(self) -> Part:
        paths = {"target": self.target_path}
        sides = {name: column.side(paths.get(name, self.path)) for name, column in self.column.items()}
        findings = {EMPTY: Found(self.counts.empty.count, tuple(self.counts.empty.places))}
        if {"source", "target"} <= sides.keys():
            findings |= _pair_findings(self)
        elif "source" in sides:
            findings["repeated sources"] = _repeats(self, self.digests(*_ASKED))
        reading = tuple(self.counts.sentences())
        return Part(self.path, len(self.line), tuple(self.sample), reading, sides, findings)


def _survey(corpus: config.Corpus, roles: Sequence[Role], settings: config.Data) -> _Survey:
    survey = _Survey(shown(corpus.path), shown(corpus.target or corpus.path), Counts(empty=Tally(most=LISTED)))
    for rows in read_rows(corpus, roles, settings, survey.counts):
        survey.add(rows)
    return survey


# ------------------------------------------------------------------------------------------- findings


def _quantiles(lengths: array[int]) -> Quantiles:
    values = np.frombuffer(lengths, np.uint32)
    cuts = np.quantile(values, [0, 0.5, 0.95, 0.99, 1], method="higher")
    return Quantiles(round(float(values.mean()), 2), *(int(cut) for cut in cuts))


def _pair_findings(survey: _Survey) -> dict[str, Found]:
    pair = survey.digests(*_PAIR)
    same = survey.digests("source") == survey.digests("target")
    return {
        "repeated pairs": _repeats(survey, pair),
        "sources with several targets": _several_targets(survey, survey.digests(*_ASKED), pair),
        "source and target the same": _found(survey, np.flatnonzero(same)),
        "unusual ratio of lengths": _found(survey, _outliers(survey)),
    }


def _found(survey: _Survey, rows: NDArray[np.intp]) -> Found:
    return Found(len(rows), tuple(survey.place(row) for row in rows[:LISTED]))


def _repeats(survey: _Survey, digests: Hashes) -> Found:
    order = np.argsort(digests, kind="stable")
    again = digests[order[1:]] == digests[order[:-1]]
    rows = np.sort(order[1:][again])
    listed = rows[:LISTED]
    first = zip(listed, _first(digests, digests[listed]), strict=True)
    return Found(len(rows), tuple(f"{survey.place(row)} (as {survey.place(seen)})" for row, seen in first))


def _first(digests: Hashes, wanted: Hashes) -> NDArray[np.intp]:
    """The first row of each of the digests that are wanted."""
    order = np.argsort(digests, kind="stable")
    return order[np.searchsorted(digests, wanted, sorter=order)]


def _several_targets(survey: _Survey, source: Hashes, pair: Hashes) -> Found:
    rows = np.sort(np.unique(pair, return_index=True)[1])  # each pair once
    _, first, times = np.unique(source[rows], return_index=True, return_counts=True)
    return _found(survey, rows[np.sort(first[times > 1])])


def _outliers(survey: _Survey) -> NDArray[np.intp]:
    source, target = (np.frombuffer(survey.column[name].characters, np.uint32) for name in ("source", "target"))
    ratio = np.log(source / target)  # no side is empty
    off = np.abs(ratio - np.median(ratio)) > np.log(RATIO)
    return np.flatnonzero(off & (np.maximum(source, target) >= RATIO_CHARACTERS))


def _overlap(name: str, survey: _Survey, seen_in: str, other: _Survey) -> dict[str, Found]:
    found: dict[str, Found] = {}
    sides = [side for side in ("source", "target") if side in survey.column and side in other.column]
    for side in sides:
        shared = _shared(survey, survey.digests(side), other, other.digests(side), side)
        found[f"{side}s of {name} in {seen_in}"] = shared
    if "target" in sides:
        found[f"pairs of {name} in {seen_in}"] = _shared(survey, survey.digests(*_PAIR), other, other.digests(*_PAIR))
    return found


def _shared(survey: _Survey, digests: Hashes, other: _Survey, others: Hashes, side: str = "source") -> Found:
    rows = np.flatnonzero(np.isin(digests, others))
    listed = rows[:LISTED]
    first = zip(listed, _first(others, digests[listed]), strict=True)
    return Found(len(rows), tuple(f"{survey.place(row, side)} ({other.place(seen, side)})" for row, seen in first))
