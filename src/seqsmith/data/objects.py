"""JSON Lines: one object a line, whose values are texts and whose keys are each there once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from seqsmith import config
from seqsmith.data.columns import Role, Rows, check_told, choose
from seqsmith.data.counts import Counts
from seqsmith.data.files import shown
from seqsmith.data.lines import read_lines
from seqsmith.data.printable import printable
from seqsmith.errors import UserError, nearest


def read_objects(path: str, roles: Sequence[Role], settings: config.Data, counts: Counts) -> Iterator[Rows]:
    """All rows, empty ones included: a blank line or a null is an empty text. Keys that play no role are counted once.

    A text is a JSON string and nothing else, but where a role is a number: 1e3, 1000 and 1000.0 are one number but
    three different texts. What may be a number, the start of a recording's part, need not be there in every object.
    """
    keys: dict[str, str] | None = None
    known: set[str] = set()
    numbers = {role.name for role in roles if role.numbers}
    decoder = json.JSONDecoder(object_pairs_hook=_once)
    for block in read_lines(path, settings, counts):
        line: list[int] = []
        objects: list[dict[str, Any] | None] = []
        for index, text in enumerate(block.texts):
            number = block.first + index
            if index in block.bad:
                counts.bad_utf8_skipped.add(block.path, [number])
                continue
            line.append(number)
            row = _object(text, f"{block.path}:{number}", decoder) if text.strip() else None
            objects.append(row)
            if keys is None and row is not None:
                names = list(row)
                where = f"{block.path}:{number}"
                check_told(roles, names, where)
                chosen = choose(roles, names, width=len(names), where=where, kind="the keys of the JSON object")
                keys = {role: names[column] for role, column in chosen.items()}
                known |= set(keys.values())
            if row and keys and not numbers <= keys.keys():
                keys |= {name: name for name in numbers & row.keys()}
                known |= numbers & row.keys()
            if row and keys and "target" in keys and not known.issuperset(row):  # who only answers leaves out more
                counts.unused_columns.add(block.path, [number] * len(row.keys() - known))
                known.update(row)
        if keys is None:
            fields = {role.name: [""] * len(line) for role in roles if role.position is not None}
        else:
            fields = {
                role: _texts(objects, key, line, block.path, numbers=role in numbers) for role, key in keys.items()
            }
        yield Rows(shown(path), line, fields)


class _Twice(ValueError):
    """A key of an object is there twice."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these keys and values."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Twice(next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1))
    return found


def _object(text: str, where: str, decoder: json.JSONDecoder) -> dict[str, Any]:
    try:
        value = decoder.decode(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: not JSON: {error.msg} at character {error.pos + 1} of the line.") from None
    except _Twice as error:
        raise UserError(
            f"{where}: the key `{printable(str(error))}` is there twice in one object; expected each key once. Take "
            "one of them out."
        ) from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        raise UserError(f"{where}: not JSON that can be read: {error}.") from None
    if not isinstance(value, dict):
        raise UserError(
            f'{where}: expected a JSON object such as {{"source": ..., "target": ...}}, found {_sort(value)}.'
        )
    return value


def _texts(objects: list[dict[str, Any] | None], key: str, line: list[int], path: str, *, numbers: bool) -> list[str]:
    try:
        values = ["" if row is None else row.get(key, "") if numbers else row[key] for row in objects]
    except KeyError:
        number, row = next(
            (at, row) for at, row in zip(line, objects, strict=True) if row is not None and key not in row
        )
        known = (printable(other) for other in row)
        raise UserError(f"{path}:{number}: the key `{printable(key)}` is missing.{nearest(key, known)}") from None
    if numbers:
        values = [repr(value) if type(value) in (int, float) else value for value in values]
    if set(map(type, values)) - {str}:
        for number, value in zip(line, values, strict=True):
            if value is not None and not isinstance(value, str):
                raise UserError(
                    f'{path}:{number}: expected a text in quotation marks for "{printable(key)}", found {_sort(value)}.'
                )
        values = ["" if value is None else value for value in values]
    try:
        "".join(values).encode()
    except UnicodeEncodeError as error:
        half = str(error.object)[error.start]
        number = next(number for number, value in zip(line, values, strict=True) if half in value)
        raise UserError(
            f'{path}:{number}: "{printable(key)}" holds half a surrogate pair (\\u{ord(half):04x}), which is no '
            "character. Write the whole pair, or the character itself."
        ) from None
    return values


def _sort(value: object) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return f"the number {printable(str(value))}"
        case str():
            return "a string"
        case list():
            return "a list"
        case dict():
            return "an object"
    return "null"
