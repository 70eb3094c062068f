"""From one TOML table to `Settings` and back, strictly: what is wrong is named with what to write instead."""

from __future__ import annotations

import difflib
import tomllib
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from seqsmith.config.tables import Corpus, Settings
from seqsmith.errors import UserError, nearest

CHOICES = (
    ("source", "tokeniser"),
    ("target", "tokeniser"),
    ("model", "encoder"),
    ("model", "decoder"),
    ("train", "schedule"),
    ("series", "loss"),
)
"""Settings of which there are several kinds, and of which rules may choose one."""


def read_table(path: Path) -> dict[str, Any]:
    """The TOML file as nested dicts. Raises UserError with the line where it does not parse."""
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such settings file.") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read as settings: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a TOML file: {error}.") from None


def override(table: dict[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """A copy of `table` with each `section.key=value` laid over it; values are TOML, a bare word is a string."""
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise UserError(f"--set {assignment}: expected section.key=value, for example train.epochs=20.")
        try:
            value = tomllib.loads(f"x = {text}")["x"]
        except tomllib.TOMLDecodeError:
            value = text
        table = merge(table, nested(key.strip(), value))
    return table


def nested(key: str, value: Any) -> dict[str, Any]:
    """The table in which `section.key` has this value."""
    *outer, inner = key.split(".")
    return reduce(lambda table, name: {name: table}, reversed(outer), {inner: value})


@contextmanager
def told_of(file: Path | None, assignments: Sequence[str]) -> Iterator[None]:
    """Errors about settings name the file that they are of, where there is one."""
    try:
        yield
    except UserError as error:
        rest = str(error).removeprefix("settings: ")
        if file is None or rest == str(error):
            raise
        raise UserError(f"{file}{' and --set' if assignments else ''}: {rest}") from None


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one nested table over another. A table with another `kind` replaces the whole table below it."""
    result = dict(under)
    for key, value in over.items():
        below = result.get(key)
        below = {"kind": below} if isinstance(below, str) and isinstance(value, Mapping) else below
        if isinstance(below, Mapping) and isinstance(value, str) and "kind" in below:
            value = {"kind": value}
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            other_kind = "kind" in value and "kind" in below and value["kind"] != below["kind"]
            result[key] = dict(value) if other_kind else merge(below, value)
        else:
            result[key] = value
    return result


def build(table: Mapping[str, Any], *, where: str) -> Settings:
    """Check `table` whole. Raises UserError that names the key, what was found and what is expected."""
    try:
        return Settings.model_validate(_tuples(table))
    except ValidationError as error:
        raise UserError(_explain(error, where)) from None


def read(path: Path) -> Settings:
    """The settings in a TOML file, whole. Raises UserError that names the file."""
    return build(read_table(path), where=str(path))


def draft(table: Mapping[str, Any], *, where: str) -> Settings:
    """Like `build`, before the data is known: a choice that has no kind yet must only fit one of its kinds."""
    for section, name in CHOICES:
        part = table.get(section)
        choice = part.get(name) if isinstance(part, Mapping) else None
        if isinstance(choice, Mapping) and "kind" not in choice:
            fits = kinds_with(section, name, choice) or kinds_with(section, name, ())
            table = merge(table, {section: {name: {"kind": fits[0]}}})
    return build(table, where=where)


def kinds_with(section: str, name: str, settings: Iterable[str]) -> tuple[str, ...]:
    """The kinds of one of the CHOICES that have all these settings."""
    choices = tables(Settings.model_fields[section].annotation)[0].model_fields[name].annotation
    return tuple(kinds(one)[0] for one in tables(choices) if set(settings) <= one.model_fields.keys())


def dump(settings: Settings) -> str:
    """The settings as TOML, every value resolved; `build(tomllib.loads(dump(s))) == s`."""
    lines: list[str] = []
    _write_table(settings.model_dump(mode="python", exclude_none=True), (), lines)
    return "\n".join(lines).strip() + "\n"


def _write_table(table: Mapping[str, Any], path: tuple[str, ...], lines: list[str]) -> None:
    if path:
        lines += ["", f"[{'.'.join(path)}]"]
    inner = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    lines += [f"{key} = {_toml(value)}" for key, value in table.items() if key not in inner]
    for key, value in inner.items():
        _write_table(value, (*path, key), lines)


def _toml(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in escaped) + '"'
        case list() | tuple():
            return "[" + ", ".join(_toml(item) for item in value) + "]"
        case Mapping():
            return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    raise AssertionError(f"{value!r} has no TOML form")


def _tuples(value: Any) -> Any:
    """TOML has lists where the settings have tuples, and 1 where they have 1.0 (pydantic takes that one itself)."""
    if isinstance(value, Mapping):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _explain(error: ValidationError, where: str) -> str:
    errors = error.errors(include_url=False)
    first = errors[0]
    location = [str(part) for part in first["loc"]]
    model, keys = _descend(location)
    key = ".".join(name for name in keys if not name.isdigit())
    elsewhere = _elsewhere(key)
    key += "".join(f", number {int(name) + 1}" for name in keys if name.isdigit())
    match first["type"]:
        case "extra_forbidden":
            return f"{where}: unknown setting `{key}`.{elsewhere or nearest(keys[-1], model.model_fields)}"
        case "value_error":
            told = first["msg"].removeprefix("Value error, ")
            return f"{where}: {key}: {told}." if key else f"{where}: {told}."
        case "union_tag_invalid":
            expected, tag = first["ctx"]["expected_tags"], first["ctx"]["tag"]
            near = difflib.get_close_matches(tag, expected.strip("'").split("', '"), n=1)
            hint = f" Did you mean `{near[0]}`?" if near else ""
            if tag in ("bpe", "unigram") and keys[-1] == "tokeniser":
                hint = f" Say {key}.kind=sentencepiece and {key}.algorithm={tag}."
            return f"{where}: {key}.kind: found {tag!r}, expected one of {expected}.{hint}"
        case "union_tag_not_found":
            return f"{where}: {key}: a table here needs its `kind`."
        case "tuple_type" if model is Corpus and isinstance(first["input"], Mapping):
            return f"{where}: {key}: found one table, expected a list: write [[{key}]], with two brackets, for each."
    of_this_key = [each for each in errors if _descend([str(part) for part in each["loc"]])[1] == keys]
    expected = " or ".join(dict.fromkeys(_expected(each) for each in of_this_key))
    return f"{where}: {key}: found {first['input']!r}, expected {expected}."


def _elsewhere(key: str) -> str:
    """What is to be said of a setting that other tables have, and this one has in no kind."""
    from seqsmith.config import manual

    name = key.rpartition(".")[2]
    homes = dict.fromkeys(entry.key for entry in manual.entries() if entry.key.rpartition(".")[2] == name)
    if not homes or key in homes:
        return ""
    if name in homes:  # of no table: what is meant most
        return f" Did you mean `{name}`?"
    return f" Did you mean {' or '.join(f'`{home}`' for home in list(homes)[:3])}?"


def _expected(error: Any) -> str:
    """What a value must be, from one of pydantic's errors."""
    limits = error.get("ctx", {})
    match error["type"]:
        case "int_type" | "int_from_float":
            return "a whole number"
        case "float_type":
            return "a number"
        case "finite_number":
            return "a finite number"
        case "string_type":
            return "a text"
        case "string_too_short":
            return "a text that is not empty"
        case "bool_type":
            return "true or false"
        case "tuple_type":
            return "a list"
        case "too_long":
            return f"{limits['max_length']} of them at most"
        case "missing":
            return "a value for it"
        case "greater_than":
            return f"more than {limits['gt']:g}"
        case "greater_than_equal":
            return f"{limits['ge']:g} or more"
        case "less_than":
            return f"less than {limits['lt']:g}"
        case "less_than_equal":
            return f"{limits['le']:g} or less"
        case "literal_error":
            return f"one of {limits['expected'].replace(' or ', ', ')}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return "a table of settings"
    return f"something else: {error['msg'][0].lower()}{error['msg'][1:]}"


def _descend(location: list[str]) -> tuple[type[BaseModel], list[str]]:
    """The table that an error's location ends in, and the location without the tags of unions."""
    model: type[BaseModel] = Settings
    keys: list[str] = []
    choices: list[type[BaseModel]] = []
    for part in location:
        tagged = [choice for choice in choices if part in kinds(choice)]
        if tagged:
            model, choices = tagged[0], []
            continue
        if not part.isdigit() and part in ("str", "int", "constrained-int"):
            continue  # the branch of a union of plain types
        keys.append(part)
        field = model.model_fields.get(part)
        choices = tables(field.annotation) if field is not None else choices
        if len(choices) == 1:
            model = choices[0]
            choices = []
    return model, keys


def tables(annotation: Any) -> list[type[BaseModel]]:
    """The tables that a setting may be."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [table for inner in typing.get_args(annotation) for table in tables(inner)]


def kinds(table: type[BaseModel]) -> tuple[str, ...]:
    """What the table may have as its `kind`; none where it has no kind."""
    field = table.model_fields.get("kind")
    return typing.get_args(field.annotation) if field is not None else ()
