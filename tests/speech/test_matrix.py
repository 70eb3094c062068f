"""Ready-made features come back as they were saved, or are refused in one sentence."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from seqsmith.errors import UserError
from seqsmith.speech.matrix import read_matrix, shape_of

FRAMES = np.arange(60, dtype=np.float32).reshape(20, 3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int16])
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_saved_matrix_comes_back(tmp_path, dtype, suffix):
    path = tmp_path / f"a{suffix}"
    (np.save if suffix == ".npy" else np.savez)(path, FRAMES.astype(dtype))
    found = read_matrix(str(path), most_frames=100)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, FRAMES)
    assert shape_of(str(path)) == (20, 3)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(5, np.float32), r"found an array of shape \(5,\)"),
        (np.array([["a"]]), "expected numbers"),
        (np.array([[{}]]), "expected numbers"),
        (np.zeros((0, 3), np.float32), "found 0 frames"),
        (np.zeros((101, 3), np.float32), "found 101 frames, expected 1 to 100"),
        (np.zeros((2, 5_000), np.float32), "found 5,000 channels"),
        (np.array([[1.0, np.nan]]), "features that are no numbers"),
    ],
)
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_what_is_wrong_with_features_is_said(tmp_path, array, message, suffix):
    path = tmp_path / f"odd{suffix}"
    (np.save if suffix == ".npy" else np.savez)(path, array)
    with pytest.raises(UserError, match=rf"odd\{suffix}: .*{message}"):
        read_matrix(str(path), most_frames=100)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_every_cut_off_file_is_named(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    (np.save if suffix == ".npy" else np.savez)(path, FRAMES)
    whole = path.read_bytes()
    for size in range(0, len(whole), 37):
        path.write_bytes(whole[:size])
        with pytest.raises(UserError, match=rf"a\{suffix}: "):
            read_matrix(str(path), most_frames=100)


def test_a_header_that_promises_the_moon_is_refused_before_anything_is_mapped(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, FRAMES)
    path.write_bytes(path.read_bytes().replace(b"(20, 3)", b"(90, 3)"))
    with pytest.raises(UserError, match="cut off: its header promises 90 x 3"):
        read_matrix(str(path), most_frames=100)


def test_bombs_and_archives_of_several_arrays_are_refused(tmp_path):
    several, bomb = tmp_path / "several.npz", tmp_path / "bomb.npz"
    np.savez(several, a=FRAMES, b=FRAMES)
    with pytest.raises(UserError, match="found 2 arrays, expected one"):
        read_matrix(str(several), most_frames=100)
    _compressed(bomb, np.zeros((4_000_000, 3), np.float32))
    with pytest.raises(UserError, match="expands to over 100 times its size"):
        read_matrix(str(bomb), most_frames=10**9)


def _compressed(path: Path, array: np.ndarray) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w") as file:
        np.lib.format.write_array(file, array)


def test_headers_and_archives_that_numpy_stumbles_over_are_refused(tmp_path):
    header = b"[" * 100
    deep = tmp_path / "deep.npy"
    deep.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    locked = tmp_path / "locked.npz"
    np.savez(locked, np.zeros((3, 2), np.float32))
    content = bytearray(locked.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + flags] |= 1  # encrypted
    locked.write_bytes(content)
    for path in (deep, locked):
        with pytest.raises(UserError, match=f"{path.name}: not a file of features"):
            read_matrix(str(path), most_frames=100)


def test_absurd_features_are_refused(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.full((3, 2), 1e35, np.float32))
    with pytest.raises(UserError, match=r"a\.npy: holds features beyond 1e\+30"):
        read_matrix(str(path), most_frames=100)
