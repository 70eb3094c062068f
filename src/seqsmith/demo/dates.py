"""Pairs for the demonstration: a date as people write it, and the same date in ISO 8601.

    Sonntag, den 22. November 2026  ->  2026-11-22
    ٢٢ نوفمبر ٢٠٢٦                  ->  2026-11-22

The years are 1900 to 2099. Where only two digits of the year are written, 70-99 are 1970-1999 and 00-69 are 2000-2069,
and no other year is written so. Thus one source has just one right answer, whatever language it is in.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import Literal

from seqsmith.demo.languages import ASCII_DIGITS, LANGUAGES, Language
from seqsmith.errors import UserError

FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2099, 12, 31)
SHORT_YEARS = range(1970, 2070)
MOST_PAIRS = 1_000_000  # there are about nine million; near the end, finding one that is new takes ever longer
HELD_OUT = 30  # one pair in so many is held out

Case = Literal["as written", "lower", "upper"]


def generate(count: int, seed: int) -> Iterator[tuple[str, str]]:
    """`count` pairs (source, ISO date), the same for the same seed; no source comes twice."""
    if not 0 <= count <= MOST_PAIRS:
        raise UserError(f"found {count} pairs of dates, expected 0 to {MOST_PAIRS:,}: ask for fewer.")
    return islice(_stream(seed), count)


def write_demo(folder: Path, *, pairs: int = 30_000, seed: int = 1) -> tuple[Path, Path]:
    """Write `train.tsv` and `test.tsv` with `pairs` pairs in all and give their paths.

    One pair in 30 is held out, and its date with it: no source and no date of the test file occurs in the other.
    """
    if not HELD_OUT <= pairs <= MOST_PAIRS:
        raise UserError(f"found {pairs} pairs of dates, expected {HELD_OUT} to {MOST_PAIRS:,}.")
    stream = _stream(seed)
    test = list(islice(stream, pairs // HELD_OUT))
    held_dates = {target for _, target in test}
    train = islice((pair for pair in stream if pair[1] not in held_dates), pairs - len(test))
    folder.mkdir(parents=True, exist_ok=True)
    return _write_pairs(folder / "train.tsv", train), _write_pairs(folder / "test.tsv", test)


def spellings(day: date) -> Iterator[str]:
    """Every way in which the demonstration writes `day`; some are the same in several languages."""
    for language in LANGUAGES:
        for template in _fitting(language, day):
            for digits in language.digits:
                for case in _cases(language):
                    yield _spell(day, language, template, digits=digits, case=case)


def _stream(seed: int) -> Iterator[tuple[str, str]]:
    chance = random.Random(seed)
    seen: set[str] = set()
    while True:
        day = FIRST_DAY + timedelta(days=chance.randrange((LAST_DAY - FIRST_DAY).days + 1))
        language = chance.choice(LANGUAGES)
        template = chance.choice(_fitting(language, day))
        digits, case = chance.choice(language.digits), chance.choice(_cases(language))
        source = _spell(day, language, template, digits=digits, case=case)
        if source not in seen:
            seen.add(source)
            yield source, day.isoformat()


def _fitting(language: Language, day: date) -> list[str]:
    return [template for template in language.formats if "{yy}" not in template or day.year in SHORT_YEARS]


def _cases(language: Language) -> tuple[Case, ...]:
    return ("as written", "lower", "upper") if language.cased else ("as written",)


def _spell(day: date, language: Language, template: str, *, digits: str, case: Case) -> str:
    text = template.format_map(_fields(day, language)).translate(str.maketrans(ASCII_DIGITS, digits))
    match case:
        case "as written":
            return text
        case "lower":
            return text.lower()
        case "upper":
            return _without_acute(text.upper()) if language.plain_capitals else text.upper()


def _fields(day: date, language: Language) -> dict[str, str]:
    return {
        "y": str(day.year),
        "yy": f"{day.year % 100:02}",
        "m": str(day.month),
        "mm": f"{day.month:02}",
        "d": str(day.day),
        "dd": f"{day.day:02}",
        "day": language.first if day.day == 1 else str(day.day),
        "nth": _english_ordinal(day.day),
        "month": _name(language.months, day.month - 1),
        "mon": _name(language.short_months, day.month - 1),
        "weekday": _name(language.weekdays, day.weekday()),
        "wd": _name(language.short_weekdays, day.weekday()),
        "han_y": "".join("〇一二三四五六七八九"[int(digit)] for digit in str(day.year)),
        "han_m": _han(day.month),
        "han_d": _han(day.day),
    }


def _name(names: str, index: int) -> str:
    return names.split()[index] if names else ""


def _english_ordinal(number: int) -> str:
    teen = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def _han(number: int) -> str:
    """1 to 99 in Chinese numerals: 二十二 is 2 tens 2."""
    tens, ones = divmod(number, 10)
    digits = ("", "一", "二", "三", "四", "五", "六", "七", "八", "九")
    return (digits[tens] if tens > 1 else "") + ("十" if tens else "") + digits[ones]


def _without_acute(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", decomposed.replace("\N{COMBINING ACUTE ACCENT}", ""))


def _write_pairs(path: Path, pairs: Iterable[tuple[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{source}\t{target}\n" for source, target in pairs)
    return path
