"""Tables of measurements: what they mean, what is mended, and what is said where they are wrong."""

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqsmith import config
from seqsmith.errors import UserError
from seqsmith.series.table import read_table

HOURLY = "date,a,b\n2020-01-01 00:00,1,10\n2020-01-01 01:00,2,20\n2020-01-01 02:00,4,30\n2020-01-01 03:00,3,40\n"


def table(folder, text, name="t.csv", **settings):
    path = folder / name
    path.write_text(text)
    return read_table(str(path), config.Series(**settings))


def complaint(folder, text, **settings):
    with pytest.raises(UserError) as caught:
        table(folder, text, **settings)
    return str(caught.value).replace(str(folder), "")


def told(found, **settings):
    return "\n".join(found.findings.sentences(config.Series(**settings)))


def test_a_table_is_read_as_it_is(tmp_path):
    found = table(tmp_path, HOURLY)
    assert (found.columns, found.targets, found.rows, str(found.clock)) == (("a", "b"), 2, 4, "an hour")
    np.testing.assert_array_equal(found.groups[0].value_LC, [[1, 10], [2, 20], [4, 30], [3, 40]])
    assert told(found) == ""


@given(st.lists(st.floats(-1e29, 1e29), min_size=1, max_size=8))
def test_every_number_is_read_exactly(tmp_path_factory, numbers):
    folder = tmp_path_factory.mktemp("numbers")
    found = table(folder, "x\n" + "".join(f"{number!r}\n" for number in numbers))
    assert found.groups[0].value_LC[:, 0].tolist() == numbers


def test_tabs_gzip_and_files_without_names(tmp_path):
    assert table(tmp_path, HOURLY.replace(",", "\t"), name="t.tsv").columns == ("a", "b")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(HOURLY.encode()))
    assert read_table(str(tmp_path / "t.csv.gz"), config.Series()).rows == 4
    bare = table(tmp_path, "1,2\n3,4\n")
    assert (bare.columns, bare.clock, bare.rows) == (("1", "2"), None, 2)


@pytest.mark.parametrize("name", ["t.jsonl", "t.ndjson.gz"])
def test_json_lines_are_no_series(tmp_path, name):
    (tmp_path / name).write_text('{"time": "2020-01-01", "load": 1.5}\n')
    with pytest.raises(UserError, match=f"{name}: found JSON lines, but series are read from CSV, TSV or Parquet"):
        read_table(str(tmp_path / name), config.Series())


