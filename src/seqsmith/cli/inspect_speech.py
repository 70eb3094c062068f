"""`seqsmith inspect` on a manifest: how much is recorded, how it is recorded, and which recordings are broken."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from seqsmith import config
from seqsmith.cli.program import Found
from seqsmith.data.columns import placed
from seqsmith.data.corpus import Counts, read_rows
from seqsmith.data.files import shown
from seqsmith.data.printable import printable
from seqsmith.errors import UserError
from seqsmith.speech.codec import FRAMES_PER_SECOND, check_there, read_features
from seqsmith.speech.columns import roles
from seqsmith.speech.decoder import read_header, read_joined
from seqsmith.speech.matrix import is_matrix
from seqsmith.speech.names import parse

_SHOWN = 20  # broken recordings
_FRAME_SECONDS = 0.025  # of analysis: nothing shorter can be heard
_FEATURES = "features of"
_MANY_CHARACTERS = 30.0  # a second; nobody speaks so fast


@dataclass
class _Heard:
    seconds: list[float] = field(default_factory=list)
    characters: list[int] = field(default_factory=list)
    form: Counter[str] = field(default_factory=Counter)
    first: dict[str, int] = field(default_factory=dict)  # line of each form
    broken: list[tuple[int, str]] = field(default_factory=list)  # line and what is wrong
    fast: list[int] = field(default_factory=list)  # lines with more text than can be said


def inspect_manifest(corpus: config.Corpus, data: config.Data) -> Found:
    """Decode every recording once and report."""
    heard, counts = _Heard(), Counts()
    source = config.SpeechSource()
    for rows in read_rows(corpus, roles(data), data, counts):
        whole = placed(rows, roles(data), Path(corpus.path).parent)
        for line, name, text in zip(whole.line, whole.fields["source"], whole.fields["target"], strict=True):
            _look(heard, line, name, text, source)
    path = shown(corpus.path)
    seconds = np.array(heard.seconds or [0.0])
    low, middle, high = np.quantile(seconds, [0.0, 0.5, 1.0])
    lines = [
        f"{path}: {len(heard.seconds):,} recordings that can be read, {seconds.sum() / 3600:.2f} hours",
        f"  seconds: {low:.2f} to {high:.2f}, median {middle:.2f}",
        *(
            f"  {count:,} times {form}" + (f", the first at {path}:{heard.first[form]}" if len(heard.form) > 1 else "")
            for form, count in heard.form.most_common(8)
        ),
        f"  transcripts: {sum(heard.characters):,} characters, {_rate(heard):.1f} a second",
        *(f"  {sentence}" for sentence in counts.sentences()),
    ]
    if heard.fast:
        lines.append(
            f"  {len(heard.fast):,} transcripts have over {_MANY_CHARACTERS:.0f} characters a second, "
            f"the first at {path}:{heard.fast[0]}: do they belong to these recordings?"
        )
    if heard.broken:
        lines.append(f"  broken recordings: {len(heard.broken):,}")
        lines += [f"    {path}:{line}: {printable(what, longest=300)}" for line, what in heard.broken[:_SHOWN]]
    return lines, {
        "recordings": len(heard.seconds),
        "hours": float(seconds.sum() / 3600),
        "seconds": {"least": float(low), "median": float(middle), "most": float(high)},
        "forms": dict(heard.form),
        "characters": sum(heard.characters),
        "fast": heard.fast,
        "broken": [{"line": line, "why": what} for line, what in heard.broken],
    }


def _look(heard: _Heard, line: int, name: str, text: str, source: config.SpeechSource) -> None:
    try:
        seconds, form = _read(name, source)
    except UserError as error:
        heard.broken.append((line, str(error)))
        return
    if seconds < _FRAME_SECONDS and not form.startswith(_FEATURES):
        heard.broken.append((line, f"{name}: {seconds:.3f} seconds are less than one frame of {_FRAME_SECONDS}."))
        return
    heard.seconds.append(seconds)
    heard.characters.append(len(text))
    heard.form[form] += 1
    heard.first.setdefault(form, line)
    if len(text) > _MANY_CHARACTERS * seconds + 10:
        heard.fast.append(line)


def _read(name: str, source: config.SpeechSource) -> tuple[float, str]:
    """Seconds and form of one example; every part of it is decoded."""
    paths, stretch = parse(name)
    check_there(paths)
    if is_matrix(paths[0]):
        frame_LC = read_features(name, longest_seconds=source.longest_seconds)
        return len(frame_LC) / FRAMES_PER_SECOND, f"{_FEATURES} {frame_LC.shape[1]} channels"
    header = read_header(paths[0])
    samples = read_joined(paths, rate_hz=header.rate_hz, longest_seconds=source.longest_seconds, stretch=stretch)
    mixed = "" if header.channels == 1 else f", {header.channels} channels"
    return len(samples) / header.rate_hz, f"{Path(paths[0]).suffix[1:].lower()} at {header.rate_hz:,} Hz{mixed}"


def _rate(heard: _Heard) -> float:
    return sum(heard.characters) / max(1e-9, sum(heard.seconds))
