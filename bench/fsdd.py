"""Manifests of the Free Spoken Digit Dataset for `quality.py`: connected digits, and one speaker held out of training.

The recordings stay where they are; the manifests name them by absolute paths. Of the speakers trained on, the takes 5
to 9 of each digit are dev; the test set is everything of the speaker held out.
"""

from __future__ import annotations

import csv
from pathlib import Path

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
DEV_TAKES = 10  # the takes 0 to 4 are the official test set, which is kept aside


def write_manifests(data: Path, folder: Path) -> None:
    """Write `connected_*.tsv` for train and dev, and `SPEAKER_*.tsv` for train, dev and test."""
    folder.mkdir(parents=True, exist_ok=True)
    recordings = (data / "fsdd" / "recordings").resolve()
    for part in ("train", "dev"):
        rows = [(row["files"], row["text"]) for row in _rows(data / "fsdd" / f"connected_{part}.tsv")]
        _write(folder / f"connected_{part}.tsv", recordings, rows)
    isolated = _rows(data / "fsdd" / "isolated.tsv")
    for speaker in SPEAKERS:
        parts: dict[str, list[tuple[str, str]]] = {"train": [], "dev": [], "test": []}
        for row in isolated:
            part = "test" if row["speaker"] == speaker else "dev" if int(row["index"]) < DEV_TAKES else "train"
            parts[part].append((row["file"], row["word"]))
        for part, rows in parts.items():
            _write(folder / f"{speaker}_{part}.tsv", recordings, rows)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def _write(path: Path, recordings: Path, rows: list[tuple[str, str]]) -> None:
    lines = (f"{','.join(str(recordings / name) for name in files.split(','))}\t{text}\n" for files, text in rows)
    path.write_text("path\ttext\n" + "".join(lines), encoding="utf-8")
