"""Laws of the corpus reader: every format gives the same rows, and every mistake is named with its place."""

import csv
import gzip
import io
import json
import random
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqsmith import config
from seqsmith.data import lines
from seqsmith.data.corpus import Counts, Role, read_every_row, read_rows
from seqsmith.data.parquet import read_parquet_cells
from seqsmith.errors import UserError

PAIRS = [("ein Hund", "a dog"), ('"zwei", ja', "two; yes"), ("drei\u2028vier", "=three")]
TEXT = st.text(st.characters(exclude_characters="\n\0\t\r\ufeff", exclude_categories=["Cs"]), min_size=1).filter(
    str.strip
)


def roles(
    source: str | int | None = None, target: str | int | None = None, features: str | int | None = None
) -> list[Role]:
    return [Role("source", source, 1), Role("target", target, 2), Role("features", features, None)]


def rows_of(
    path: Path | str,
    target: Path | None = None,
    *,
    wanted: list[Role] | None = None,
    data: config.Data | None = None,
    counts: Counts | None = None,
) -> list[tuple[int, ...] | tuple[str, ...]]:
    corpus = config.Corpus(path=str(path), target=None if target is None else str(target))
    blocks = read_rows(corpus, wanted or roles(), data or config.Data(), counts or Counts())
    return [row for rows in blocks for row in zip(rows.line, *rows.fields.values(), strict=True)]


def written(folder: Path, content: str | bytes, name: str = "a.tsv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def pairs_of(path: Path, target: Path | None, data: config.Data) -> list[tuple[str, str]]:
    corpus = config.Corpus(path=str(path), target=None if target is None else str(target))
    fields = [rows.fields for rows in read_rows(corpus, roles(), data, Counts())]
    return [pair for part in fields for pair in zip(part["source"], part["target"], strict=True)]


def message(path: Path | str, target: Path | None = None, **options: object) -> str:
    with pytest.raises(UserError) as caught:
        rows_of(path, target, **options)  # type: ignore[arg-type]
    return str(caught.value).replace(str(Path(path).parent) + "/", "")


# ------------------------------------------------------------------------------------------- formats


def write_all(folder: Path, pairs: list[tuple[str, str]]) -> list[tuple[Path, Path | None]]:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = io.StringIO()
    csv.writer(table, lineterminator="\r\n", quoting=csv.QUOTE_ALL).writerows(pairs)
    columns = {"id": list(range(len(pairs))), "target": [t for _, t in pairs], "source": [s for s, _ in pairs]}
    parquet.write_table(pyarrow.table(columns), folder / "a.parquet")
    tabs = "".join(f"{s}\t{t}\n" for s, t in pairs)
    objects = "".join(json.dumps({"target": t, "n": 1, "source": s}) + "\n" for s, t in pairs)
    return [
        (written(folder, tabs), None),
        (written(folder, gzip.compress(tabs.encode()), "a.tsv.gz"), None),
        (written(folder, table.getvalue(), "a.csv"), None),
        (written(folder, objects, "a.jsonl"), None),
        (folder / "a.parquet", None),
        (
            written(folder, "\n".join(s for s, _ in pairs), "a.de"),
            written(folder, "\n".join(t for _, t in pairs), "a.en"),
        ),
    ]


def test_every_format_gives_the_same_rows(tmp_path: Path) -> None:
    for path, target in write_all(tmp_path, PAIRS):
        assert pairs_of(path, target, config.Data()) == PAIRS, path


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=20))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]) -> None:
    for path, target in write_all(tmp_path_factory.mktemp("pairs"), pairs):
        assert pairs_of(path, target, config.Data(header=False)) == pairs, path


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.text(st.sampled_from('a",\n ;')), min_size=2, max_size=2), min_size=1))
def test_csv_is_read_as_python_reads_it(tmp_path_factory: pytest.TempPathFactory, table: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(table)
    path = written(tmp_path_factory.mktemp("csv"), text.getvalue(), "a.csv")
    blocks = read_every_row(config.Corpus(path=str(path)), roles(), config.Data(header=False), Counts())
    rows = [row for rows in blocks for row in zip(rows.line, rows.fields["source"], rows.fields["target"], strict=True)]
    assert [[source, target] for _, source, target in rows] == table
    starts = [1 + sum(cell.count("\n") + 1 for row in table[:n] for cell in row) - n for n in range(len(table))]
    assert [line for line, _, _ in rows] == starts


def test_standard_input_is_a_tsv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("é\tb\n".encode())))
    assert rows_of("-") == [(1, "é", "b")]


