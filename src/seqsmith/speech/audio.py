"""Recordings to samples: WAV, FLAC, OGG and MP3 by libsndfile, any rate by soxr, one channel.

What a file's header says is checked before anything of its size is allocated, and what it holds against what it says:
a cut-off or hostile file ends in one sentence that names it. Decoding goes in blocks, so memory follows what was
really there.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqsmith.data.files import explained
from seqsmith.data.kinds import SOUNDS
from seqsmith.errors import UserError
from seqsmith.speech.container import is_cut_off
from seqsmith.speech.names import WHOLE, Stretch

Samples = NDArray[np.float32]

SLOWEST_HZ, FASTEST_HZ = 4_000, 192_000
MOST_CHANNELS = 8
LOUDEST = 1e6  # times full scale; floats of the size of 16-bit integers are still taken
SILENT = 1e-6  # of full scale: below half the last bit of 16
BLOCK_FRAMES = 1 << 16


@dataclass(frozen=True)
class Header:
    """What a recording says of itself."""

    rate_hz: int
    channels: int
    num_frames: int  # samples of each channel

    @property
    def seconds(self) -> float:
        return self.num_frames / self.rate_hz


def read_header(path: str) -> Header:
    """Look at a recording without decoding it. Raises UserError for what no recording of speech looks like."""
    soundfile = _soundfile()
    with explained(path):
        with open(path, "rb") as file:
            if not os.fstat(file.fileno()).st_size:
                raise UserError(f"{path}: an empty file; expected a recording ({_names()}). Record or fetch it again.")
        try:
            found = soundfile.info(path)
        except soundfile.LibsndfileError as error:
            raise UserError(_undecodable(path, error)) from None
    header = Header(found.samplerate, found.channels, found.frames)
    if not SLOWEST_HZ <= header.rate_hz <= FASTEST_HZ:
        raise UserError(
            f"{path}: found a rate of {header.rate_hz:,} Hz, expected {SLOWEST_HZ:,} to {FASTEST_HZ:,}. "
            "Is the header damaged? Convert the file to 16,000 Hz."
        )
    if not 1 <= header.channels <= MOST_CHANNELS:
        raise UserError(
            f"{path}: found {header.channels:,} channels, expected 1 to {MOST_CHANNELS}. Mix it down to one channel."
        )
    return header


def read_samples(path: str, *, rate_hz: int, longest_seconds: float, stretch: Stretch = WHOLE) -> Samples:
    """The mono samples at `rate_hz`, full scale at 1. Raises UserError that names the file for whatever is wrong."""
    header = read_header(path)
    first, last = _bounds(path, header, stretch)
    if last - first > longest_seconds * header.rate_hz:
        raise UserError(
            f"{path}: found {(last - first) / header.rate_hz:,.1f} seconds, expected at most {longest_seconds:,g}. "
            "Cut it into pieces, give start and end, or raise source.longest_seconds."
        )
    if is_cut_off(path):
        raise UserError(f"{path}: cut off: its header promises more than the file holds. Copy or fetch it again.")
    sample_X = _decode(path, first, last)
    if len(sample_X) < last - first:
        raise UserError(
            f"{path}: cut off or damaged: {last - first:,} samples wanted, only {len(sample_X):,} could be decoded. "
            "Copy or fetch it again."
        )
    if not np.isfinite(sample_X).all():
        raise UserError(f"{path}: holds samples that are no numbers (NaN or infinite). Export it again as 16-bit WAV.")
    loudest = float(np.abs(sample_X).max())
    if loudest > LOUDEST:
        raise UserError(f"{path}: samples reach {loudest:g} times full scale. Export it again as 16-bit WAV.")
    if loudest <= SILENT:
        mixed = "" if header.channels == 1 else " once its channels are mixed to one (in opposite phase they cancel)"
        raise UserError(
            f"{path}: silent from beginning to end{mixed}. Is the right channel recorded? Leave it out otherwise."
        )
    return resampled(sample_X, header.rate_hz, rate_hz)


def read_joined(paths: Sequence[str], *, rate_hz: int, longest_seconds: float, stretch: Stretch = WHOLE) -> Samples:
    """Several recordings end to end as one. A stretch can only be taken of a single one."""
    if len(paths) == 1:
        return read_samples(paths[0], rate_hz=rate_hz, longest_seconds=longest_seconds, stretch=stretch)
    if stretch != WHOLE:
        raise UserError(
            f"{','.join(paths)}: start and end belong to one recording, found {len(paths)} joined by commas. "
            "Give each its own row, or leave start and end out."
        )
    whole = [read_samples(path, rate_hz=rate_hz, longest_seconds=longest_seconds) for path in paths]
    return np.concatenate(whole)


def resampled(sample_X: Samples, from_hz: float, to_hz: float) -> Samples:
    """The same sound at another rate."""
    if from_hz == to_hz:
        return sample_X
    changed: Samples = _soxr().resample(sample_X, from_hz, to_hz).astype(np.float32)
    return changed


def check_installed() -> None:
    """Raise UserError where a package is missing that recordings need."""
    _soundfile()
    _soxr()


def _bounds(path: str, header: Header, stretch: Stretch) -> tuple[int, int]:
    start, end = stretch.start or 0.0, header.seconds if stretch.end is None else stretch.end
    if not (math.isfinite(start) and math.isfinite(end) and 0.0 <= start < end <= header.seconds + 0.01):
        if stretch == WHOLE:
            raise UserError(f"{path}: there is not one sample in it. Record or fetch it again.")
        raise UserError(
            f"{path}: asked for seconds {start:g} to {end:g} of a recording of {header.seconds:,.2f} seconds. "
            "Expected 0 <= start < end <= its length."
        )
    first, last = round(start * header.rate_hz), min(round(end * header.rate_hz), header.num_frames)
    if first == last:
        raise UserError(f"{path}: between {start:g} and {end:g} seconds there is not one sample. Take a longer part.")
    return first, last


def _decode(path: str, first: int, last: int) -> Samples:
    soundfile = _soundfile()
    try:
        with explained(path), soundfile.SoundFile(path) as file:
            if first:
                file.seek(first)
            blocks = list(_blocks(file, last - first))
    except soundfile.LibsndfileError as error:
        raise UserError(_undecodable(path, error)) from None
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def _blocks(file: Any, wanted: int) -> Iterator[Samples]:
    """Mono blocks; fewer samples in all than wanted where the file holds no more."""
    while wanted > 0:
        block_LC = file.read(min(BLOCK_FRAMES, wanted), dtype="float32", always_2d=True)
        if not len(block_LC):
            return
        wanted -= len(block_LC)
        yield block_LC.mean(axis=1, dtype=np.float32)


def _undecodable(path: str, error: Exception) -> str:
    return f"{path}: not a recording that can be decoded ({str(error).rstrip('.')}). Expected {_names()}."


def _names() -> str:
    return ", ".join(suffix[1:].upper() for suffix in SOUNDS)


def _soundfile() -> Any:
    try:
        import soundfile
    except (ImportError, OSError):  # the second where the package lacks its library
        raise UserError(_missing("soundfile")) from None
    return soundfile


def _soxr() -> Any:
    try:
        import soxr
    except ImportError:
        raise UserError(_missing("soxr")) from None
    return soxr


def _missing(name: str) -> str:
    return f"recordings need the package {name}, which is not installed: pip install 'seqsmith[audio]'"
