"""Every setting with what it may be, what it is when left out, and its comment, as the tables themselves have them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from seqsmith.config.reading import kinds, tables
from seqsmith.config.tables import Settings

_FIELD = re.compile(r"^    (\w+): [^#]*?(?:# (.*))?$", re.MULTILINE)
_NAMES = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true, false"}
_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


@dataclass(frozen=True)
class Entry:
    """One setting."""

    key: str  # "train.rate"
    kind: str  # of the table it belongs to, if that has one: "cosine"
    expected: str  # "number > 0"
    default: str  # "from the data", if a rule chooses it
    comment: str

    def __str__(self) -> str:
        where = f"  [{self.kind}]" if self.kind else ""
        comment = f"  {self.comment}" if self.comment else ""
        return f"{self.key} = {self.default}  ({self.expected}){where}{comment}"


def markdown() -> str:
    """All settings as a page."""
    lines = [
        "# Every setting",
        "",
        "Written by `seqsmith settings --markdown`; `seqsmith settings WORD` finds some. Give them to `seqsmith train`",
        "as `--set key=value`, or in a TOML file with `--config`; `run/config.toml` shows what a run took. What you",
        "leave out is chosen from the data where this page says so, and so are sizes and dropout of a model whose kind",
        "you leave out: `train` prints what it chose, and why. A bare word stands for a table of that kind:",
        "`model.encoder=gru`.",
    ]
    section = None
    for entry in entries():
        if entry.key.partition(".")[0] != section:
            section = entry.key.partition(".")[0]
            lines += [
                "",
                f"## {section}",
                "",
                "| setting | of kind | may be | if left out | |",
                "|---|---|---|---|---|",
            ]
        cells = (f"`{entry.key}`", entry.kind, entry.expected, entry.default, entry.comment)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


@cache
def entries() -> tuple[Entry, ...]:
    """All settings, in the order of the tables."""
    return tuple(_of_table(Settings, "", ""))


def _of_table(table: type[BaseModel], prefix: str, kind: str) -> Iterator[Entry]:
    schema = table.model_json_schema()
    comments = dict(_FIELD.findall(inspect.getsource(table)))
    for name, field in table.model_fields.items():
        key, inner = f"{prefix}{name}", tables(field.annotation)
        if name == "kind":
            continue
        if any(kinds(one) for one in inner):
            choices = ", ".join(f'"{each}"' for one in inner for each in kinds(one))
            yield Entry(f"{key}.kind", kind, choices, _default(field, comments[name]), comments[name])
        elif not inner:
            expected = _expected(schema["properties"][name])
            yield Entry(key, kind, expected, _default(field, comments[name]), comments[name])
        for one in inner:
            item = "[]" if str(field.annotation).startswith("tuple") else ""
            yield from _of_table(one, f"{key}{item}.", ", ".join(kinds(one)) or kind)


def _default(field: FieldInfo, comment: str) -> str:
    """As TOML has it."""
    value = field.default
    if field.is_required():
        return "must be given"
    if value is None:
        return "-" if "None:" in comment else "from the data"
    if isinstance(value, BaseModel):
        return f'"{value.kind}"' if "kind" in type(value).model_fields else ""  # type: ignore[attr-defined]
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return str(list(value))
    return f'"{value}"' if isinstance(value, str) else str(value)


def _expected(schema: Mapping[str, Any]) -> str:
    """In words, from the JSON schema of a setting."""
    if "anyOf" in schema:
        return " or ".join(_expected(each) for each in schema["anyOf"] if each.get("type") != "null")
    if "enum" in schema:
        return ", ".join(f'"{each}"' if isinstance(each, str) else str(each) for each in schema["enum"])
    if schema["type"] == "array":
        items = schema.get("prefixItems", [schema.get("items")])
        each = [_expected(item) for item in items]
        return f"list of {each[0]}" if len(set(each)) == 1 else f"list of {', '.join(each)}"
    bounds = " and ".join(f"{sign} {schema[name]:g}" for name, sign in _BOUNDS.items() if name in schema)
    return f"{_NAMES[schema['type']]} {bounds}".strip()
