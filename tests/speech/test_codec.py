"""The way from names to frames: alone as in company, varied by the seed alone, and refused in one sentence."""

from __future__ import annotations

import os

import numpy as np
import pytest

from seqsmith import config
from seqsmith.errors import UserError
from seqsmith.speech.codec import SpeechCodec, learn_codec, open_codec, recordings_digest
from seqsmith.speech.normalise import heard, learnt
from seqsmith.speech.spectrum import FilterBank, log_mel
from speech.sounds import tone, write

RECORDINGS = config.SpeechSource(rate_hz=16_000, bins=20, channels=20, deltas=1, normalise="global")
FEATURES = config.SpeechSource(rate_hz=16_000, channels=3, deltas=2, normalise="recording")


@pytest.fixture
def names(tmp_path):
    return [write(tmp_path / f"{hz}.wav", tone(0.4, hz=hz, level=0.1 + hz / 9_000)) for hz in (200, 700, 1500)]


def test_a_recording_becomes_the_same_frames_alone_and_in_company(names):
    codec = learn_codec(names, RECORDINGS)
    together = codec.encode(names)
    for name, frame_LC in zip(names, together, strict=True):
        np.testing.assert_array_equal(codec.encode([name])[0], frame_LC)
    assert together[0].shape == (38, codec.kept_channels) == (38, 20)
    assert codec.finished(together[0]).shape == (38, codec.channels) == (38, 40)
    np.testing.assert_allclose(np.concatenate(together).mean(0), 0.0, atol=1e-4)


def test_parts_and_joined_recordings(names):
    codec = SpeechCodec(RECORDINGS.model_copy(update={"normalise": "none"}), None)
    whole, part = codec.encode([names[0], f"{names[0]}#t=0.1,0.3"])
    np.testing.assert_allclose(part, whole[10:28], atol=1e-3)
    joined = codec.encode([",".join(names)])[0]
    assert len(joined) == 118  # 1.2 seconds


