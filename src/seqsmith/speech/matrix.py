"""Ready-made features: a matrix [frames, channels] in a .npy file, or the only one in an .npz file.

A header is checked against the file before anything is mapped or unpacked, and no object is ever unpickled.
"""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from seqsmith.data.files import DAMAGED, explained
from seqsmith.data.kinds import MATRICES
from seqsmith.data.printable import printable
from seqsmith.errors import UserError

MOST_CHANNELS = 4_096
LARGEST = 1e30  # of a feature: its square must be a number still
PACKED_RATIO = 100  # an archive that expands to more is taken for a bomb


def is_matrix(path: str) -> bool:
    """Whether the name is that of ready-made features."""
    return Path(path).suffix.lower() in MATRICES


def read_matrix(path: str, *, most_frames: int) -> NDArray[np.float32]:
    """The features. Raises UserError for what is no matrix of finite numbers."""
    with explained(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, of old headers and of numbers that overflow
        try:
            matrix = _unpacked(path, most_frames) if path.lower().endswith(".npz") else _mapped(path, most_frames)
        except DAMAGED as error:
            said = printable(str(error) or type(error).__name__, longest=120)
            raise UserError(f"{path}: not a file of features ({said}). Expected what numpy.save writes.") from None
        frame_LC: NDArray[np.float32] = np.ascontiguousarray(matrix, dtype=np.float32)
    if not np.isfinite(frame_LC).all():
        raise UserError(f"{path}: holds features that are no numbers (NaN or infinite). Make them anew.")
    if float(np.abs(frame_LC).max()) > LARGEST:
        raise UserError(f"{path}: holds features beyond {LARGEST:g}. Make them anew.")
    return frame_LC


def shape_of(path: str) -> tuple[int, int]:
    """Frames and channels."""
    frames, channels = read_matrix(path, most_frames=1 << 31).shape
    return frames, channels


def _mapped(path: str, most_frames: int) -> NDArray[Any]:
    with open(path, "rb") as file:
        shape, dtype, offset = _header(file, path, most_frames)
        size = Path(path).stat().st_size - offset
    if size < shape[0] * shape[1] * dtype.itemsize:
        raise UserError(
            f"{path}: cut off: its header promises {shape[0]:,} x {shape[1]:,} numbers, the file holds fewer. "
            "Copy or make it again."
        )
    mapped: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return mapped


def _unpacked(path: str, most_frames: int) -> NDArray[Any]:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) != 1:
            raise UserError(
                f"{path}: found {len(members)} arrays, expected one matrix of features. Save each recording alone."
            )
        if members[0].file_size > PACKED_RATIO * max(1, members[0].compress_size) + (1 << 20):
            raise UserError(f"{path}: expands to over {PACKED_RATIO} times its size: no features pack like that.")
        with archive.open(members[0]) as file:
            _header(file, path, most_frames)  # type: ignore[arg-type]  # it reads like one
        with archive.open(members[0]) as file:
            unpacked: NDArray[Any] = npy.read_array(file, allow_pickle=False)
            return unpacked


def _header(file: BinaryIO, path: str, most_frames: int) -> tuple[tuple[int, int], np.dtype[Any], int]:
    """Shape, type and where the numbers begin."""
    version = npy.read_magic(file)
    shape, _, dtype = npy.read_array_header_1_0(file) if version == (1, 0) else npy.read_array_header_2_0(file)
    if len(shape) != 2 or dtype.kind not in "fiu":
        raise UserError(
            f"{path}: found an array of shape {shape} and type {dtype}, expected numbers [frames, channels]."
        )
    if not 1 <= shape[0] <= most_frames:
        raise UserError(
            f"{path}: found {shape[0]:,} frames, expected 1 to {most_frames:,}. "
            "Cut it into pieces, or raise source.longest_seconds."
        )
    if not 1 <= shape[1] <= MOST_CHANNELS:
        raise UserError(f"{path}: found {shape[1]:,} channels a frame, expected 1 to {MOST_CHANNELS:,}. Transpose it?")
    return shape, dtype, file.tell()
