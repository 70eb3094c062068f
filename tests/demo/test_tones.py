"""The recordings of the demo are what they claim to be: deterministic, varied, and the right tones."""

from __future__ import annotations

import math
import wave
from random import Random

import pytest

from seqsmith.demo.tones import RATE_HZ, dialled, frequencies, write_tones


def power(samples: list[int], hz: float) -> float:
    """Of one frequency (Goertzel 1958)."""
    turn = 2 * math.pi * hz / RATE_HZ
    real = sum(value * math.cos(turn * step) for step, value in enumerate(samples))
    imaginary = sum(value * math.sin(turn * step) for step, value in enumerate(samples))
    return real**2 + imaginary**2


@pytest.mark.parametrize("digit", "0123456789")
def test_a_digit_sounds_with_its_two_tones(digit):
    samples = list(dialled(digit, Random(int(digit))))
    every = {hz: power(samples, hz) for key in "147*" for hz in frequencies(key)} | {
        hz: power(samples, hz) for key in "123" for hz in frequencies(key)
    }
    loudest = sorted(every, key=lambda hz: -every[hz])[:2]
    assert set(loudest) == set(frequencies(digit))


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(tmp_path):
    contents = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train, test = write_tones(tmp_path / name, recordings=10, seed=seed)
        rows = (train.read_text() + test.read_text()).splitlines()
        sounds = [path.read_bytes() for path in sorted((tmp_path / name / "recordings").iterdir())]
        contents.append((rows, sounds))
    assert contents[0] == contents[1] != contents[2]


def test_manifests_name_each_recording_once_and_hold_a_tenth_back(tmp_path):
    train, test = write_tones(tmp_path / "tones", recordings=20)
    parts = [path.read_text().splitlines() for path in (train, test)]
    assert [part[0] for part in parts] == ["path\ttext"] * 2
    names = [row.split("\t")[0] for part in parts for row in part[1:]]
    assert len(parts[1]) - 1 == 2
    assert sorted(names) == sorted(f"recordings/{number:05}.wav" for number in range(20))
    with wave.open(str(train.parent / names[0])) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (1, RATE_HZ, 2)
