"""What reading met: rows read, kept and left out, and what was odd in them, each with its first places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

PLACES = 5
"""How many places of each kind are remembered or told."""


@dataclass
class Tally:
    """How often something was met, and the first places as `file:line`."""

    count: int = 0
    places: list[str] = field(default_factory=list)
    most: int = PLACES  # places that are remembered

    def add(self, path: str, lines: Sequence[int]) -> None:
        self.count += len(lines)
        self.places += [f"{path}:{line}" for line in lines[: self.most - len(self.places)]]


def told(tallies: Iterable[tuple[Tally, str]]) -> Iterator[str]:
    """A sentence for each thing that was met."""
    for tally, what in tallies:
        if tally.count:
            yield f"{what}: {tally.count:,}, the first at {tally.places[0]}."


@dataclass
class Counts:
    """Every row is kept or tallied as left out."""

    kept: int = 0
    headers: Tally = field(default_factory=Tally)
    nameless: Tally = field(default_factory=Tally)
    unused_columns: Tally = field(default_factory=Tally)
    empty: Tally = field(default_factory=Tally)
    bad_utf8_skipped: Tally = field(default_factory=Tally)
    bad_utf8_replaced: Tally = field(default_factory=Tally)
    carriage_returns: Tally = field(default_factory=Tally)
    no_line_feed: Tally = field(default_factory=Tally)
    control: Tally = field(default_factory=Tally)
    bidi: Tally = field(default_factory=Tally)

    @property
    def rows(self) -> int:
        """All rows there were, header lines not among them."""
        return self.kept + self.empty.count + self.bad_utf8_skipped.count

    def sentences(self) -> Iterator[str]:
        """One sentence for each thing that was met."""
        tallies = (
            (self.headers, "Header lines taken for column names"),
            (self.nameless, "First rows read as examples (are they names of columns? Set data.header=true)"),
            (
                self.unused_columns,
                "Columns or keys that are left out, for no setting asks for them (tags? Set data.features)",
            ),
            (self.empty, "Rows left out because source or target is empty"),
            (self.bad_utf8_skipped, "Rows left out because they are not UTF-8"),
            (self.bad_utf8_replaced, "Lines with bytes that are not UTF-8, replaced by U+FFFD"),
            (self.carriage_returns, "Lines that ended in a carriage return, which was removed"),
            (
                self.no_line_feed,
                "Files of one line that holds carriage returns (do its lines end in them? Save it with line feeds)",
            ),
            (self.control, "Texts with control characters, kept as they are"),
            (self.bidi, "Texts with bidirectional or invisible marks, kept as they are"),
        )
        return told(tallies)
