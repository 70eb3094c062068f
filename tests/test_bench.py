"""What the benchmarks publish, and the text that they make where there is no data."""

from __future__ import annotations

import importlib
import json
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parents[1] / "bench"
MEASURED = {
    "share_of_peak": 0.5,
    "peak_gflops": 260.0,
    "padding": 0.003,
    "peak_megabytes": 1092,
    "parameters": 7_600_000,
}


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCH))


@pytest.fixture
def script() -> ModuleType:
    return importlib.import_module("peers")


def test_the_page_has_the_newest_row_of_each_case_and_keeps_what_stands_around(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = {"shape": "T", "threads": 2, "data": "made", "date": "2026-11-22"}
    rows = [
        {**head, **MEASURED, "tool": "seqsmith fp32", "tokens_per_second": 1},
        {**head, **MEASURED, "tool": "opennmt", "version": "3.5.1", "tokens_per_second": 2003, "ratio": 1.43},
        {**head, "tool": "eole", "failed": "cannot be run: a | b"},
        {**head, **MEASURED, "tool": "seqsmith fp32", "tokens_per_second": 2866},
    ]
    results, page = tmp_path / "peers.jsonl", tmp_path / "page.md"
    results.write_text("".join(json.dumps(row) + "\n" for row in rows))
    page.write_text(f"before\n{script.BEGIN}\nold\n{script.END}\nafter\n")
    monkeypatch.setattr(script, "RESULTS", results)
    monkeypatch.setattr(script, "PAGE", page)
    script.publish()
    written = page.read_text()
    script.publish()
    assert page.read_text() == written
    lines = written.splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    table = [line for line in lines if line.startswith("| T |")]
    assert [line.split(" | ")[1:4] for line in table] == [
        ["seqsmith fp32", "2,866", ""],
        ["opennmt 3.5.1", "2,003", "1.43"],
        ["eole", "cannot be run: a / b", ""],
    ]
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    assert all(peer.adapted in written for peer in script.PEERS.values())


def test_the_page_of_performance_has_a_place_for_the_table(script: ModuleType) -> None:
    page = script.PAGE.read_text(encoding="utf-8")
    assert page.count(script.BEGIN) == page.count(script.END) == 1
    assert page.index(script.BEGIN) < page.index(script.END)


def test_every_peer_has_a_driver(script: ModuleType) -> None:
    assert all(peer.driver.is_file() for peer in script.PEERS.values())


def test_made_pairs_are_parallel_and_the_same_for_the_same_seed(tmp_path: Path) -> None:
    made = importlib.import_module("corpus").made
    one, again, other = (
        [path.read_text() for path in made(tmp_path, name, 300, seed=seed)]
        for name, seed in (("one", 1), ("again", 1), ("other", 2))
    )
    assert one == again != other
    lengths = [[len(line.split()) for line in text.splitlines()] for text in one]
    assert lengths[0] == lengths[1]
    assert len(lengths[0]) == 300
    assert min(lengths[0]) >= 3


def test_the_page_of_results_says_what_the_rows_say() -> None:
    page = importlib.import_module("quality_page")
    rows = [json.loads(line) for line in page.RESULTS.read_text().splitlines()]
    assert page.TABLE.read_text() == page.page(rows)
    assert page.GOALS.keys() == page.TASKS.keys()


def test_the_settings_that_were_scored_last_stand_beside_what_was_wanted() -> None:
    page = importlib.import_module("quality_page")
    head = {"models": 1, "score": "bleu", "dev": 40.0, "parameters": 1000, "minutes": 2.0, "threads": 1, "date": "d"}
    head |= {"task": "multi30k-transformer", "set": "en-de"}
    family = "model.family=transformer"
    rows = [
        {**head, "seeds": 1, "test": 43.0, "settings": [family, "train.rate=0.1"]},
        {**head, "seeds": 1, "test": 41.4, "settings": [family]},
        {**head, "seeds": 2, "test": 41.2, "settings": [family]},
        {**head, "seeds": "all", "models": 2, "test": 40.0, "settings": [family]},
    ]
    found = page.page(rows)
    standing, earlier = found.split("## Earlier settings")
    command = "python bench/quality.py multi30k-transformer --seeds 1 2"
    assert "| multi30k-transformer | bleu | 41.30 | 41.02 | yes | 42.00 | **no** |" in standing
    assert "Aims that were missed: multi30k-transformer 42.00 (41.30);" in standing
    assert "| 41.30 | 41.02 | yes | 41.40, 41.20 | 1, 2 | 1,000 | 2.0 on 1 | d | `" + command in standing
    assert "| 40.00 | 41.02 | **no** | 40.00 | 2 together | 1,000 | 2.0 on 1 | d | `" + command + " --ens" in standing
    assert "43.00" not in standing
    assert "| 40.00 | 43.00 | 43.00 | 1 | 1,000 | 2.0 on 1 | d | `seqsmith train $SEQSMITH_DATA/multi30k" in earlier
    assert "--set train.rate=0.1 --set seed=1 --set train.threads=1`" in earlier


def test_the_commands_of_the_page_of_results_are_understood() -> None:
    page, quality = importlib.import_module("quality_page"), importlib.import_module("quality")
    commands = re.findall(r"`python bench/quality.py (\S[^`.]* --check[^`]*)`", page.TABLE.read_text())
    assert len(commands) > 40
    for command in commands:
        options = quality.read(shlex.split(command))
        assert options.check
        assert {one[0] for one in page.TASKS[options.tasks[0]].sets} >= set(options.sets or ())