def test_blocks_of_parallel_files_stay_in_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "ROWS", 7)
    monkeypatch.setattr("seqsmith.data.files.BLOCK_BYTES", 50)
    source = written(tmp_path, "".join(f"{n}\n" for n in range(1, 101)), "a.de")
    target = written(tmp_path, "".join(f"line number {n}\n" for n in range(1, 101)), "a.en")
    assert rows_of(source, target) == [(n, str(n), f"line number {n}") for n in range(1, 101)]


def test_nulls_are_empty_texts(tmp_path: Path) -> None:
    counts = Counts()
    path = written(tmp_path, '{"source": "a", "target": null}\n{"source": "b", "target": "c"}\n\n', "a.jsonl")
    assert rows_of(path, counts=counts) == [(2, "b", "c")]
    assert counts.empty.places == [f"{path}:1", f"{path}:3"]


def test_keys_of_no_role_are_counted_once(tmp_path: Path) -> None:
    content = '{"source": "a", "target": "b"}\n\n'
    content += (
        '{"id": 1, "source": "a", "target": "b", "n": {"m": 2}}\n{"m": 0, "id": 2, "target": "b", "source": "a"}\n'
    )
    counts = Counts()
    assert len(rows_of(written(tmp_path, content, "a.jsonl"), counts=counts)) == 3
    assert (counts.unused_columns.count, counts.unused_columns.places[0]) == (3, f"{tmp_path}/a.jsonl:3")
    counts = Counts()
    assert len(rows_of(tmp_path / "a.jsonl", wanted=roles()[:1], counts=counts)) == 3
    assert counts.unused_columns.count == 0  # whoever only answers leaves out more


def test_parquet_columns_of_one_name_are_read_by_number(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table([pyarrow.array(["x"]), pyarrow.array(["y"])], names=["a", "a"])
    parquet.write_table(table, tmp_path / "a.parquet")
    assert rows_of(tmp_path / "a.parquet", wanted=roles(1, 2)) == [(1, "x", "y")]


def test_parquet_times_that_python_lacks_are_text(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {"source": ["a"], "target": ["b"], "t": pyarrow.array([1], pyarrow.timestamp("ns"))}
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    [(lines, rows)] = read_parquet_cells(str(tmp_path / "a.parquet"))
    assert (lines, rows[1]) == ([0, 1], ["a", "b", "1970-01-01 00:00:00.000000001"])


def test_parquet_numbers_are_refused(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"source": [1], "target": ["a"]}), tmp_path / "a.parquet")
    assert "expected text in the column `source` for source, found int64" in message(tmp_path / "a.parquet")
    parquet.write_table(
        pyarrow.table({"source": pyarrow.array(["x", None]).dictionary_encode(), "target": ["a", "b"]}),
        tmp_path / "a.parquet",
    )
    assert rows_of(tmp_path / "a.parquet") == [(1, "x", "a")]


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    assert message(written(tmp_path, "abc", "a.parquet")).startswith("a.parquet: a damaged Parquet file, or none:")
    assert "a.parquet: no such file" in message(tmp_path / "b" / ".." / "a.parquet")
    assert "unpack the .gz" in message(written(tmp_path, gzip.compress(b"abc"), "a.parquet.gz"))


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "reading Parquet needs pyarrow: pip install seqsmith[parquet]" in message(tmp_path / "a.parquet")


# ------------------------------------------------------------------------------------------- columns


def test_a_header_is_found_by_the_names_of_both_sides(tmp_path: Path) -> None:
    counts = Counts()
    path = written(tmp_path, "target\tnote\tsource\nb\tx\ta\n")
    assert rows_of(path, counts=counts) == [(2, "a", "b")]
    assert list(counts.sentences()) == [f"Header lines taken for column names: 1, the first at {path}:1."]
    assert rows_of(written(tmp_path, "source\tZiel\na\tb\n")) == [(1, "source", "Ziel"), (2, "a", "b")]


def test_a_named_column_means_a_header(tmp_path: Path) -> None:
    path = written(tmp_path, "de\ten\ttags\na\tb\tN;PL\n")
    assert rows_of(path, wanted=roles("en", "de")) == [(2, "b", "a")]
    assert rows_of(path, wanted=roles("de", 2, "tags")) == [(2, "a", "b", "N;PL")]
    assert rows_of(path, data=config.Data(header=True)) == [(2, "a", "b")]


