"""Whether a recording's container promises more than the file holds.

libsndfile reads a WAV file that was cut off as a shorter one, and an OGG file likewise, without a word. So the promise
is read here: the size of a WAV file's data chunk (RIFF, Microsoft 1991), and the flag on the last page of an OGG stream
(RFC 3533, section 6). FLAC and MP3 are found out by decoding, which gives fewer samples than their headers say.
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

UNKNOWN = 0xFFFFFFFF  # what a program that writes into a pipe says, since it cannot know
PAGE_BYTES = 65_307  # the longest page of OGG
LAST_PAGE = 4


def is_cut_off(path: str) -> bool:
    """Whether the end of a WAV or OGG file is missing; False for other formats."""
    with open(path, "rb") as file:
        mark = file.read(4)
        size = os.fstat(file.fileno()).st_size
        if mark in (b"RIFF", b"RF64"):
            return _riff_is_cut_off(file, size)
        return mark == b"OggS" and _ogg_is_cut_off(file, size)


def _riff_is_cut_off(file: BinaryIO, size: int) -> bool:
    """RF64 (EBU Tech 3306) is RIFF with the size of its data in a chunk `ds64`, in 64 bits."""
    place = 12  # after RIFF, its size and WAVE
    long: int | None = None
    while place + 8 <= size:
        file.seek(place)
        name, length = struct.unpack("<4sI", file.read(8))
        place += 8
        if name == b"ds64" and length >= 16:
            long = struct.unpack("<QQ", file.read(16).ljust(16, b"\0"))[1]
        if name == b"data":
            if length == UNKNOWN:
                return long is not None and place + long > size
            return bool(place + length > size)
        place += length + length % 2
    return True


def _ogg_is_cut_off(file: BinaryIO, size: int) -> bool:
    file.seek(max(0, size - PAGE_BYTES))
    tail = file.read()
    page = tail.rfind(b"OggS")
    if page < 0 or len(tail) < page + 27:
        return True
    segments = tail[page + 26]
    table = tail[page + 27 : page + 27 + segments]
    ends = page + 27 + segments + sum(table)
    return bool(not tail[page + 5] & LAST_PAGE or len(table) < segments or ends > len(tail))