def test_parquet_is_read_like_csv(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    times = np.array(["2020-01-01T00", "2020-01-01T01", "2020-01-01T02", "2020-01-01T03"], "datetime64[us]")
    columns = {"date": times, "a": [1.0, 2.0, 4.0, None], "b": [10, 20, 30, 40]}
    parquet.write_table(arrow.table(columns), tmp_path / "t.parquet")
    found = read_table(str(tmp_path / "t.parquet"), config.Series())
    assert (found.columns, str(found.clock)) == (("a", "b"), "an hour")
    np.testing.assert_array_equal(found.groups[0].value_LC, [[1, 10], [2, 20], [4, 30], [np.nan, 40]])


def test_the_only_column_of_words_tells_series_apart(tmp_path):
    text = "shop,date,sold\nb,2020-01-01,1\na,2020-01-01,5\nb,2020-01-02,2\na,2020-01-02,6\nb,2020-01-03,3\n"
    found = table(tmp_path, text)
    assert {group.name: group.value_LC[:, 0].tolist() for group in found.groups} == {"b": [1, 2, 3], "a": [5, 6]}
    two = "".join(f"{name},{line}\n" for name, line in zip("wxxxxx", text.splitlines(), strict=True))
    assert "several columns hold words (w, shop)" in complaint(tmp_path, two)


@pytest.mark.parametrize("spelt", ["{year}Q{quarter}", "Q{quarter} of {year}"])
def test_times_in_another_spelling_are_no_series_of_their_own(tmp_path, spelt):
    rows = [f"{spelt.format(year=1990 + n // 4, quarter=1 + n % 4)},{n % 7},{n % 5}\n" for n in range(60)]
    text = "quarter,load,heat\n" + "".join(rows)
    first = rows[0].split(",")[0]
    assert f"/t.csv:2: `quarter` is '{first}', and nearly every row has another: expected a time such as 1990-01." in (
        complaint(tmp_path, text)
    )
    assert len(table(tmp_path, text, group="quarter").groups) == 60
    assert len(table(tmp_path, text + "".join(rows)).groups) == 60


def test_a_time_of_day_beside_a_date_is_to_be_joined_to_it(tmp_path):
    text = "date,time,a\n" + "".join(f"2020-01-01,{hour:02}:00,{hour}\n" for hour in range(5))
    assert complaint(tmp_path, text) == (
        "/t.csv:2: `time` is '00:00'; expected a date before it. Join date and time in one column."
    )


def test_a_column_of_notes_may_be_named_as_no_group(tmp_path):
    text = "date,a,note\n2020-01-01,1,frost\n2020-01-02,2,\n2020-01-03,3,frost\n"
    assert "set series.group = '' if the column tells no series apart" in complaint(tmp_path, text)
    assert table(tmp_path, text, group="").rows == 3


def test_a_column_that_is_called_time_may_tell_series_apart_if_told_so(tmp_path):
    found = table(tmp_path, "time,a\nday,1\nnight,2\n", group="time")
    assert [group.name for group in found.groups] == ["day", "night"]


def test_targets_come_first_and_covariates_stand_apart(tmp_path):
    found = table(tmp_path, HOURLY.replace("a,b", "a,b,c").replace("0\n", "0,7\n").replace("00,7\n", "00\n"),
                  targets=("b",), covariates=("c",))  # fmt: skip
    assert (found.columns, found.targets, found.covariates) == (("b", "a"), 1, ("c",))
    assert found.groups[0].known_LE[:, 0].tolist() == [7, 7, 7, 7]


# ------------------------------------------------------------------------------------------- policies


def test_missing_numbers_are_counted_and_masked_or_interpolated(tmp_path):
    text = HOURLY.replace(",2,20", ",,20").replace(",3,40", ",NaN,40")
    found = table(tmp_path, text)
    assert np.isnan(found.groups[0].value_LC[:, 0]).tolist() == [False, True, False, True]
    assert "Missing numbers, which count nowhere: 2, the first at 2020-01-01 01:00:00 of the table, column a." in told(
        found
    )
    assert table(tmp_path, text, missing="interpolate").groups[0].value_LC[:, 0].tolist() == [1, 2.5, 4, 4]
    assert complaint(tmp_path, text, missing="error").startswith(
        "/t.csv: 2020-01-01 01:00:00 of the table, column a is missing."
    )


@pytest.mark.parametrize("bad", ["inf", "-Infinity"])
def test_numbers_that_are_not_finite(tmp_path, bad):
    text = HOURLY.replace(",2,20", f",{bad},20")
    found = table(tmp_path, text)
    assert "Numbers that are not finite, taken as missing: 1, the first at" in told(found)
    assert complaint(tmp_path, text, not_finite="error") == (
        f"/t.csv:3: `a` is {bad.replace('-', chr(39) + '-')}; expected a finite number. Mend it, or set "
        "series.not_finite = 'missing'."
    )


@pytest.mark.parametrize("bad", ["1e308", "-1e31", "1e999"])
def test_absurd_numbers(tmp_path, bad):
    text = HOURLY.replace(",2,20", f",{bad},20")
    assert "expected a number within ±1e+30" in complaint(tmp_path, text)
    assert "Numbers beyond 1e30, taken as missing: 1" in told(table(tmp_path, text, huge="missing"))


@pytest.mark.parametrize("bad", ["x", "1_000", "١", "1;5"])
def test_what_is_no_number_is_named_by_line_and_column(tmp_path, bad):
    assert complaint(tmp_path, HOURLY.replace(",2,20", f",{bad},20")) == (
        f"/t.csv:3: `a` is {bad!r}; expected a number, or nothing where it is missing. "
        "Columns that are no numbers can be left out with series.targets."
    )


def test_rows_out_of_order(tmp_path):
    lines = HOURLY.splitlines(keepends=True)
    text = "".join([lines[0], lines[2], lines[1], *lines[3:]])
    found = table(tmp_path, text)
    np.testing.assert_array_equal(found.groups[0].value_LC, table(tmp_path, HOURLY).groups[0].value_LC)
    assert "Rows that stand after a later time, sorted: 1, the first at" in told(found)
    assert "/t.csv:3: this row is earlier than the one before it." in complaint(tmp_path, text, unordered="error")


@pytest.mark.parametrize(("policy", "kept"), [("first", 2.0), ("last", 8.0), ("mean", 5.0)])
def test_times_that_stand_twice(tmp_path, policy, kept):
    text = HOURLY.replace("2020-01-01 02:00", "2020-01-01 01:00,8,20\n2020-01-01 02:00")
    found = table(tmp_path, text, duplicates=policy)
    assert found.groups[0].value_LC[:, 0].tolist() == [1, kept, 4, 3]
    assert f"of which the {policy} is kept: 1" in told(found, duplicates=policy)
    assert "/t.csv:4: this time is there already (line 3)." in complaint(tmp_path, text, duplicates="error")


def test_times_that_are_left_out(tmp_path):
    text = HOURLY.replace("2020-01-01 01:00,2,20\n", "") + "2020-01-01 04:00,5,50\n"
    found = table(tmp_path, text)
    assert found.rows == 5
    assert np.isnan(found.groups[0].value_LC[1]).all()
    assert "Times left out by the table, filled with missing numbers: 1, the first at 2020-01-01 01:00:00" in told(
        found
    )
    kept = table(tmp_path, text, gaps="keep")
    assert kept.rows == 4
    assert kept.findings.gaps.places == table(tmp_path, text).findings.gaps.places
    assert "/t.csv:3: before it, the table has no row for 2020-01-01 01:00:00, and steps of an hour" in complaint(
        tmp_path, text, gaps="error"
    )
    far = complaint(tmp_path, HOURLY.replace("2020-01-01 03", "2990-01-01 03"))
    assert "/t.csv:5: the table has 4 rows over" in far
    assert "Is a time stamp wrong?" in far


def test_times_between_the_steps(tmp_path):
    text = HOURLY.replace("03:00,", "03:07,")
    assert "Series with times between the steps, whose rows are taken one after the other: 1" in told(
        table(tmp_path, text)
    )
    found = complaint(tmp_path, text, irregular="error")
    assert "/t.csv:5: the times of the table up to here do not follow each other by an hour" in found
    twice = text.replace("date,a,b\n", "date,a,b\n2020-01-01 00:00,9,9\n")
    assert "/t.csv:6: the times" in complaint(tmp_path, twice, irregular="error")


def test_offsets_are_taken_to_utc_and_never_mixed_with_none(tmp_path):
    text = HOURLY.replace("00:00,", "00:00+01:00,").replace("01:00,", "02:00+02:00,", 1).replace("+02:00+01", "+01")
    rows = "date,a\n2020-01-01 00:00+01:00,1\n2020-01-01 02:00+02:00,2\n2020-01-01 01:00Z,3\n"
    found = table(tmp_path, rows)
    assert found.groups[0].value_LC[:, 0].tolist() == [1, 2, 3]
    assert (str(found.clock), found.clock.offset_minutes) == ("an hour", 0)
    assert "Time stamps of several offsets, all taken to UTC" in told(found)
    assert "/t.csv:3: the offset from UTC differs" in complaint(tmp_path, rows, offsets="error")
    assert "some time stamps name an offset from UTC and others do not" in complaint(tmp_path, rows.replace("Z", ""))
    assert text != HOURLY


def test_days_that_begin_at_midnight_in_summer_and_in_winter_are_days(tmp_path):
    """The clocks of Berlin went back on Sunday, 30 October 2016."""
    days = [(f"2016-10-{day}", "+02:00") for day in (24, 25, 26, 27, 28, 31)] + [("2016-11-01", "+01:00")]
    days[5] = ("2016-10-31", "+01:00")
    rows = "".join(f"{day} 00:00{offset},{number}\n" for number, (day, offset) in enumerate(days))
    found = table(tmp_path, "date,a\n" + rows)
    assert str(found.clock) == "a business day"
    assert found.groups[0].value_LC[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert "at one hour of the day, taken as the dates they name: 2, the first at" in told(found)
    after = found.clock.after(int(found.groups[0].time_L[-1]), 4)
    assert [found.clock.written(time) for time in after] == ["2016-11-02", "2016-11-03", "2016-11-04", "2016-11-07"]
    monthly = "date,a\n2020-01-31 00:00+01:00,1\n2020-02-29 00:00+01:00,2\n2020-03-31 00:00+02:00,3\n"
    assert str(table(tmp_path, monthly).clock) == "a month"


def test_columns_that_never_change(tmp_path):
    text = "a,b\n1,5\n2,5\n3,5\n"
    assert "Columns that never change in a series: 1, the first is b of the table." in told(table(tmp_path, text))
    assert "the column `b` of the table never changes." in complaint(tmp_path, text, constant="error")


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("", {}, "there is no row in it"),
        ("a,b\n", {}, "there is no row of numbers in it"),
        ("a,b\n1,2\n3\n", {}, "/t.csv:3: expected 2 columns as in the first row, found 1."),
        ("a,a\n1,2\n", {}, "two columns are called `a`"),
        ("a,b\n1,2\n", {"targets": ("c",)}, "there is no column `c` for series.targets. Known: a, b."),
        (
            "a,b\n1,2\n",
            {"targets": ("[a,b]",)},
            "`[a,b]` for series.targets. Did a shell take the quotes? Put the whole",
        ),
        (
            "a,b\n1,2\n",
            {"targets": ("a",), "covariates": ("a",)},
            "`a` cannot be a target and time, group or covariate",
        ),
        ("d,a\n2020-01-01,1\nsoon,2\n2020-01-03,2\n", {}, "/t.csv:3: the time is 'soon'; expected a date such as"),
        ("date,a\n1/2/2020,1\n2/2/2020,2\n", {}, "/t.csv:2: the time is '1/2/2020'; expected a date such as"),
        ('a,b\n"10,038",1\n"10,969",2\n', {}, "/t.csv:2: `a` is '10,038'; expected a number, with a point before"),
        ("timestamp,a\n1577836800,1\n1577840400,2\n", {}, "the column `timestamp` holds numbers; expected time stamps"),
        ("a;b\n1;2\n", {}, "Save it with commas."),
        ("year,a\n1900,1\n1901,7\n1902,2\n1903,5\n", {}, "the column `year` rises by the same number in each row."),
        ("date,open,a\n2020-01-01,True,1\n2020-01-02,False,2\n", {}, "`open` is true or false; expected numbers."),
        ("a,b\n1,x\n", {"group": "a"}, "no column of numbers to forecast: a is set to be something else."),
        ("a,b\nx,y\n", {"group": "a"}, "no column of numbers to forecast. Name them with series.targets."),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path, text, settings, message):
    assert message in complaint(tmp_path, text, **settings)


def test_etth1_is_what_its_readme_says(data_folder):
    found = read_table(str(data_folder / "ett" / "ETTh1.csv"), config.Series())
    assert (found.rows, len(found.columns), str(found.clock), told(found)) == (17_420, 7, "an hour", "")
