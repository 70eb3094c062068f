"""Recordings are read as they are, or refused in one sentence that names the file."""

from __future__ import annotations

import struct
import sys
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
import soundfile

from seqsmith.errors import UserError
from seqsmith.speech.audio import read_header, read_joined, read_samples
from seqsmith.speech.names import Stretch
from speech.sounds import tone, write

OPPOSITE = np.outer(np.int16(32_767 * tone()), np.int16([1, -1]))


def read(path: str, **options: object) -> np.ndarray:
    return read_samples(path, **{"rate_hz": 16_000, "longest_seconds": 60.0, **options})


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_lossless_formats_give_the_samples_back(tmp_path, suffix):
    sample_X = tone()
    path = write(tmp_path / f"a.{suffix}", sample_X)
    np.testing.assert_allclose(read(path), sample_X, atol=1 / 32_000)


@pytest.mark.parametrize("suffix", ["ogg", "mp3"])
def test_lossy_formats_sound_alike(tmp_path, suffix):
    path = write(tmp_path / f"a.{suffix}", tone(1.0))
    found = np.abs(np.fft.rfft(read(path)))
    assert abs(found.argmax() * 16_000 / (2 * (len(found) - 1)) - 440) < 5


def test_channels_are_mixed_to_their_mean(tmp_path):
    left, right = tone(hz=300), tone(hz=500)
    path = write(tmp_path / "a.wav", np.stack([left, right], axis=1))
    np.testing.assert_allclose(read(path), (left + right) / 2, atol=1 / 16_000)


def test_another_rate_is_resampled_to_the_same_sound(tmp_path):
    path = write(tmp_path / "a.wav", tone(1.0, rate_hz=44_100), 44_100)
    found = read(path)
    assert len(found) == 16_000
    np.testing.assert_allclose(found[1_000:-1_000], tone(1.0)[1_000:-1_000], atol=0.01)


def test_a_stretch_is_what_lies_between_its_times(tmp_path):
    sample_X = tone(1.0)
    path = write(tmp_path / "a.wav", sample_X)
    found = read(path, stretch=Stretch(0.25, 0.5))
    np.testing.assert_allclose(found, sample_X[4_000:8_000], atol=1 / 32_000)


def test_several_recordings_are_joined_end_to_end(tmp_path):
    paths = [write(tmp_path / f"{hz}.wav", tone(hz=hz)) for hz in (300, 500)]
    whole = read_joined(paths, rate_hz=16_000, longest_seconds=60.0)
    np.testing.assert_array_equal(whole, np.concatenate([read(path) for path in paths]))
    with pytest.raises(UserError, match="start and end belong to one recording, found 2"):
        read_joined(paths, rate_hz=16_000, longest_seconds=60.0, stretch=Stretch(0.1, 0.2))


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_every_cut_off_file_is_named(tmp_path, suffix, share):
    path = write(tmp_path / f"a.{suffix}", tone(2.0))
    whole = (tmp_path / f"a.{suffix}").read_bytes()
    (tmp_path / f"a.{suffix}").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UserError, match=f"a.{suffix}: "):
        read(path)


def test_a_long_wav_file_that_was_cut_off_is_named(tmp_path):
    path = tmp_path / "a.wav"
    write(path, tone(2.0), format="RF64")
    whole = path.read_bytes()
    assert whole.startswith(b"RF64")
    assert len(read(str(path)))
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"a\.wav: cut off"):
        read(str(path))


def test_a_file_that_is_longer_than_allowed_is_refused_before_it_is_decoded(tmp_path):
    path = write(tmp_path / "bomb.flac", np.zeros(60 * 192_000, np.int16), 192_000)
    tracemalloc.start()
    with pytest.raises(UserError, match=r"found 60\.0 seconds, expected at most 5"):
        read(path, longest_seconds=5.0)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("samples", "rate", "options", "message"),
    [
        (np.zeros(16_000, np.float32), 16_000, {}, "silent from beginning to end"),
        (OPPOSITE, 16_000, {}, r"silent .* once its channels are mixed to one \(in opposite phase they cancel\)\."),
        (np.full(16_000, np.nan, np.float32), 16_000, {"subtype": "FLOAT"}, "samples that are no numbers"),
        (np.full(16_000, 1e30, np.float32), 16_000, {"subtype": "FLOAT"}, "samples reach 1e.30 times full scale"),
        (np.zeros(0, np.float32), 16_000, {}, "not one sample"),
        (tone(), 2_000, {}, "found a rate of 2,000 Hz, expected 4,000 to 192,000"),
        (np.zeros((100, 9), np.float32), 16_000, {}, "found 9 channels, expected 1 to 8"),
    ],
)
def test_what_is_wrong_with_a_recording_is_said(tmp_path, samples, rate, options, message):
    path = write(tmp_path / "odd.wav", samples, rate, **options)
    with pytest.raises(UserError, match=f"odd.wav: .*{message}"):
        read(path)


@pytest.mark.parametrize("rate", [0, 2**31 - 1])
def test_absurd_rates_are_refused(tmp_path, rate):
    path = write(tmp_path / "a.wav", tone())
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[24:28] = struct.pack("<I", rate)
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.wav: "):
        read(path)


def test_files_that_are_none_are_named(tmp_path):
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("hello")
    with pytest.raises(UserError, match=r"empty\.wav: an empty file"):
        read_header(str(tmp_path / "empty.wav"))
    with pytest.raises(UserError, match=r"text\.wav: not a recording that can be decoded"):
        read_header(str(tmp_path / "text.wav"))
    with pytest.raises(UserError, match=r"none\.wav: no such file"):
        read_header(str(tmp_path / "none.wav"))


def test_a_stretch_outside_the_recording_is_refused(tmp_path):
    path = write(tmp_path / "a.wav", tone(1.0))
    with pytest.raises(UserError, match=r"asked for seconds 0\.5 to 3 of a recording of 1\.00 seconds"):
        read(path, stretch=Stretch(0.5, 3.0))


def test_mutants_of_a_recording_are_read_or_refused_and_nothing_else(tmp_path):
    path = tmp_path / "a.wav"
    write(path, tone(0.1))
    whole = bytearray(path.read_bytes())
    random = np.random.default_rng(1)
    for _ in range(200):
        mutant = bytearray(whole)
        for place in random.integers(0, 48, 3):
            mutant[place] = random.integers(0, 256)
        path.write_bytes(mutant)
        with suppress(UserError):  # any other error ends the test
            assert np.isfinite(read(str(path))).all()


@pytest.mark.parametrize("package", ["soundfile", "soxr"])
def test_a_missing_package_says_how_to_install_it(tmp_path, monkeypatch, package):
    path = write(tmp_path / "a.wav", tone(rate_hz=8_000), 8_000)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf"{package}, which is not installed: pip install 'seqsmith\[audio\]'"):
        read(path)


def test_every_format_of_the_list_can_be_written_and_read_here():
    assert {"WAV", "FLAC", "OGG", "MP3"} <= set(soundfile.available_formats())
