"""The report on corpora: what `inspect_corpus` found, as frozen values, as JSON and as text that is safe to print."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from seqsmith.data.counts import PLACES
from seqsmith.data.printable import printable

LISTED = 10_000
"""Places of each finding that JSON has; the text names the first few."""
RARE = 10
"""Characters that occur more often are not worth a line of text."""


@dataclass(frozen=True)
class Found:
    """How often something was met, and the places as `file:line`, the first `LISTED` of them."""

    count: int
    places: tuple[str, ...]


@dataclass(frozen=True)
class Quantiles:
    mean: float
    least: int
    median: int
    percent_95: int
    percent_99: int
    most: int


@dataclass(frozen=True)
class Character:
    code: str  # "U+00E9"
    name: str
    count: int
    place: str


@dataclass(frozen=True)
class Side:
    """One side of all pairs of one corpus."""

    characters: Quantiles
    words: Quantiles  # between white space
    alphabet: int  # distinct characters
    rarest: tuple[Character, ...]
    odd: tuple[Character, ...]  # control, format (bidirectional, invisible), private and unassigned characters


@dataclass(frozen=True)
class Part:
    """What one corpus holds."""

    path: str
    pairs: int
    sample: tuple[dict[str, str], ...]  # the first pairs, printable and cut
    reading: tuple[str, ...]  # sentences about what was met while reading
    sides: dict[str, Side]
    findings: dict[str, Found]


EMPTY = "empty rows"


@dataclass(frozen=True)
class Report:
    parts: dict[str, Part]  # "train", "dev", "test"
    overlap: dict[str, Found]

    def as_dict(self) -> dict[str, Any]:
        """The whole report as JSON has it."""
        return dataclasses.asdict(self)

    def lines(self) -> Iterator[str]:
        """The report as plain text, safe to print."""
        for name, part in self.parts.items():
            yield f"{name}: {printable(part.path, longest=1000)}, {part.pairs:,} pair{'s' * (part.pairs != 1)}"
            for pair in part.sample:
                yield "  " + "  |  ".join(pair.values())
            yield from (f"  {printable(sentence, longest=1000)}" for sentence in part.reading)
            for role, side in part.sides.items():
                yield from _side_lines(role, side)
            yield from _finding_lines(part.findings, part.pairs)
        if self.overlap:
            yield "overlap"
            yield from _finding_lines(self.overlap, None)


def _side_lines(role: str, side: Side) -> Iterator[str]:
    for unit, lengths in (("characters", side.characters), ("words", side.words)):
        yield (
            f"  {role} {unit}: {lengths.least:,} to {lengths.most:,}, median {lengths.median:,}, "
            f"mean {lengths.mean:,.1f}, 95 % up to {lengths.percent_95:,}, 99 % up to {lengths.percent_99:,}"
        )
    yield f"  {role} alphabet: {side.alphabet:,} characters"
    for character in side.rarest[:PLACES]:
        if character.count <= RARE:
            yield f"    rare: {_character(character)}"
    for character in side.odd[:PLACES]:
        yield f"    odd: {_character(character)}"


def _character(character: Character) -> str:
    place = printable(character.place, longest=1000)
    return f"{character.code} {character.name}, found {character.count:,}, first at {place}"


def _finding_lines(findings: dict[str, Found], pairs: int | None) -> Iterator[str]:
    for what, found in findings.items():
        rows = pairs and pairs + (found.count if what == EMPTY else 0)  # the empty ones are no pairs
        share = f" ({found.count / rows:.1%})" if rows and found.count else ""
        places = "".join(f"\n    {printable(place, longest=1000)}" for place in found.places[:PLACES])
        yield f"  {what}: {found.count:,}{share}{places}"