def test_keys_that_say_nothing_are_asked_for_where_there_are_more_than_wanted(tmp_path: Path) -> None:
    path = written(tmp_path, '{"id": "1", "body": "b", "subject": "s"}\n', "a.jsonl")
    assert message(path) == (
        "a.jsonl:1: found the columns id, body, subject. Say with data.source and data.target which to take."
    )
    assert message(path, wanted=roles("body")).endswith("Say with data.target which to take.")
    assert rows_of(path, wanted=roles("body", "subject")) == [(1, "b", "s")]
    assert rows_of(written(tmp_path, '{"en": "a", "de": "b"}\n', "b.jsonl")) == [(1, "a", "b")]


@pytest.mark.parametrize("head", ["Source\tTarget", "SOURCE\ttarget\tid"])
def test_a_header_in_other_letters_is_no_pair(tmp_path: Path, head: str) -> None:
    path = written(tmp_path, f"{head}\na\tb\tc\n")
    assert message(path) == (
        "a.tsv:1: are these names of columns? Write them as source and target, or set data.header."
    )


def test_the_name_of_the_only_column_that_is_wanted_is_a_header(tmp_path: Path) -> None:
    wanted = roles()[:1]
    assert rows_of(written(tmp_path, "source\n0004\n", "a.csv"), wanted=wanted) == [(2, "0004")]
    assert rows_of(written(tmp_path, "note\tsource\nx\t0004\n"), wanted=wanted) == [(2, "0004")]
    assert message(written(tmp_path, "Source\n0004\n"), wanted=wanted) == (
        "a.tsv:1: are these names of columns? Write them as source, or set data.header."
    )


def test_numbered_columns_count_from_one(tmp_path: Path) -> None:
    path = written(tmp_path, "lemma\tform\tN;PL\n")
    assert rows_of(path, wanted=roles(3, 1, 2)) == [(1, "N;PL", "lemma", "form")]


def test_an_unknown_column_names_the_nearest(tmp_path: Path) -> None:
    path = written(tmp_path, "german\tenglish\na\tb\n")
    assert message(path, wanted=roles("german", "englisch")) == (
        "a.tsv:1: there is no column `englisch` for target. Did you mean `english`? Columns without names have numbers "
        "(data.target=1)."
    )
    json_path = written(tmp_path, '{"german": "a", "english": "b"}\n{"german": "a"}\n', "a.jsonl")
    assert "there is no column `englisch`" in message(json_path, wanted=roles("german", "englisch"))
    assert message(json_path) == "a.jsonl:2: the key `english` is missing. Known: german."


def test_a_name_needs_a_header(tmp_path: Path) -> None:
    found = message(written(tmp_path, "a\tb\n"), wanted=roles("de", 2), data=config.Data(header=False))
    assert found == (
        "a.tsv:1: data.source names the column `de`, but data.header = false says that there are no names. "
        "Give the number of the column, counted from 1."
    )


def test_two_roles_do_not_fall_on_one_column(tmp_path: Path) -> None:
    path = written(tmp_path, "target\tx\na\tb\n")
    expected = "a.tsv:1: source and target would both be column 1. Say which column is which with"
    assert message(path, data=config.Data(header=True)).startswith(expected)
    assert rows_of(path, wanted=roles(1, 1))[1] == (2, "a", "a")


@pytest.mark.parametrize(
    ("content", "name", "hint"),
    [
        ("ein Hund\n", "a.tsv", "If this is the source side alone, give the target file as the second one (--dev"),
        ("a,b\n", "a.tsv", "If commas separate the columns, let the file's name end in .csv"),
        ("a;b\n", "a.csv", "Semicolons separate nothing here"),
        ('{"source": "a", "target": "b"}\n', "a.tsv", "Objects of JSON, one a line? Let the file's name end in .jsonl"),
        ("a\tb\n", "a.csv", "if tabs separate the columns, let the file's name end in .tsv"),
    ],
)
def test_one_column_is_an_error_with_advice(tmp_path: Path, content: str, name: str, hint: str) -> None:
    found = message(written(tmp_path, content, name))
    kind = "comma" if name == "a.csv" else "tab"
    assert found.startswith(f"{name}:1: expected at least 2 columns ({kind}-separated), found 1. ")
    assert hint in found


