"""The demonstration's dates: one answer for each source, reproducible, and a test file that training never saw."""

import re
import unicodedata
from datetime import date, timedelta
from itertools import pairwise

import pytest

from seqsmith.demo.dates import FIRST_DAY, LAST_DAY, generate, spellings, write_demo
from seqsmith.demo.languages import LANGUAGES
from seqsmith.errors import UserError


def canonical(source: str) -> str:
    """What is left of a source where a tool folds compatibility forms and case."""
    return unicodedata.normalize("NFKC", source).casefold()


def test_one_source_has_one_answer_in_a_large_sample():
    answers: dict[str, str] = {}
    for source, target in generate(31_000, seed=3):
        assert answers.setdefault(canonical(source), target) == target, source


def test_one_source_has_one_answer_for_every_spelling_of_the_years_most_easily_confused():
    """Short years that could be days or months, around the rule's border, and 2001 beside 2010."""
    answers: dict[str, date] = {}
    for year in (1970, 2001, 2010, 2069):
        for day in range(0, 365, 3):
            written = date(year, 1, 1) + timedelta(days=day)
            for source in spellings(written):
                assert answers.setdefault(canonical(source), written) == written, source


def test_sources_are_distinct_and_the_same_for_the_same_seed():
    pairs = list(generate(2_000, seed=7))
    assert len({source for source, _ in pairs}) == 2_000
    assert pairs == list(generate(2_000, seed=7))
    assert pairs != list(generate(2_000, seed=8))
    assert pairs[:100] == list(generate(100, seed=7))


def test_targets_are_iso_dates_over_all_the_years():
    days = [date.fromisoformat(target) for _, target in generate(3_000, seed=1)]
    assert all(FIRST_DAY <= day <= LAST_DAY for day in days)
    assert {day.year for day in days} == set(range(1900, 2100))
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", target) for _, target in generate(100, seed=1))


def test_the_digits_of_the_date_stand_in_the_source():
    """Read back with nothing of the tables but the numbers: the day, and the year or its last two digits."""
    for source, target in generate(2_000, seed=2):
        numbers = [int(number) for number in re.findall(r"\d+", source)]
        year, _, day = (int(part) for part in target.split("-"))
        assert not numbers or (day in numbers and (year in numbers or year % 100 in numbers)), source


def test_weekdays_agree_with_the_date():
    monday = date(2026, 11, 16)
    for word in (
        "Monday",
        "Montag",
        "lundi",
        "lunes",
        "понедельник",
        "Δευτέρα",
        "الاثنين",
        "सोमवार",
        "星期一",
        "月曜日",
    ):
        assert any(word in source for source in spellings(monday))
        assert not any(word in source for source in spellings(monday + timedelta(days=1)))


def test_a_two_digit_year_is_written_only_where_the_rule_gives_it_back():
    def has_short_year(year: int) -> bool:
        return f"22.11.{year % 100:02}" in set(spellings(date(year, 11, 22)))

    assert [has_short_year(year) for year in (1900, 1969, 1970, 1999, 2000, 2069, 2070)] == [
        False, False, True, True, True, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES, ids=range(len(LANGUAGES)))
def test_every_language_names_all_its_months_and_weekdays(language):
    used = " ".join(language.formats)
    for field, names, count in (
        ("{month}", language.months, 12),
        ("{mon}", language.short_months, 12),
        ("{weekday}", language.weekdays, 7),
        ("{wd}", language.short_weekdays, 7),
    ):
        assert len(set(names.split())) == (count if field in used else 0)


@pytest.mark.parametrize(
    ("day", "source"),
    [
        (date(2026, 11, 22), "Sonntag, den 22. November 2026"),
        (date(2026, 11, 22), "the 22nd of November 2026"),
        (date(2012, 12, 12), "DECEMBER 12TH, 2012"),
        (date(2026, 1, 1), "le jeudi 1er janvier 2026"),
        (date(2026, 5, 1), "1Η ΜΑΪΟΥ 2026"),
        (date(2026, 8, 31), "понедельник, 31 августа 2026 г."),
        (date(2026, 11, 22), "الأحد، ٢٢ نوفمبر ٢٠٢٦"),
        (date(2026, 11, 22), "रविवार, २२ नवंबर २०२६"),
        (date(2026, 11, 22), "二〇二六年十一月二十二日"),
        (date(2026, 10, 10), "二〇二六年十月十日星期六"),
        (date(2026, 11, 22), "２０２６年１１月２２日（日）"),
        (date(2026, 11, 2), "2026. 11. 2."),
    ],
)
def test_dates_are_written_as_people_write_them(day, source):
    assert source in set(spellings(day))


def test_slashes_and_hyphens_between_numbers_have_the_year_in_front():
    for source in spellings(date(2026, 11, 22)):
        if re.search(r"\d[/-]\d", source):
            assert re.match(r"\d{4}[/-]", source), source


def test_no_source_and_no_date_of_the_test_file_occurs_in_training(tmp_path):
    train, test = (
        [line.split("\t") for line in path.read_text("utf-8").split("\n")[:-1]]
        for path in write_demo(tmp_path / "new", pairs=3_000, seed=1)
    )
    assert (len(train), len(test)) == (2_900, 100)
    for column in (0, 1):
        assert not {pair[column] for pair in train} & {pair[column] for pair in test}


def test_the_files_are_the_same_byte_for_byte_when_written_again(tmp_path):
    contents = [
        [path.read_bytes() for path in write_demo(tmp_path / name, pairs=300, seed=seed)]
        for name, seed in (("a", 5), ("b", 5), ("c", 6))
    ]
    assert contents[0] == contents[1]
    assert all(one != other for one, other in pairwise(contents[1:]))


@pytest.mark.parametrize("count", [-1, 1_000_001])
def test_an_impossible_number_of_pairs_is_refused(count, tmp_path):
    with pytest.raises(UserError, match=rf"found {count} pairs of dates, expected 0 to 1,000,000"):
        generate(count, seed=1)
    with pytest.raises(UserError, match=rf"found {count} pairs of dates, expected 30 to 1,000,000"):
        write_demo(tmp_path, pairs=count)
