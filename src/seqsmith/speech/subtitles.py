"""Timed words as subtitles: SubRip (.srt) and WebVTT (W3C 2019).

Words are gathered into captions that a viewer can read: at most 84 characters (two lines of 42) and 6 seconds, and a
new caption after a pause.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

MOST_CHARACTERS, MOST_SECONDS, PAUSE_SECONDS = 84, 6.0, 0.8


@dataclass(frozen=True)
class Timed:
    """A word or a caption, and when it is said."""

    text: str
    start_seconds: float
    end_seconds: float


def captions(words: Iterable[Timed]) -> Iterator[Timed]:
    """Neighbouring words as captions."""
    held: list[Timed] = []
    for word in words:
        if held and _is_over(held, word):
            yield _together(held)
            held = []
        held.append(word)
    if held:
        yield _together(held)


def srt(lines: Sequence[Timed]) -> str:
    """Captions as SubRip: numbered, with a comma before the milliseconds."""
    blocks = (
        f"{number}\n{_clock(line.start_seconds, ',')} --> {_clock(line.end_seconds, ',')}\n{_plain(line.text)}\n"
        for number, line in enumerate(lines, 1)
    )
    return "\n".join(blocks)


def vtt(lines: Sequence[Timed]) -> str:
    """Captions as WebVTT, in which `&` and `<` are escaped."""
    blocks = (
        f"{_clock(line.start_seconds, '.')} --> {_clock(line.end_seconds, '.')}\n{_escaped(_plain(line.text))}\n"
        for line in lines
    )
    return "\n".join(["WEBVTT\n", *blocks])


def _is_over(held: list[Timed], word: Timed) -> bool:
    characters = sum(len(one.text) + 1 for one in held) + len(word.text)
    seconds = word.end_seconds - held[0].start_seconds
    pause = word.start_seconds - held[-1].end_seconds
    return characters > MOST_CHARACTERS or seconds > MOST_SECONDS or pause > PAUSE_SECONDS


def _together(held: list[Timed]) -> Timed:
    return Timed(" ".join(word.text for word in held), held[0].start_seconds, held[-1].end_seconds)


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(max(0.0, seconds) * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"


def _plain(text: str) -> str:
    """One line: an empty line would end a caption."""
    return " ".join(text.split())


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