def test_rows_must_have_as_many_columns_as_the_first(tmp_path: Path) -> None:
    assert message(written(tmp_path, "a\tb\nc\n")) == (
        "a.tsv:2: expected 2 columns (tab-separated) as in the first row, found 1. Mend the line, or take it out."
    )
    assert message(written(tmp_path, "a\tb\n\nc\td\te\n")) == (
        "a.tsv:3: expected 2 columns (tab-separated) as in the first row, found 3. A tab inside a text? Use a space, "
        "or a format that can hold tabs: .csv or .jsonl."
    )
    assert message(written(tmp_path, "a,b\nc,d,e\n", "a.csv")).endswith(
        "found 3. A comma inside a text? Put the text in quotation marks."
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('a,b\n"c,d\ne,f\n', "a.csv:2: a quotation mark that opens in this row is never closed."),
        ('a,b\nc,5" wide"\n', "a.csv:2: a quotation mark in the middle of cell 2. Put the whole cell in quotation"),
        ('a,"b"c\n', "a.csv:1: a quotation mark in the middle of cell 2."),
    ],
)
def test_csv_quoting_is_strict(tmp_path: Path, content: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        rows_of(written(tmp_path, content, "a.csv"))
    assert expected in str(caught.value)


def test_an_open_quotation_mark_does_not_swallow_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, 'a,b\n"c,d\n' + "e,f\n" * 100, "a.csv")
    found = message(path, data=config.Data(longest_line_bytes=50))
    assert found.startswith("a.csv:2: the row that starts here is longer than 50 characters. Is a quotation mark never")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{", "not JSON: Expecting property name enclosed in double quotes at character 2 of the line."),
        ("[" * 100_000, "not JSON that can be read: "),
        ("9" * 5000, "not JSON that can be read: "),
        (
            '{"source": "a", "target": "x", "source": "b"}',
            "the key `source` is there twice in one object; expected each key once. Take one of them out.",
        ),
        ('["a", "b"]', 'expected a JSON object such as {"source": ..., "target": ...}, found a list.'),
        ('{"source": 1.5, "target": "b"}', 'expected a text in quotation marks for "source", found the number 1.5.'),
        ('{"source": ["a"], "target": "b"}', 'expected a text in quotation marks for "source", found a list.'),
        (
            '{"source": "\\ud800", "target": "b"}',
            '"source" holds half a surrogate pair (\\ud800), which is no character.',
        ),
        ('{"source": "a\\u0000", "target": "b"}', "the source holds a NUL character; expected text without it."),
    ],
)
def test_json_mistakes_are_named(tmp_path: Path, line: str, expected: str) -> None:
    path = written(tmp_path, '{"source": "a", "target": "b"}\n' + line + "\n", "a.jsonl")
    assert message(path).startswith(f"a.jsonl:2: {expected}")


# ------------------------------------------------------------------------------------------- policies


def test_empty_rows_are_left_out_and_counted(tmp_path: Path) -> None:
    counts = Counts()
    path = written(tmp_path, "\na\tb\n\tc\nd\t \n   \ne\tf\n\u3000\tg\n")
    assert rows_of(path, counts=counts) == [(2, "a", "b"), (6, "e", "f")]
    assert (counts.rows, counts.kept, counts.empty.count) == (7, 2, 5)
    assert counts.empty.places == [f"{path}:{line}" for line in (1, 3, 4, 5, 7)]
    assert list(counts.sentences()) == [f"Rows left out because source or target is empty: 5, the first at {path}:1."]


def test_empty_features_are_no_empty_row(tmp_path: Path) -> None:
    assert rows_of(written(tmp_path, "a\tb\t\n"), wanted=roles(features=3)) == [(1, "a", "b", "")]


def test_an_empty_side_can_be_an_error(tmp_path: Path) -> None:
    found = message(written(tmp_path, "a\tb\nc\t\n"), data=config.Data(empty="error"))
    assert found == "a.tsv:2: the target is empty. Fill it, remove the row, or set data.empty to skip."


def test_every_row_keeps_the_empty_ones(tmp_path: Path) -> None:
    path = written(tmp_path, "\na\n \nb\n")
    blocks = read_every_row(config.Corpus(path=str(path)), [Role("source", None, 1)], config.Data(), Counts())
    assert [text for rows in blocks for text in rows.fields["source"]] == ["", "a", " ", "b"]


