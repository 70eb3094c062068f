"""Decoding in a process of its own: the same samples, and files that it does not survive cost one sentence each."""

from __future__ import annotations

import os
import signal
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from seqsmith.errors import UserError
from seqsmith.speech import audio, decoder
from seqsmith.speech.names import Stretch

pytest.importorskip("soundfile")
pytest.importorskip("soxr")


@pytest.fixture
def sound(tmp_path: Path) -> str:
    """Two seconds of noise."""
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.random.default_rng(1).integers(-9_000, 9_000, 32_000).astype("<i2").tobytes())
    return str(path)


def test_it_gives_what_decoding_here_gives(sound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(sound).parent)
    assert decoder.read_header("a.wav") == audio.read_header("a.wav")
    for paths, stretch in ((["a.wav"], Stretch()), (["a.wav", "a.wav"], Stretch()), (["a.wav"], Stretch(0.5, 1.25))):
        options = {"rate_hz": 8_000, "longest_seconds": 10.0, "stretch": stretch}
        there, here = decoder.read_joined(paths, **options), audio.read_joined(paths, **options)  # type: ignore[arg-type]
        assert (there == here).all()
    with pytest.raises(UserError, match=r"^b\.wav: no such file"):
        decoder.read_header("b.wav")


def test_too_much_memory_is_told_and_the_next_file_is_read(sound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/proc/self/statm").exists():
        pytest.skip("this system does not say how large a process is")
    with monkeypatch.context() as patch:
        patch.setattr(decoder, "_MEMORY_BYTES", 100_000)
        told = (
            r"a\.wav: (decoding needs more than 0\.0 GB of memory|the decoder did not survive it)"  # as libsndfile may
        )
        with pytest.raises(UserError, match=told):
            decoder.read_joined([sound] * 40, rate_hz=16_000, longest_seconds=10.0)
    assert len(decoder.read_joined([sound], rate_hz=16_000, longest_seconds=10.0)) == 32_000


def test_a_file_that_never_ends_is_told_and_the_next_is_read(sound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(decoder, "_SECONDS", 0)
        with pytest.raises(UserError, match=r"a\.wav: the decoder did not come to an end in 0 seconds\. Is it a rec"):
            decoder.read_joined([sound] * 50, rate_hz=48_000, longest_seconds=10.0)
    assert decoder.read_header(sound).num_frames == 32_000


def test_a_crash_is_told_and_the_next_file_is_read(sound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = decoder._Decoder()
    crash = f"import os; input(); os.kill(os.getpid(), {int(signal.SIGSEGV)})"
    with monkeypatch.context() as patch:
        patch.setattr(decoder, "_COMMAND", (sys.executable, "-c", crash))
        with pytest.raises(UserError, match=r"a\.wav: the decoder did not survive it\. Is it"):
            ours.ask("header", [sound])
    assert ours.ask("header", [sound])[0]["header"]["rate_hz"] == 16_000
    assert ours._process is not None
    os.kill(ours._process.pid, signal.SIGKILL)  # whoever did that: the next one is started
    ours._process.wait()
    assert ours.ask("header", [sound])[0]["header"]["rate_hz"] == 16_000
    ours.close()
