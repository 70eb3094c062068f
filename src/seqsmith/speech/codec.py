"""The way of recordings to frames: read or analyse, normalise, vary for training, and put deltas beside them.

What is kept on disk are normalised frames without deltas: these are made when a batch is, after the frames were
bent, stretched and masked.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqsmith import config
from seqsmith.data.kinds import RECORDINGS
from seqsmith.errors import UserError
from seqsmith.speech.audio import resampled
from seqsmith.speech.augment import bent, louder, masked, noisy, stretched, stretched_length
from seqsmith.speech.decoder import read_joined
from seqsmith.speech.deltas import with_deltas
from seqsmith.speech.matrix import is_matrix, read_matrix
from seqsmith.speech.names import Stretch, parse
from seqsmith.speech.normalise import Normalisation, heard, learnt, levelled, own
from seqsmith.speech.silence import pieces

Frames = NDArray[np.float32]

FRAMES_PER_SECOND = 100
_OVER_ALL = ("global", "level")  # what is normalised over the training set
_LEARNT_FROM = 2_000  # recordings, from all over the training set
_WAY = 3  # raised when the same recordings and settings give other frames, so that no older ones are taken from a cache


@dataclass(frozen=True, eq=False)
class SpeechCodec:
    """Analysis and normalisation. The settings are resolved."""

    settings: config.SpeechSource
    normalisation: Normalisation | None  # None: each recording by itself, or none at all

    @property
    def kept_channels(self) -> int:
        """Numbers of a frame on disk."""
        assert self.settings.channels is not None
        return self.settings.channels

    @property
    def channels(self) -> int:
        """Numbers of a frame that the model sees."""
        return self.kept_channels * (1 + (self.settings.deltas or 0))

    def encode(self, names: Sequence[str]) -> list[Frames]:
        """Normalised frames of each recording, without deltas."""
        return [self.normalised(frames_of(name, self.settings)) for name in names]

    def normalised(self, frame_LC: Frames) -> Frames:
        """Raises UserError where the number of channels is another than in training."""
        if self.settings.normalise == "none":
            return frame_LC
        sounding_L = np.ones(len(frame_LC), np.bool_)
        if self.settings.bins is not None:
            frame_LC, sounding_L = heard(frame_LC)
        if self.settings.normalise == "recording":
            return own(frame_LC, sounding_L)
        if self.settings.normalise == "level":
            frame_LC = levelled(frame_LC, sounding_L, cepstra=self.settings.cepstra)
        return frame_LC if self.normalisation is None else self.normalisation(frame_LC)

    def finished(self, frame_LC: Frames) -> Frames:
        """As the model sees it."""
        return with_deltas(np.asarray(frame_LC, np.float32), self.settings.deltas or 0)

    def varied(self, name: str, kept: Frames, seed: int) -> Frames:
        """A recording as training sees it this time: a pure function of its arguments, ready for the model."""
        change = self.settings.augment
        random = np.random.default_rng(seed)
        tempo = self._tempo(random)
        frames = np.asarray(kept, np.float32)
        if change.of_recordings:
            frames = self.normalised(_varied_recording(name, self.settings, random))
        if change.bend:
            frames = self._bent(frames, random.uniform(-change.bend, change.bend))
        if tempo != 1.0:
            frames = stretched(frames, tempo)
        bands = {"bands": change.bands, "widest_band": change.widest_band}
        spans = {"spans": change.spans, "longest_span": change.longest_span}
        frames = masked(frames, random, bands=0, widest_band=0.0, **spans)  # type: ignore[arg-type]
        return masked(self.finished(frames), random, spans=0, longest_span=0.0, **bands)  # type: ignore[arg-type]

    def varied_length(self, length: int, seed: int) -> int:
        """How many frames `varied` makes of so many; where recordings are read anew at another speed, nearly."""
        change = self.settings.augment
        random = np.random.default_rng(seed)
        tempo = self._tempo(random)
        if change.speeds:
            length = stretched_length(length, float(random.choice(change.speeds)))
        return stretched_length(length, tempo)

    def _tempo(self, random: np.random.Generator) -> float:
        most = self.settings.augment.tempo
        return random.uniform(1 - most, 1 + most) if most else 1.0

    def _bent(self, frame_LC: Frames, by: float) -> Frames:
        cepstra = self.settings.cepstra
        if self.normalisation is None:
            return bent(frame_LC, by, cepstra=cepstra)
        return self.normalisation(bent(self.normalisation.inverse(frame_LC), by, cepstra=cepstra))

    def pieces(self, frame_LC: Frames) -> list[Frames]:
        """A long recording cut where it is quiet, by its kept frames."""
        longest = self.settings.longest_piece
        if longest is None or len(frame_LC) <= longest:
            return [frame_LC]
        return [frame_LC[start:end] for start, end in pieces(self.loudness(frame_LC), longest=longest)]

    def loudness(self, frame_LC: Frames) -> NDArray[np.float32]:
        """How loud each normalised frame is, on a scale of its own: cepstra begin with it, mel bins add up to it."""
        return frame_LC[:, 0] if self.settings.bins is None else frame_LC.mean(1)

    def energy(self, frame_LC: Frames) -> NDArray[np.float32]:
        """The log-energy of each frame before normalisation; of features that are ready, how loud it is."""
        return frame_LC[:, 0] if self.settings.bins is None else np.logaddexp.reduce(frame_LC, axis=1)

    def save(self, folder: Path, name: str) -> list[str]:
        """Write the files called `name` and return their names; settings are kept elsewhere."""
        if self.normalisation is None:
            return []
        self.normalisation.save(folder / _file(name))
        return [_file(name)]

    def same(self, other: SpeechCodec) -> bool:
        """Whether both make the same frames of a recording."""
        return self.digest() == other.digest()

    def digest(self) -> str:
        """What the kept frames depend on beside the recordings."""
        kept = f"{_WAY} {self.settings.model_dump_json(exclude={'deltas', 'augment', 'longest_piece'})}"
        numbers = b"" if self.normalisation is None else self.normalisation.digest_bytes()
        return hashlib.sha256(kept.encode() + numbers).hexdigest()


def learn_codec(names: Sequence[str], settings: config.SpeechSource) -> SpeechCodec:
    """Learn the normalisation from recordings of the training set."""
    if settings.normalise not in _OVER_ALL:
        return SpeechCodec(settings, None)
    every = -(-len(names) // _LEARNT_FROM)
    before = SpeechCodec(settings, None)  # takes away the level, if anything
    return SpeechCodec(settings, learnt(before.encode([name])[0] for name in names[:: max(1, every)]))


def open_codec(folder: Path, name: str, settings: config.SpeechSource) -> SpeechCodec:
    """Read what `save` wrote."""
    kept = settings.normalise in _OVER_ALL
    return SpeechCodec(settings, Normalisation.open(folder / _file(name)) if kept else None)


def frames_of(name: str, settings: config.SpeechSource) -> Frames:
    """The frames of one example as they are, before any normalisation."""
    paths, stretch = parse(name)
    check_there(paths)
    if not is_matrix(paths[0]):
        samples = read_joined(paths, rate_hz=_rate(settings), longest_seconds=settings.longest_seconds, stretch=stretch)
        return _analysed(samples, settings, name)
    if settings.bins is not None:
        raise UserError(f"{name}: ready-made features, but this model takes recordings. Give it those.")
    frame_LC = read_features(name, longest_seconds=settings.longest_seconds)
    if settings.channels is not None and frame_LC.shape[1] != settings.channels:
        raise UserError(
            f"{name}: found {frame_LC.shape[1]} channels a frame, expected {settings.channels} as in training."
        )
    return frame_LC


def read_features(name: str, *, longest_seconds: float) -> Frames:
    """Ready-made features: the files of an example joined, and what is meant of them."""
    paths, stretch = parse(name)
    matrices = [read_matrix(path, most_frames=int(longest_seconds * FRAMES_PER_SECOND)) for path in paths]
    widths = sorted({matrix.shape[1] for matrix in matrices})
    if len(widths) > 1:
        raise UserError(f"{name}: found {widths[0]} and {widths[-1]} channels a frame; expected as many in all.")
    frame_LC = np.concatenate(matrices)
    return frame_LC[_stretched(name, len(frame_LC), stretch)]


def _stretched(name: str, frames: int, stretch: Stretch) -> slice:
    """The frames that are meant. Raises UserError where there are none, or not all of them."""
    seconds = frames / FRAMES_PER_SECOND
    start, end = stretch.start or 0.0, seconds if stretch.end is None else stretch.end
    first, last = (round(time * FRAMES_PER_SECOND, 0) for time in (start, end))  # a float may be NaN or infinite
    if not 0 <= first < last <= frames + 1:
        raise UserError(
            f"{name}: asked for seconds {start:g} to {end:g} of features of {seconds:,.2f} seconds. "
            "Expected 0 <= start < end <= their length."
        )
    return slice(int(first), int(last))


def _analysed(samples: NDArray[np.float32], settings: config.SpeechSource, name: str) -> Frames:
    from seqsmith.speech.spectrum import FilterBank, log_mel  # torch, which features that are ready need not wait for

    if settings.bins is None:
        raise UserError(f"{name}: a recording, but this model takes ready-made features (.npy, .npz). Give it those.")
    if settings.channels not in (None, settings.bins):
        raise UserError(
            f"source.channels: found {settings.channels}, but a recording has as many as source.bins, which is "
            f"{settings.bins}: set source.bins alone."
        )
    try:
        return log_mel(samples, FilterBank(_rate(settings), settings.bins, settings.window))
    except UserError as error:
        raise UserError(f"{name}: {error}") from None


def _varied_recording(name: str, settings: config.SpeechSource, random: np.random.Generator) -> Frames:
    paths, stretch = parse(name)
    if is_matrix(paths[0]):
        raise UserError(
            f"{name}: source.augment.speeds, noise and gain change recordings, found ready-made features. "
            "Leave them at () and 0, and take source.augment.tempo."
        )
    change, rate = settings.augment, _rate(settings)
    samples = read_joined(paths, rate_hz=rate, longest_seconds=settings.longest_seconds, stretch=stretch)
    if change.speeds:
        samples = resampled(samples, rate * float(random.choice(change.speeds)), rate)
    if change.noise:
        samples = noisy(samples, random, quietest_decibels=change.noise)
    if change.gain:
        samples = louder(samples, random, most_decibels=change.gain)
    return _analysed(samples, settings, name)


def recordings_digest(names: Iterable[str]) -> str:
    """Changes when a recording does: its path, size and time of change."""
    seal = hashlib.sha256()
    seen: dict[str, bytes] = {}
    for name in names:
        for path in parse(name)[0]:
            if path not in seen:
                check_there([path])
                status = os.stat(path)
                seen[path] = f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0".encode()
            seal.update(seen[path])
    return seal.hexdigest()


def check_there(paths: Sequence[str]) -> None:
    """Raises UserError where a file of an example is missing, or where samples and features are mixed."""
    for path in paths:
        if os.path.isdir(path):
            raise UserError(f"{path}: a folder, where a recording is expected. Is a cell of the manifest empty?")
        if not os.path.isfile(path):
            where = "Those of a manifest are looked for in its own folder, or in that which data.audio_folder names."
            names = "" if path.lower().endswith(RECORDINGS) else " Is it the name of a column? Set data.header=true."
            raise UserError(f"{path}: no such recording. {where}{names}")
    if len({is_matrix(path) for path in paths}) != 1:
        raise UserError(f"{','.join(paths) or 'a recording'}: recordings and ready-made features cannot be joined.")


def _rate(settings: config.SpeechSource) -> int:
    assert settings.rate_hz is not None, "the settings are resolved before recordings are read"
    return settings.rate_hz


def _file(name: str) -> str:
    return f"{name}.normalisation.json"
