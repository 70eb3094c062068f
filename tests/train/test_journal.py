from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqsmith.errors import UserError
from seqsmith.train.journal import Journal, read_journal

values = st.one_of(st.text(), st.integers(), st.booleans(), st.floats(allow_nan=False), st.lists(st.text(), max_size=3))
events = st.lists(st.dictionaries(st.text(), values, max_size=4).filter(lambda event: "time" not in event), max_size=5)


def write(path: Path, *written: dict[str, Any]) -> None:
    with closing(Journal(path)) as journal:
        for event in written:
            journal.write(event)


def read(path: Path) -> list[dict[str, Any]]:
    return [{key: value for key, value in event.items() if key != "time"} for event in read_journal(path)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=events, second=events)
def test_every_event_comes_back_in_order_over_several_openings(
    tmp_path: Path, first: list[dict[str, Any]], second: list[dict[str, Any]]
) -> None:
    path = tmp_path / "journal.jsonl"
    path.unlink(missing_ok=True)
    write(path, *first)
    write(path, *second)
    assert read(path) == first + second


def test_every_event_says_when_it_was(tmp_path: Path) -> None:
    write(tmp_path / "journal.jsonl", {"event": "start"})
    assert next(iter(read_journal(tmp_path / "journal.jsonl")))["time"].endswith("+00:00")


def test_an_event_can_be_read_before_the_journal_is_closed(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "journal.jsonl")) as journal:
        journal.write({"event": "start"})
        assert read(tmp_path / "journal.jsonl") == [{"event": "start"}]


def test_a_line_torn_by_a_crash_costs_no_other_event(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, {"event": "start", "ä": "\u2028"}, {"event": "update"})
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        lines = whole[:cut].count(b"\n")
        assert len(read(path)) == lines
        write(path, {"event": "end"})
        assert len(read(path)) == lines + 1
        assert read(path)[-1] == {"event": "end"}


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, {"event": "start"})
    path.write_bytes(path.read_bytes() + b'{"event": upd\n{"event": "end"}\n')
    with pytest.raises(UserError) as error:
        read(path)
    assert str(error.value) == f"{path}:2: found b'{{\"event\": upd', expected one JSON object: damaged."
