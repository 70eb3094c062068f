from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqsmith.data.ragged import Ragged, RaggedWriter

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=40)
@given(blocks=st.lists(st.lists(TEXT, max_size=5), max_size=5))
def test_texts_come_back_as_they_were_written(blocks: list[list[str]]) -> None:
    texts = [text for block in blocks for text in block]
    with TemporaryDirectory() as name:
        with RaggedWriter(Path(name), "source", np.uint8) as writer:
            for block in blocks:
                writer.append_texts(block)
        column = Ragged.open(Path(name), "source")
        assert [column.text(item) for item in range(len(column))] == texts
        assert column.texts(np.arange(len(texts))[::-1]) == texts[::-1]
        assert column.lengths.tolist() == [len(text.encode()) for text in texts]


@settings(max_examples=40)
@given(items=st.lists(st.lists(st.integers(0, 65535), max_size=6), max_size=8), arrays=st.booleans())
def test_ids_come_back_as_they_were_written(items: list[list[int]], arrays: bool) -> None:
    with TemporaryDirectory() as name:
        with RaggedWriter(Path(name), "target", np.uint16) as writer:
            writer.append(Ragged.of([np.array(item, np.int64) for item in items] if arrays else items))
        column = Ragged.open(Path(name), "target")
        assert [item.tolist() for item in column] == items
        assert column.value.dtype == np.uint16


def test_frames_keep_their_channels(tmp_path: Path) -> None:
    clips = [np.full((steps, 3), steps, np.float32) for steps in (2, 0, 5)]
    with RaggedWriter(tmp_path, "source", np.float32, (3,)) as writer:
        writer.append(Ragged.of(clips[:1]))
        writer.append(Ragged.of(clips[1:]))
    column = Ragged.open(tmp_path, "source")
    assert column.lengths.tolist() == [2, 0, 5]
    for written, read in zip(clips, column, strict=True):
        np.testing.assert_array_equal(written, read)


def test_items_are_views_of_the_file(tmp_path: Path) -> None:
    with RaggedWriter(tmp_path, "source", np.uint16) as writer:
        writer.append(Ragged.of([[5, 6], [7]]))
    column = Ragged.open(tmp_path, "source")
    assert np.shares_memory(column[1], column.value)
    with pytest.raises(IndexError):
        column[2]


def test_texts_far_apart_are_read_singly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqsmith.data.ragged.SPAN_BYTES", 3)
    with RaggedWriter(tmp_path, "source", np.uint8) as writer:
        writer.append_texts(["near", "", "fär"])
    assert Ragged.open(tmp_path, "source").texts(np.array([2, 0])) == ["fär", "near"]


def test_an_id_that_does_not_fit_is_never_wrapped(tmp_path: Path) -> None:
    with RaggedWriter(tmp_path, "source", np.uint16) as writer, pytest.raises(AssertionError, match="does not fit"):
        writer.append(Ragged.of([[65536]]))


def test_frames_of_other_channels_are_never_cut_anew(tmp_path: Path) -> None:
    with RaggedWriter(tmp_path, "source", np.float32, (40,)) as writer, pytest.raises(AssertionError):
        writer.append(Ragged.of([np.zeros((3, 80), np.float32)]))


ITEMS = st.lists(st.lists(st.integers(0, 99), max_size=4), max_size=6)


@settings(max_examples=40)
@given(items=ITEMS, data=st.data())
def test_items_side_by_side_do_what_lists_do(items: list[list[int]], data: st.DataObject) -> None:
    others = data.draw(st.lists(st.lists(st.integers(0, 99), max_size=4), min_size=len(items), max_size=len(items)))
    own, other = Ragged.of(items), Ragged.of(others)
    assert own.lists() == items
    assert own.before(other).lists() == [left + right for left, right in zip(items, others, strict=True)]
    assert own.ended(7).lists() == [[*item, 7] for item in items]
    rows = data.draw(st.lists(st.integers(0, len(items) - 1), max_size=8)) if items else []
    assert own.take(np.array(rows, np.int64)).lists() == [items[row] for row in rows]
