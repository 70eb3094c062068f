"""Laws of vocabularies and their files."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqsmith.errors import UserError
from seqsmith.special import SPECIALS, UNKNOWN
from seqsmith.text.vocabulary import Vocabulary, most_frequent, read_vocabulary

texts = st.text(st.characters(exclude_categories=["Cs"]))
symbol_lists = st.lists(texts, unique=True).map(tuple)


@given(symbol_lists)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_vocabulary_read_again_is_the_same(tmp_path: Path, symbols: tuple[str, ...]) -> None:
    Vocabulary(symbols).write(tmp_path / "source.vocab")
    assert read_vocabulary(tmp_path / "source.vocab") == Vocabulary(symbols)


@given(symbol_lists, symbol_lists)
def test_a_grown_vocabulary_keeps_the_old_ids(old: tuple[str, ...], new: tuple[str, ...]) -> None:
    grown = Vocabulary(old).grown(new)
    assert grown.symbols[: len(old)] == old
    assert set(grown.symbols) == {*old, *new}


@given(symbol_lists)
def test_no_symbol_has_a_special_id(symbols: tuple[str, ...]) -> None:
    vocabulary = Vocabulary(symbols)
    assert [vocabulary.id_of[symbol] for symbol in symbols] == list(range(len(SPECIALS), len(vocabulary)))
    assert vocabulary.id_of["".join(symbols) + "more"] == UNKNOWN


def test_frequent_symbols_come_first_and_rare_ones_not_at_all() -> None:
    assert most_frequent("ccbbaaad") == ("a", "b", "c", "d")
    assert most_frequent("ccbbaaad", minimum_count=2) == ("a", "b", "c")
    assert most_frequent("ccbbaaad", limit=2) == ("a", "b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'"a"\nb\n', ":2: found b'b', expected one JSON string"),
        (b'"a"\n\n"b"\n', ":2: found b'', expected one JSON string"),
        (b'"a"\n17\n', ":2: found b'17', expected one JSON string"),
        (b'"\xff"\n', r":1: found b'\"\\xff\"', expected one JSON string"),
        (b'"a"\n"b"\n"a"\n', ":3: the symbol 'a' stands on line 1 already"),
    ],
)
def test_a_damaged_vocabulary_names_the_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.vocab").write_bytes(content)
    with pytest.raises(UserError, match=f"x.vocab{message}"):
        read_vocabulary(tmp_path / "x.vocab")


def test_a_missing_vocabulary_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"x\.vocab: cannot read the vocabulary: No such file"):
        read_vocabulary(tmp_path / "x.vocab")