def test_what_is_varied_depends_on_the_seed_alone_and_plain_settings_change_nothing(names):
    codec = learn_codec(names, RECORDINGS)
    kept = codec.encode(names)[0]
    once, again, other = (codec.varied(names[0], kept, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(once, again)
    assert once.shape != other.shape or not np.array_equal(once, other)
    still = config.Augment(tempo=0.0, bands=0, spans=0)
    plain = SpeechCodec(RECORDINGS.model_copy(update={"augment": still}), codec.normalisation)
    np.testing.assert_allclose(plain.varied(names[0], kept, 5), codec.finished(kept), atol=1e-6)


def test_how_long_a_recording_will_be_is_known_beforehand(names):
    change = config.Augment(tempo=0.4, bend=0.1)
    codec = SpeechCodec(RECORDINGS.model_copy(update={"augment": change}), learn_codec(names, RECORDINGS).normalisation)
    kept = codec.encode(names)[0]
    made = [len(codec.varied(names[0], kept, seed)) for seed in range(20)]
    assert [codec.varied_length(len(kept), seed) for seed in range(20)] == made
    assert len(set(made)) > 5
    change = config.Augment(tempo=0.2, speeds=(0.5, 2.0))
    codec = SpeechCodec(RECORDINGS.model_copy(update={"augment": change}), codec.normalisation)
    for seed in range(9):
        made = len(codec.varied(names[0], kept, seed))
        assert codec.varied_length(len(kept), seed) == pytest.approx(made, rel=0.1)


def test_speed_noise_and_gain_change_the_recording_itself(names):
    kept = learn_codec(names, RECORDINGS).encode(names)[0]
    change = config.Augment(tempo=0.0, bands=0, spans=0, speeds=(0.5,), noise=10.0, gain=6.0)
    codec = SpeechCodec(RECORDINGS.model_copy(update={"augment": change, "normalise": "none"}), None)
    slower = codec.varied(names[0], kept, 1)
    assert abs(len(slower) - 2 * len(kept)) <= 3
    np.testing.assert_array_equal(slower, codec.varied(names[0], kept, 1))


def test_the_normalisation_is_saved_with_the_model(names, tmp_path):
    codec = learn_codec(names, RECORDINGS)
    assert codec.save(tmp_path, "source") == ["source.normalisation.json"]
    again = open_codec(tmp_path, "source", RECORDINGS)
    assert again.same(codec)
    np.testing.assert_array_equal(again.encode(names)[1], codec.encode(names)[1])
    assert not open_codec(tmp_path, "source", RECORDINGS.model_copy(update={"window": "hamming"})).same(codec)


@pytest.mark.parametrize("bins", [20, None])
def test_a_level_is_forgotten_and_the_colour_of_a_sound_is_not(bins):
    loud = [np.random.default_rng(seed).standard_normal((30, 20)).astype(np.float32) for seed in (1, 2)]
    louder = [1.5 * frame_LC + np.float32(3) * (1 if bins else np.arange(20) == 0) for frame_LC in loud]
    coloured = [frame_LC + np.linspace(-1, 1, 20, dtype=np.float32) for frame_LC in loud]
    settings = RECORDINGS.model_copy(update={"normalise": "level", "bins": bins, "cepstra": bins is None})
    codec = SpeechCodec(settings, learnt(loud))
    for before, same, other in zip(loud, louder, coloured, strict=True):
        np.testing.assert_allclose(codec.normalised(same), codec.normalised(before), atol=1e-4)
        assert np.abs(codec.normalised(other) - codec.normalised(before)).max() > 0.5


def test_a_level_is_learnt_and_saved_with_the_model(names, tmp_path):
    settings = RECORDINGS.model_copy(update={"normalise": "level"})
    codec = learn_codec(names, settings)
    codec.save(tmp_path, "source")
    assert open_codec(tmp_path, "source", settings).same(codec)
    np.testing.assert_allclose(np.concatenate(codec.encode(names)).mean(0), 0.0, atol=1e-4)


def spoken(random: np.random.Generator) -> np.ndarray:
    """A second at 8 kHz: three words, and between them the hiss of a room, 45 dB below."""
    time = np.arange(8_000) / 8_000
    voice = sum(np.sin(2 * np.pi * 130 * k * time + k) / k for k in range(1, 31))
    words = 0.2 * voice * np.clip(3 * np.sin(2 * np.pi * 3 * time), 0, 1) * (1 + 0.5 * np.sin(2 * np.pi * 8 * time))
    return (words + 0.001 * random.standard_normal(8_000)).astype(np.float32)


@pytest.mark.parametrize("normalise", ["level", "recording"])
@pytest.mark.parametrize("bits", [0, 1])
@pytest.mark.parametrize("frames", [1, 50, 2_000])
def test_digital_silence_around_a_recording_changes_nothing_of_it_and_is_as_its_own_quiet(normalise, bits, frames):
    random, bank = np.random.default_rng(1), FilterBank(8_000, 20)
    codec = SpeechCodec(RECORDINGS.model_copy(update={"normalise": normalise}), None)
    sample_X, silence_X = spoken(random), (random.integers(-bits, bits + 1, frames * 80) / 32_768).astype(np.float32)
    alone = codec.normalised(log_mel(sample_X, bank))
    whole = codec.normalised(log_mel(np.concatenate([silence_X, sample_X, silence_X]), bank))
    np.testing.assert_allclose(whole[frames : frames + len(alone)], alone, atol=0.03)
    silent_L, quietest = whole[: max(0, frames - 2)].mean(1), alone.mean(1).min()
    assert ((quietest - 1.5 < silent_L) & (silent_L < quietest + 0.1)).all()


def test_a_click_changes_nothing_of_which_other_frames_sound():
    quiet_X, bank = 0.05 * spoken(np.random.default_rng(1)), FilterBank(8_000, 20)
    clicked_X = quiet_X.copy()
    clicked_X[4_400] = 1.0
    (before_LC, before_L), (after_LC, after_L) = (heard(log_mel(sample_X, bank)) for sample_X in (quiet_X, clicked_X))
    elsewhere_L = np.abs(np.arange(len(before_L)) - 54) > 4
    assert 0 < before_L.sum() < len(before_L)
    np.testing.assert_array_equal(after_L[elsewhere_L], before_L[elsewhere_L])
    np.testing.assert_allclose(after_LC[elsewhere_L], before_LC[elsewhere_L], atol=1e-4)


def test_features_keep_their_numbers_and_their_number_of_channels(tmp_path):
    matrix = np.random.default_rng(1).standard_normal((30, 3)).astype(np.float32)
    matrix[3] = -50.0  # of a recording that would be digital silence
    np.save(tmp_path / "a.npy", matrix)
    np.save(tmp_path / "wide.npy", np.ones((30, 4), np.float32))
    codec = learn_codec([str(tmp_path / "a.npy")], FEATURES)
    frame_LC = codec.encode([str(tmp_path / "a.npy")])[0]
    np.testing.assert_allclose(frame_LC, (matrix - matrix.mean(0)) / matrix.std(0), atol=1e-4)
    assert codec.finished(frame_LC).shape == (30, 9)
    with pytest.raises(UserError, match=r"wide\.npy: found 4 channels a frame, expected 3"):
        codec.encode([str(tmp_path / "wide.npy")])


def test_what_cannot_be_heard_is_said(names, tmp_path):
    np.save(tmp_path / "a.npy", np.ones((30, 3), np.float32))
    features = str(tmp_path / "a.npy")
    codec = learn_codec(names, RECORDINGS)
    with pytest.raises(UserError, match=r"gone\.wav: no such recording.*data\.audio_folder"):
        codec.encode([str(tmp_path / "gone.wav")])
    with pytest.raises(UserError, match="cannot be joined"):
        codec.encode([f"{names[0]},{features}"])
    with pytest.raises(UserError, match=r"200\.wav: a recording, but this model takes ready-made features"):
        SpeechCodec(FEATURES, None).encode([names[0]])
    narrow = RECORDINGS.model_copy(update={"channels": 13})
    with pytest.raises(UserError, match=r"source\.channels: found 13, but a recording has as many as source\.bins"):
        SpeechCodec(narrow, None).encode([names[0]])
    loud = FEATURES.model_copy(update={"augment": config.Augment(gain=3.0)})
    with pytest.raises(UserError, match=r"a\.npy: source\.augment\.speeds, noise and gain change recordings"):
        SpeechCodec(loud, None).varied(features, np.ones((30, 3), np.float32), 1)
    np.save(tmp_path / "b.npy", np.ones((30, 4), np.float32))
    with pytest.raises(UserError, match=r"b\.npy: found 3 and 4 channels a frame"):
        SpeechCodec(FEATURES, None).encode([f"{features},{tmp_path / 'b.npy'}"])
    with pytest.raises(UserError, match=r"asked for seconds 5 to 9 of features of 0\.30 seconds"):
        SpeechCodec(FEATURES, None).encode([f"{features}#t=5,9"])
    short = write(tmp_path / "short.wav", tone(0.01))
    with pytest.raises(UserError, match=r"short\.wav: a recording of 0\.010 seconds is shorter than one frame"):
        codec.encode([short])


@pytest.mark.parametrize("part", ["nan", "0,nan", "0,inf", "-inf", "1e307"])
def test_a_part_of_features_that_is_no_time_is_told(tmp_path, part):
    np.save(tmp_path / "a.npy", np.ones((30, 3), np.float32))
    with pytest.raises(UserError, match=r"asked for seconds .* of features of 0\.30 seconds"):
        SpeechCodec(FEATURES, None).encode([f"{tmp_path / 'a.npy'}#t={part}"])


def test_the_digest_of_recordings_changes_with_a_file(names):
    before = recordings_digest(names)
    assert recordings_digest(names) == before
    os.utime(names[1], ns=(1, 1))
    assert recordings_digest(names) != before


def test_long_recordings_are_cut_into_pieces_that_cover_them():
    codec = SpeechCodec(RECORDINGS.model_copy(update={"longest_piece": 15}), None)
    frame_LC = np.random.default_rng(1).standard_normal((100, 20)).astype(np.float32)
    found = codec.pieces(frame_LC)
    assert max(map(len, found)) <= 15
    np.testing.assert_array_equal(np.concatenate(found), frame_LC)
