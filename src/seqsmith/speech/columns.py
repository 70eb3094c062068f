"""The columns that a manifest of recordings must or may have."""

from __future__ import annotations

from seqsmith import config
from seqsmith.data.columns import Role

RECORDING = ("path", "file", "files", "audio", "recording", "wav", "filename")
TRANSCRIPT = ("text", "sentence", "transcript", "transcription", "word", "words")


def roles(data: config.Data) -> list[Role]:
    """Recordings (several of a row are joined), what is said in them, and where in them, in seconds."""
    return [
        Role("source", data.source, 1, names=RECORDING, folder=data.audio_folder or ""),
        Role("target", data.target, 2, names=TRANSCRIPT),
        Role("start", None, None, numbers=True),
        Role("end", None, None, numbers=True),
    ]
