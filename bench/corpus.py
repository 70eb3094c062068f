"""What is trained on: Multi30k where SEQSMITH_DATA has it, else pairs that are made here, so that anyone can run it.

The made language has words of syllables by Zipf's law, lengths like those of captions, and a translation that replaces
each word and turns neighbours around: enough to fill a vocabulary and to keep every part of a model at work.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from seqsmith.demo.dates import generate

PAIRS = {"train": 29_000, "dev": 1_000}
WORDS = 12_000
PIECES = 8_000

Parts = dict[str, tuple[Path, Path]]  # train and dev: source and target file


def corpus(folder: Path) -> tuple[str, Parts]:
    """The name of the data and its files; what is made is written into the folder."""
    if "SEQSMITH_DATA" in os.environ:
        raw = Path(os.environ["SEQSMITH_DATA"]) / "multi30k" / "raw"
        return "Multi30k en-de", {
            part: (raw / f"{name}.en", raw / f"{name}.de") for part, name in (("train", "train"), ("dev", "val"))
        }
    return "made", {part: made(folder, part, pairs, seed=number) for number, (part, pairs) in enumerate(PAIRS.items())}


def letters(folder: Path) -> tuple[str, Parts]:
    """Short pairs with a space between the letters: words and their sounds in all languages that SEQSMITH_DATA has,
    else the dates of `make demo`. Written into the folder."""
    if "SEQSMITH_DATA" in os.environ:
        home = Path(os.environ["SEQSMITH_DATA"]) / "sigmorphon2020_g2p"
        languages = sorted(path.name.removesuffix("_train.tsv") for path in home.glob("*_train.tsv"))
        name = f"G2P of {len(languages)} languages"
        rows = {
            part: [
                line.split("\t")
                for language in languages
                for line in (home / f"{language}_{part}.tsv").read_text(encoding="utf-8").splitlines()
            ]
            for part in PAIRS
        }
        pairs = {part: [(" ".join(word), sounds) for word, sounds in each] for part, each in rows.items()}
    else:
        name = "dates"
        pairs = {
            part: [(" ".join(spelt), " ".join(day)) for spelt, day in generate(count // 2, seed)]
            for seed, (part, count) in enumerate(PAIRS.items())
        }
    files: Parts = {}
    for part, each in pairs.items():
        files[part] = folder / f"{part}.letters", folder / f"{part}.sounds"
        for path, side in zip(files[part], zip(*each, strict=True), strict=True):
            path.write_text("".join(f"{text}\n" for text in side), encoding="utf-8")
    return name, files


def made(folder: Path, name: str, pairs: int, *, seed: int, mean_words: float = 12.0) -> tuple[Path, Path]:
    """Write `pairs` parallel lines as `name`.source and `name`.target; the same for the same seed."""
    random = np.random.default_rng([seed, pairs])
    source_words, target_words = (_words(language) for language in (1, 2))
    chance = 1 / np.arange(1, WORDS + 1)
    files = folder / f"{name}.source", folder / f"{name}.target"
    with files[0].open("w", encoding="utf-8") as source, files[1].open("w", encoding="utf-8") as target:
        for start in range(0, pairs, 10_000):
            lengths = np.maximum(3, random.gamma(9.0, mean_words / 9.0, min(10_000, pairs - start))).astype(int)
            drawn = random.choice(WORDS, int(lengths.sum()), p=chance / chance.sum())
            for line in np.split(drawn, np.cumsum(lengths)[:-1]):
                turned = line.copy()
                even = len(line) // 2 * 2
                turned[0:even:2], turned[1:even:2] = line[1:even:2], line[0:even:2]
                source.write(" ".join(source_words[number] for number in line) + "\n")
                target.write(" ".join(target_words[number] for number in turned) + "\n")
    return files


def _words(language: int) -> list[str]:
    random = np.random.default_rng(language)
    consonants, vowels = list("bdfghklmnprstvz"), list("aeiou")
    syllables = np.array([c + v for c in consonants for v in vowels])
    return ["".join(random.choice(syllables, 1 + number % 4)) for number in range(WORDS)]


def table(parts: Parts, model: dict[str, Any], *, spaced: bool = False, **train: Any) -> dict[str, Any]:
    """Settings for a model on these files: one vocabulary for both sides, of sentencepiece's BPE or of what stands
    between spaces; batches of 2,048 target tokens."""
    bpe = {"kind": "sentencepiece", "algorithm": "bpe", "vocabulary": PIECES, "sampling": 0.0}  # as peers have it
    pieces = {"kind": "symbols"} if spaced else bpe
    return {
        "data": {part: [{"path": str(source), "target": str(target)}] for part, (source, target) in parts.items()},
        "source": {"tokeniser": pieces},
        "target": {"tokeniser": pieces},
        "joint_vocabulary": True,
        "model": model,
        "train": {"batch_tokens": 2048, "label_smoothing": 0.1, **train},
    }
