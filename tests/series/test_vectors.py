"""Pairs of vector sequences: both forms mean the same, and what is wrong is named by file and array."""

import zipfile

import numpy as np
import pytest

from seqsmith.errors import UserError
from seqsmith.series.vectors import read_vectors


def save(folder, **arrays):
    np.savez(folder / "v.npz", **arrays)
    return str(folder / "v.npz")


def test_both_forms_mean_the_same(tmp_path):
    chance = np.random.default_rng(1)
    source, target = chance.normal(size=(2, 5, 3)), chance.normal(size=(2, 4, 2))
    lengths = {"source_length": np.array([5, 2]), "target_length": np.array([1, 4])}
    stacked = read_vectors(save(tmp_path, source=source, target=target, **lengths))
    named = read_vectors(
        save(
            tmp_path,
            **{"source/1": source[0], "target/1": target[0, :1], "source/2": source[1, :2], "target/2": target[1]},
        )
    )
    assert stacked.names == named.names == ("1", "2")
    for one, other in zip((*stacked.source, *stacked.target), (*named.source, *named.target), strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == np.float32


def test_targets_are_needed_only_where_they_are_learned_from(tmp_path):
    path = save(tmp_path, source=np.ones((2, 5, 3)))
    assert read_vectors(path, needs_target=False).target == ()
    with pytest.raises(UserError, match="found no targets"):
        read_vectors(path)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.ones(3)}, "expected arrays `source` and `target`, or `source/NAME`; found x."),
        ({"source": np.ones((2, 3)), "target": np.ones((2, 3, 1))}, "`source` has 2 axes; expected 3"),
        ({"source": np.ones((2, 3, 1)), "target": np.ones((3, 3, 1))}, "2 sources, but 3 targets"),
        ({"source": np.ones((2, 3, 1)), "source_length": np.array([1, 4])}, "2 whole numbers from 1 to 3, one a pair"),
        ({"source/a": np.ones((2, 3)), "source/b": np.ones((2, 3)), "target/a": np.ones((2, 3))}, "source/b has no"),
        ({"source/a": np.ones((2, 3)), "target/a": np.ones((2, 3)), "target/b": np.ones((2, 3))}, "target/b has no"),
        ({"source/a": np.ones((2, 3)), "source/b": np.ones((2, 4))}, "as many numbers a step, found [3, 4]"),
        ({"source/a": np.ones(3)}, "`source/a` has the shape (3,); expected steps and numbers"),
        ({"source/a": np.array([["x"]])}, "`source/a` holds <U1; expected numbers."),
        (
            {"source/a": np.array([[1.0], [np.inf]])},
            "`source/a` is not finite, or beyond single precision (3e38), at step 2",
        ),
        ({"source/a": np.array([[{}]], dtype=object)}, "cannot be read as arrays of numbers"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, arrays, message):
    path = save(tmp_path, **arrays)
    with pytest.raises(UserError) as caught:
        read_vectors(path, needs_target=False)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_what_is_no_archive_or_expands_absurdly_is_refused(tmp_path):
    (tmp_path / "v.npz").write_bytes(b"numbers")
    with pytest.raises(UserError, match=r"not an .npz file"):
        read_vectors(str(tmp_path / "v.npz"))
    with pytest.raises(UserError, match="no such file"):
        read_vectors(str(tmp_path / "w.npz"))
    np.savez_compressed(tmp_path / "v.npz", source=np.zeros((1, 1 << 22, 1), np.float64))
    with pytest.raises(UserError, match=r"bytes expand to"):
        read_vectors(str(tmp_path / "v.npz"))


def test_a_member_that_is_no_array_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "v.npz", "w") as archive:
        archive.writestr("source/1", "hello")
        archive.writestr("target/1", "hello")
    with pytest.raises(UserError, match=r"`source/1` is no array\. Write the file with numpy\.savez\."):
        read_vectors(str(tmp_path / "v.npz"))


@pytest.mark.filterwarnings("error")
def test_numbers_beyond_single_precision_are_told(tmp_path):
    path = save(tmp_path, **{"source/1": np.full((2, 1), 1e300), "target/1": np.ones((1, 1))})
    with pytest.raises(UserError, match=r"`source/1` is not finite, or beyond single precision \(3e38\), at step 1"):
        read_vectors(path)


@pytest.mark.parametrize("names", [("source", "target"), ("source/a", "target/a")])
def test_arrays_that_are_left_out_are_told(tmp_path, names):
    source, target = names
    shape = (2, 3) if "/" in source else (1, 2, 3)
    arrays = {source: np.ones(shape), target: np.ones(shape)}
    assert list(read_vectors(save(tmp_path, **arrays)).remarks()) == []
    path = save(tmp_path, **arrays, rate=np.array(3), unit=np.array(1))
    assert list(read_vectors(path).remarks()) == [
        f"{path}: arrays that are neither sources nor targets, left out: 2, as rate."
    ]
