"""Touch-tone (DTMF) recordings with the digits that were dialled: speech in small, made of nothing but sines.

Each key is two tones at once (ITU-T Q.23). As among callers, the level, the length of tones and pauses, the balance of
the two tones, the exact pitch and the noise of the line differ from recording to recording.
"""

from __future__ import annotations

import math
import wave
from array import array
from pathlib import Path
from random import Random

RATE_HZ = 8_000
ROWS_HZ, COLUMNS_HZ = (697, 770, 852, 941), (1209, 1336, 1477)
KEYS = "123456789*0#"
FEWEST, MOST = 2, 7  # digits of a recording
FULL_SCALE = 32_767


def frequencies(key: str) -> tuple[int, int]:
    """The two tones of a key."""
    row, column = divmod(KEYS.index(key), len(COLUMNS_HZ))
    return ROWS_HZ[row], COLUMNS_HZ[column]


def dialled(digits: str, random: Random) -> array[int]:
    """16-bit samples of the digits, as one caller dials them on one line."""
    level = random.uniform(0.05, 0.4)
    noise = level * random.uniform(0.001, 0.1)
    tone, pause = random.uniform(0.07, 0.16), random.uniform(0.06, 0.12)
    twist, pitch = random.uniform(0.7, 1.4), random.uniform(0.985, 1.015)
    samples = array("h")
    _quiet(samples, random.uniform(0.03, 0.2), noise, random)
    for digit in digits:
        low, high = (2 * math.pi * hz * pitch / RATE_HZ for hz in frequencies(digit))
        for step in range(int(RATE_HZ * tone * random.uniform(0.85, 1.15))):
            value = 0.5 * level * (math.sin(low * step) + twist * math.sin(high * step)) + noise * random.gauss(0, 1)
            samples.append(_sample(value))
        _quiet(samples, pause * random.uniform(0.8, 1.3), noise, random)
    _quiet(samples, random.uniform(0.0, 0.2), noise, random)
    return samples


def write_tones(folder: Path, *, recordings: int, seed: int = 1) -> tuple[Path, Path]:
    """Write recordings and their manifests, a tenth of them as a test set; returns both manifests."""
    random = Random(seed)
    (folder / "recordings").mkdir(parents=True)
    rows = []
    for number in range(recordings):
        digits = "".join(random.choice("0123456789") for _ in range(random.randint(FEWEST, MOST)))
        name = f"recordings/{number:05}.wav"
        write_wave(folder / name, dialled(digits, random))
        rows.append(f"{name}\t{digits}\n")
    test = max(1, recordings // 10)
    files = folder / "train.tsv", folder / "test.tsv"
    for path, part in zip(files, (rows[test:], rows[:test]), strict=True):
        path.write_text("path\ttext\n" + "".join(part), encoding="utf-8")
    return files


def write_wave(path: Path, samples: array[int], *, rate_hz: int = RATE_HZ) -> None:
    """One channel of 16 bits, low byte first whatever the machine."""
    little = array("h", samples)
    if little.itemsize != 2 or array("h", [1]).tobytes() != b"\x01\x00":
        little.byteswap()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(little.tobytes())


def _quiet(samples: array[int], seconds: float, noise: float, random: Random) -> None:
    samples.extend(_sample(noise * random.gauss(0, 1)) for _ in range(int(RATE_HZ * seconds)))


def _sample(value: float) -> int:
    return max(-FULL_SCALE, min(FULL_SCALE, round(value * FULL_SCALE)))
