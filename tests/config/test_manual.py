"""The list of settings has them all, and the page is the list."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path

import pytest

from seqsmith import config
from seqsmith.config import tables
from seqsmith.config.manual import entries, markdown
from seqsmith.errors import UserError

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_is_what_the_tables_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown(), "run: seqsmith settings --markdown > docs/settings.md"


def test_no_comment_is_lost_to_a_wrapped_line() -> None:
    assert not re.findall(r"^    \w+: .*= \($", inspect.getsource(tables), re.MULTILINE)


def test_a_setting_is_listed_with_all_about_it() -> None:
    listed = [str(entry) for entry in entries()]
    assert "train.clip = 1.0  (number > 0)  largest norm of the gradient" in listed
    assert 'model.encoder.activation = "relu"  ("relu", "gelu", "swiglu")  [transformer]' in listed
    assert "train.schedule.factor = 0.5  (number > 0 and < 1)  [plateau]" in listed
    assert "search.beam = from the data  (whole number > 0 and ≤ 10000)  width; 1 is greedy" in listed


@pytest.mark.parametrize("entry", [entry for entry in entries() if "[]" not in entry.key], ids=str)
def test_what_is_listed_is_a_setting_and_its_default_is_allowed(entry) -> None:
    parent = entry.key.rpartition(".")[0]
    table = {}
    if entry.kind and not entry.key.endswith(".kind"):
        kind = entry.kind.split(", ")[0]
        place = parent if not parent.endswith("augment") else "source"
        table = config.override(table, [f"{place}.kind={kind}"] if kind != "text" else [])
    default = "null" if entry.default in ("-", "from the data") else entry.default
    if default == "null":
        with pytest.raises(
            UserError, match=r"found \{'no': 'value'\}|kind: found|unknown setting .*\.no`|needs its `kind`"
        ):
            config.draft(config.override(table, [f'{entry.key}={{no="value"}}']), where="test")
    else:
        assert tomllib.loads(f"x = {default}")
        config.draft(config.override(table, [f"{entry.key}={default}"]), where="test")
