"""Folders that appear whole or not at all, and that know whether they still are what was written.

A folder is filled beside its place, every file of it is flushed to disk, then it is renamed, and its parent is flushed:
whoever looks sees the old one or the new one. `MANIFEST.json` holds the size and SHA-256 of every file but the card,
README.md, to which people add licences and notes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from seqsmith.errors import UserError

FORMAT = 1
MANIFEST, CARD = "MANIFEST.json", "README.md"


class NotWritten(UserError):
    """A folder could not be written, and what was there before is still there."""


def write_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Make `folder` appear, filled by `fill`; an old one is replaced. Raises NotWritten where the disk refuses."""
    temporary = folder.with_name(f".tmp-{folder.name}-{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        fill(temporary)
        files = {path.name: _fingerprint(path) for path in sorted(temporary.iterdir()) if path.name != CARD}
        (temporary / MANIFEST).write_text(json.dumps({"format": FORMAT, "files": files}, indent=1) + "\n")
        settle(temporary, folder)
    except (OSError, SafetensorError) as error:
        told = f"{folder}: could not be written: {why(error)}. Free some space, or choose another place."
        raise NotWritten(told) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def why(error: BaseException | None) -> str:
    """Why something could not be written: what the system says, if it says something."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


def settle(temporary: Path, folder: Path) -> None:
    """Flush a folder that is filled and put it in its place; an old one goes, or stays where that fails.

    Its files are for whom the folder is: safetensors makes them for their owner alone.
    """
    readers = temporary.stat().st_mode & 0o666
    for path in temporary.iterdir():
        if path.is_file():
            path.chmod(readers)
    for path in (*temporary.iterdir(), temporary):
        _flush(path)
    old = folder.with_name(f".old-{folder.name}-{os.getpid()}")
    if folder.exists():
        folder.rename(old)
    try:
        temporary.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    _flush(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def check_folder(folder: Path) -> str | None:
    """What is wrong with a folder that `write_folder` made, in words, or None. Raises UserError for a file that may
    not be read."""
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        if files == {}:
            return f"{MANIFEST} names no file"
        for name, expected in files.items():
            if name != CARD and _fingerprint(folder / name) != expected:
                return f"{name} is not what was saved (its SHA-256 differs)"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except PermissionError as error:
        raise forbidden(error) from None
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        return f"{MANIFEST} cannot be read"
    return None


def forbidden(error: PermissionError) -> UserError:
    """What to say of a file that may not be read, which is not damaged for that."""
    return UserError(f"{error.filename}: no permission to read this file.")


def _fingerprint(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