@pytest.mark.parametrize("content", ["", "\n", "\n \n\t\n", "source\ttarget\n"])
def test_a_file_without_an_example_is_an_error(tmp_path: Path, content: str) -> None:
    assert message(written(tmp_path, content)).startswith("a.tsv: there is no example in it; expected one a row.")


def test_skipped_bad_utf8_is_counted_in_every_format(tmp_path: Path) -> None:
    data = config.Data(bad_utf8="skip")
    files: list[tuple[bytes, str]] = [
        (b"a\tb\n\xff\n\xffc\td\ne\tf\n", "a.tsv"),
        (b'a,b\n"\xff\n",x\nc,\xff\ne,f\n', "a.csv"),
        (b'{"source":"a","target":"b"}\n\xff\n{"\xff":1}\n{"source":"e","target":"f"}\n', "a.jsonl"),
    ]
    for content, name in files:
        counts = Counts()
        rows = rows_of(written(tmp_path, content, name), data=data, counts=counts)
        assert [row[1:] for row in rows] == [("a", "b"), ("e", "f")], name
        assert (counts.rows, counts.bad_utf8_skipped.count) == (4, 2), name


def test_bad_utf8_on_one_side_drops_the_pair(tmp_path: Path) -> None:
    source = written(tmp_path, b"a\n\xff\nc\nd\n", "a.de")
    target = written(tmp_path, b"A\nB\nC\n\xff\n", "a.en")
    counts = Counts()
    assert rows_of(source, target, data=config.Data(bad_utf8="skip"), counts=counts) == [
        (1, "a", "A"),
        (3, "c", "C"),
    ]
    assert counts.bad_utf8_skipped.places == [f"{source}:2", f"{target}:4"]
    assert "a.en:4: not UTF-8" in message(written(tmp_path, b"a\nb\nc\nd\n", "a.de"), target)


def test_odd_characters_are_counted_and_kept(tmp_path: Path) -> None:
    counts = Counts()
    path = written(tmp_path, "a\x1b[31m\tb\u202e\nfine \u00a0 ü\tc\r\rx\nd\u200f\te\n")
    assert len(rows_of(path, counts=counts)) == 3
    assert counts.control.places == [f"{path}:1", f"{path}:2"]
    assert counts.bidi.places == [f"{path}:1", f"{path}:3"]
    assert len(list(counts.sentences())) == 2


def test_a_line_feed_within_a_text_is_nothing_odd(tmp_path: Path) -> None:
    counts = Counts()
    path = written(tmp_path, '{"source": "Dear all,\\nsee below.", "target": "below"}\n', "mail.jsonl")
    assert rows_of(path, counts=counts) == [(1, "Dear all,\nsee below.", "below")]
    assert not list(counts.sentences())


def test_what_a_table_without_known_names_leaves_unclear_is_told(tmp_path: Path) -> None:
    counts = Counts()
    rows_of(written(tmp_path, "english,german,note\na dog,ein Hund,1\n", "a.csv"), counts=counts)
    assert list(counts.sentences()) == [
        "First rows read as examples (are they names of columns? Set data.header=true): 1, the first at "
        f"{tmp_path}/a.csv:1.",
        "Columns or keys that are left out, for no setting asks for them (tags? Set data.features): 1, the first at "
        f"{tmp_path}/a.csv:1.",
    ]
    counts = Counts()
    rows_of(written(tmp_path, "word\tIPA\na\tb\n", "a.tsv"), counts=counts)
    assert (counts.nameless.count, counts.nameless.places) == (1, [f"{tmp_path}/a.tsv:1"])
    for content, name, header in (("a\tb\n", "a.tsv", None), ("a,b\n", "a.csv", False), ("s,t\na,b\n", "b.csv", True)):
        counts = Counts()
        rows_of(written(tmp_path, content, name), data=config.Data(header=header), counts=counts)
        assert counts.nameless.count == counts.unused_columns.count == 0


def test_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "source\tsource\ttarget\na\tb\tc\n")
    assert message(path) == "a.tsv:1: 2 columns are called `source`. Give each its own name."
    path = written(tmp_path, "de,en,en\na,b,c\n", "a.csv")
    assert "2 columns are called `en`" in message(path, wanted=roles("de", "en"))


# ------------------------------------------------------------------------------------------- parallel files


