"""Our filter banks against Kaldi's, and the laws of a spectrum."""

from __future__ import annotations

import math

import kaldi_native_fbank
import numpy as np
import pytest
import soundfile

from seqsmith.errors import UserError
from seqsmith.speech.spectrum import LOWEST_HZ, FilterBank, log_mel, triangles

BANKS = [
    FilterBank(),
    FilterBank(rate_hz=8_000, bins=64),
    FilterBank(rate_hz=16_000, bins=40, window="hamming"),
    FilterBank(rate_hz=22_050, bins=64),
]


def speechlike(seconds: float, rate_hz: int, seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate_hz)) / rate_hz
    voice = sum(np.sin(2 * math.pi * 140 * k * time) / k for k in range(1, 12))
    return (0.05 * voice + 0.002 * random.standard_normal(len(time)) + 0.01).astype(np.float32)


def kaldi(sample_X: np.ndarray, bank: FilterBank) -> np.ndarray:
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = bank.rate_hz
    options.frame_opts.dither = 0.0
    options.frame_opts.window_type = bank.window
    options.mel_opts.num_bins = bank.bins
    computer = kaldi_native_fbank.OnlineFbank(options)
    computer.accept_waveform(bank.rate_hz, (sample_X * 32_768).tolist())
    computer.input_finished()
    return np.stack([computer.get_frame(index) for index in range(computer.num_frames_ready)])


def mel_bin(hz: float, bank: FilterBank) -> int:
    """The bin whose triangle peaks nearest to a frequency."""
    low, high, at = (1127.0 * math.log1p(x / 700.0) for x in (LOWEST_HZ, bank.rate_hz / 2, hz))
    return round((at - low) / (high - low) * (bank.bins + 1)) - 1


def largest_difference(sample_X: np.ndarray, bank: FilterBank) -> float:
    ours, theirs = log_mel(sample_X, bank), kaldi(sample_X, bank)
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max())


@pytest.mark.parametrize("bank", BANKS, ids=str)
def test_the_filter_bank_is_kaldis(bank):
    assert largest_difference(speechlike(0.7, bank.rate_hz), bank) < 1e-3


@pytest.mark.parametrize("bank", BANKS, ids=str)
@pytest.mark.parametrize("hz", [300.0, 1_000.0, 3_789.3])
def test_bins_that_hold_nothing_but_rounding_are_kaldis_too(bank, hz):
    sample_X = np.sin(2 * math.pi * hz * np.arange(8_000) / bank.rate_hz).astype(np.float32)
    theirs = kaldi(sample_X, bank)
    assert bank.window == "hamming" or (theirs < theirs.max(1, keepdims=True) - 9 * math.log(10)).any()  # 90 dB below
    assert largest_difference(sample_X, bank) < 1e-3


def test_a_click_and_silence_are_kaldis():
    click_X = np.zeros(4_000, np.float32)
    click_X[1_234] = 1.0
    assert largest_difference(click_X, FilterBank()) < 1e-3


def test_the_filter_bank_is_kaldis_on_recordings(data_folder):
    bank = FilterBank(rate_hz=8_000, bins=64)
    paths = sorted((data_folder / "fsdd" / "recordings").glob("*"))[::10]
    samples = [soundfile.read(path, dtype="float32")[0] for path in paths]
    worst = [largest_difference(sample_X, bank) for sample_X in samples if len(sample_X) >= bank.window_samples]
    assert len(worst) > 200
    assert max(worst) < 1e-3


@pytest.mark.parametrize("hz", [300.0, 1_000.0, 3_000.0])
def test_the_energy_of_a_sine_lands_in_its_bin(hz):
    bank = FilterBank()
    sample_X = np.sin(2 * math.pi * hz * np.arange(8_000) / bank.rate_hz).astype(np.float32)
    peak = log_mel(sample_X, bank).mean(0).argmax()
    assert abs(int(peak) - mel_bin(hz, bank)) <= 1


def test_a_frame_depends_on_its_own_samples_alone():
    bank = FilterBank()
    sample_X = speechlike(0.5, bank.rate_hz)
    louder_later = sample_X.copy()
    louder_later[4_000:] *= 50
    untouched = 1 + (4_000 - bank.window_samples) // bank.hop_samples
    np.testing.assert_array_equal(log_mel(sample_X, bank)[:untouched], log_mel(louder_later, bank)[:untouched])
    np.testing.assert_allclose(log_mel(sample_X[:4_000], bank), log_mel(sample_X, bank)[:untouched], atol=1e-5)


def test_frames_taken_in_blocks_are_the_frames_of_each_alone():
    bank = FilterBank(rate_hz=8_000, bins=64)
    sample_X = speechlike(6.0, bank.rate_hz)  # 598 frames, a block and a part
    middle = sample_X[500 * bank.hop_samples : 530 * bank.hop_samples + bank.window_samples]
    np.testing.assert_allclose(log_mel(sample_X, bank)[500:531], log_mel(middle, bank), atol=1e-5)


def test_digital_silence_is_finite():
    assert np.isfinite(log_mel(np.zeros(4_000, np.float32), FilterBank())).all()


def test_every_bin_of_the_defaults_hears_something():
    for bank in (FilterBank(), FilterBank(rate_hz=8_000, bins=64)):
        assert (triangles(bank).sum(0) > 0).all()


def test_a_recording_shorter_than_a_frame_is_refused():
    with pytest.raises(UserError, match=r"0\.006 seconds is shorter than one frame of 0\.025"):
        log_mel(np.zeros(100, np.float32), FilterBank())
