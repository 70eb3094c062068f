"""Real recordings and features are read as their READMEs say."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from seqsmith import config
from seqsmith.speech.codec import frames_of
from seqsmith.speech.survey import survey


def rows(path: Path, most: int) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row for row, _ in zip(csv.DictReader(file, delimiter="\t"), range(most), strict=False)]


def test_connected_digits_are_as_long_as_their_parts_together(data_folder):
    folder = data_folder / "fsdd"
    settings = config.SpeechSource(rate_hz=8_000, bins=40, channels=40)
    for row in rows(folder / "connected_dev.tsv", 5):
        name = ",".join(str(folder / "recordings" / file) for file in row["files"].split(","))
        assert abs(len(frames_of(name, settings)) / 100 - float(row["seconds"])) < 0.03


def test_the_cepstra_of_an4_are_read_unchanged(data_folder):
    folder = data_folder / "an4_mfcc"
    names = [str(folder / row["path"]) for row in rows(folder / "dev.tsv", 5)]
    assert (survey(names).channels, survey(names).rate_hz) == (13, None)
    settings = config.SpeechSource(rate_hz=16_000, channels=13)
    for name in names:
        np.testing.assert_array_equal(frames_of(name, settings), np.load(name))