@pytest.mark.parametrize(("left", "right"), [(3, 2), (2, 3), (0, 1), (25_000, 1)])
def test_line_counts_must_agree(tmp_path: Path, left: int, right: int) -> None:
    source = written(tmp_path, "a\n" * left, "a.de")
    target = written(tmp_path, "b\n" * right, "a.en")
    assert message(source, target).startswith(
        f"a.de has {left:,} lines, a.en has {right:,}: line n of one must belong to line n of the other."
    )


LOOK = " Look for a line that is missing, is there twice, or is broken in two."


def test_an_extra_empty_line_is_found(tmp_path: Path) -> None:
    texts = [f"line {n}" for n in range(100)]
    source = written(tmp_path, "\n".join(texts), "a.de")
    target = written(tmp_path, "\n".join([*texts[:41], "", *texts[41:]]), "a.en")
    assert message(source, target).endswith("They seem to fall apart around line 42." + LOOK)


def test_a_runaway_ratio_of_lengths_is_found(tmp_path: Path) -> None:
    source = written(tmp_path, "\n".join(["word"] * 200 + ["word " * 40] * 20 + ["word"] * 200), "a.de")
    target = written(tmp_path, "\n".join(["word"] * 421), "a.en")
    assert message(source, target).endswith("They seem to fall apart around line 201." + LOOK)


@pytest.mark.parametrize("gone", [1, 7])
@pytest.mark.parametrize("place", [3, 150, 290])
def test_missing_lines_are_found_by_the_lengths_of_all_others(tmp_path: Path, gone: int, place: int) -> None:
    rng = random.Random(place)
    lengths = [rng.randint(5, 80) for _ in range(300)]
    lines = [["x" * round(length * rng.uniform(0.9, 1.3)) for length in lengths] for _ in range(2)]
    for side, name in enumerate(("a.de", "a.en")):
        shorter = lines[side][:place] + lines[side][place + gone :]
        files = [written(tmp_path, "\n".join(lines[1 - side]), "whole"), written(tmp_path, "\n".join(shorter), name)]
        found = re.search(r"fall apart around line (\d+)\.", message(*files))
        assert found is not None
        assert abs(int(found[1]) - 1 - place) <= 2


def test_lengths_that_tell_nothing_name_no_line(tmp_path: Path) -> None:
    source, target = written(tmp_path, "word\n" * 50, "a.de"), written(tmp_path, "word\n" * 49, "a.en")
    assert message(source, target).endswith("belong to line n of the other." + LOOK)


def test_what_is_wrong_in_one_of_two_parallel_files_is_placed_in_it(tmp_path: Path) -> None:
    source = written(tmp_path, b"a\n\nc\nd\xff\ne\x01\n\n", "a.de")
    target = written(tmp_path, "a\nb\n\u200ec\nd\ne\n\n".encode() + b"f\xff\n", "a.en")
    source.write_bytes(source.read_bytes() + b"g\n")
    counts = Counts()
    rows_of(source, target, data=config.Data(bad_utf8="skip"), counts=counts)
    assert counts.bad_utf8_skipped.places == [f"{source}:4", f"{target}:7"]
    assert counts.empty.places == [f"{source}:2", f"{source}:6"]
    assert (counts.control.places, counts.bidi.places) == ([f"{source}:5"], [f"{target}:3"])
    target.write_bytes(b"a\nb\nc\nd\n\n\ng\n")
    found = message(source, target, data=config.Data(bad_utf8="skip", empty="error"))
    assert found.startswith("a.de:2: the source is empty.")
    source.write_bytes(b"a\nb\nc\nd\ne\n\ng\n")
    assert message(source, target, data=config.Data(empty="error")).startswith("a.en:5: the target is empty.")


def test_parallel_files_may_hold_tabs_and_commas(tmp_path: Path) -> None:
    source = written(tmp_path, 'a\tb,"c\n', "a.csv")
    assert rows_of(source, written(tmp_path, "source\ttarget\n", "b.tsv")) == [(1, 'a\tb,"c', "source\ttarget")]


def test_parallel_files_have_no_further_columns(tmp_path: Path) -> None:
    source, target = written(tmp_path, "a\n", "a.de"), written(tmp_path, "b\n", "a.en")
    assert message(source, target, wanted=roles(features=3)) == (
        "data.features asks for a column, but a.de and a.en are plain lines. "
        "Put everything into one table (.tsv, .csv or .jsonl)."
    )


def test_standard_input_cannot_be_both_sides() -> None:
    with pytest.raises(UserError, match="standard input cannot be both the source and the target file"):
        rows_of("-", Path("-"))
