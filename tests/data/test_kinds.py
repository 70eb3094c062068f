"""The kind of data is found from its first rows."""

from pathlib import Path

import numpy as np
import pytest

from seqsmith.config import Corpus, Data
from seqsmith.data.kinds import guess_kind


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("pairs.tsv", "a dog\tein Hund\na cat\teine Katze\n", "text"),
        ("numbers.tsv", "12\ttwelve\n13\tthirteen\n", "text"),
        ("sums.tsv", "12\t13\n14\t15\n", "text"),  # no header: pairs of digit strings
        ("pairs.csv", "source,target\n1,2\n2,3\n3,4\n", "text"),
        ("words.csv", "number,word\n1,one\n2,two\n3,three\n", "text"),
        ("one.csv", "day,sold\n2024-01-01,3\n2024-01-02,5\n", "series"),
        ("manifest.tsv", "path\ttext\nclips/a.wav\thello\nclips/b.wav\tyou\n", "speech"),
        ("manifest.csv", 'utt,text,files\n1,one two,"1.flac,2.flac"\n', "speech"),
        ("parts.tsv", "path\ttext\na.wav#t=1.5,3\thello\nb.wav\tyou\n", "speech"),
        ("commas.tsv", "path\ttext\nhello, you.wav\thello\nb.wav\tyou\n", "speech"),
        ("titles.tsv", "play a.mp3, please\tspiel a.mp3, bitte\nb\tb\n", "text"),
        ("manifest.jsonl", '{"audio": "a.npy", "text": "hello"}\n', "speech"),
        ("table.csv", "date,HUFL,OT\n2016-07-01 00:00:00,5.8,30.5\n2016-07-01 01:00:00,,27.7\n", "series"),
        ("table.tsv", "t\tgroup\tx\ty\n1\tnorth\t1e-3\tNA\n2\tnorth\t4\t-5\n", "series"),
        ("iso.csv", "timestamp,a\n2020-01-01T00:00:00Z,10.0\n2020-01-01T01:00:00Z,11.0\n", "series"),
        ("months.csv", "date,a\n1980-01,10.0\n1980-02,11.5\n", "series"),
        ("infinite.csv", "date,load\n2020-01-01,inf\n2020-01-02,11.5\n", "series"),
        ("holes.csv", "date,a\n2020-01-01,?\n2020-01-02,11.5\n", "series"),
        ("cities.csv", "date,shop,city,a,b,c,d\n2020-01-01,A,Rome,1,2,3,4\n2020-01-02,A,Rome,2,3,4,5\n", "series"),
        ("pandas.csv", ",date,load\n0,2024-01-01 00:00,3.5\n1,2024-01-01 01:00,5\n", "series"),
        ("headless.csv", "2024-01-01 00:00,3.5\n2024-01-01 01:00,5\n", "series"),
        ("dates.tsv", "2024-01-01\t1. Januar 2024\n2024-01-02\t2. Januar 2024\n", "text"),
        ("sums.tsv", "12\t21\n345\t543\n", "text"),
        ("objects.jsonl", '{"source": "a", "target": "b"}\n', "text"),
        ("broken.jsonl", '{"source": \n', "text"),
        ("empty.tsv", "", "text"),
        ("plain.txt", "1.5\n2.5\n", "text"),
        ("one.tsv", "a\tb\n", "text"),
    ],
)
def test_the_kind_is_found_from_the_first_rows(tmp_path: Path, name: str, content: str, kind: str) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    found = guess_kind(Corpus(path=str(path)), Data())
    assert found.kind == kind
    assert (found.reason == "") == (kind == "text")


def test_a_list_of_recordings_beside_one_of_transcripts_is_speech(tmp_path: Path) -> None:
    files, texts = tmp_path / "files.txt", tmp_path / "texts.txt"
    files.write_text("a.wav\nb.flac,c.wav\n\nd.wav#t=1,2\n", encoding="utf-8")
    texts.write_text("one\ntwo\n\nthree\n", encoding="utf-8")
    found = guess_kind(Corpus(path=str(files), target=str(texts)), Data())
    assert (found.kind, found.reason) == ("speech", f"{files} names recordings such as a.wav")
    assert guess_kind(Corpus(path=str(texts), target=str(files)), Data()).kind == "text"


def test_a_table_with_several_columns_of_words_is_text_and_says_how_it_becomes_series(tmp_path: Path) -> None:
    path = tmp_path / "shops.csv"
    path.write_text("date,shop,city,sold\n2020-01-01,A,Rome,3\n2020-01-02,A,Rome,4\n", encoding="utf-8")
    found = guess_kind(Corpus(path=str(path)), Data())
    assert found.kind == "text"
    assert "several columns of words: if these are series, say with series.group what tells them apart" in found.reason


def test_arrays_are_series_and_parallel_files_and_pipes_are_text(tmp_path: Path) -> None:
    np.savez(tmp_path / "pairs.npz", x=np.zeros((3, 2)))
    assert guess_kind(Corpus(path=str(tmp_path / "pairs.npz")), Data()).kind == "series"
    source = tmp_path / "a.csv"
    source.write_text("x,y\n1,2\n3,4\n", encoding="utf-8")
    assert guess_kind(Corpus(path=str(source), target=str(source)), Data()).kind == "text"
    assert guess_kind(Corpus(path="-"), Data()).kind == "text"
    assert guess_kind(Corpus(path=str(tmp_path / "missing.tsv")), Data()).kind == "text"


@pytest.mark.parametrize(
    ("name", "content", "odd"),
    [
        ("thousands.csv", 'date,y\n2020-01-01,"10,103.68"\n2020-01-02,"11,022.94"\n', "10,103.68"),
        ("share.csv", "date,y\n2020-01-01,10.1%\n2020-01-02,11.0%\n", "10.1%"),
        ("comma.tsv", "date\ty\n2020-01-01\t10,1\n2020-01-02\t11,0\n", "10,1"),
        ("quarters.csv", "date,y\n2000Q1,1.5\n2000Q2,1.6\n", "2000Q1"),
        ("dates.tsv", "2020-01-01\t01.01.2020\n2020-01-02\t02.01.2020\n", None),
        ("spoken.tsv", "date\tspoken\n2020-01-01\tthe first\n2020-01-02\tthe second\n", None),
        ("one.tsv", "update\tAktualisierung\n", None),
    ],
)
def test_what_is_almost_a_series_is_text_and_says_why(tmp_path: Path, name: str, content: str, odd: str | None) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    found = guess_kind(Corpus(path=str(tmp_path / name)), Data())
    assert found.kind == "text"
    assert (f"would be a series but for cells such as '{odd}'" in found.reason) if odd else not found.reason
