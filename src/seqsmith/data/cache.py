"""Folders that are built once, under a digest of all that goes into them: whole or absent, and shared by processes.

A folder is written beside its place, flushed to disk and renamed; its manifest of file sizes and times comes last. A
folder that does not agree with its manifest counts as absent and is built again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seqsmith.data.files import read_blocks
from seqsmith.errors import UserError
from seqsmith.folder import MANIFEST, settle

MEMO = "contents.json"
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
REFUSED = {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR}
STALE_SECONDS = 7 * 24 * 3600  # what is left behind is swept away after so long,
UNHELD_SECONDS = 60  # or so soon where no process holds it any more
SETTLED_NANOSECONDS = 2_000_000_000  # a file written more recently could change again within one tick of its clock


def is_complete(folder: Path) -> bool:
    """Whether the folder holds every file of its manifest at its size, and none was written since."""
    try:
        marks = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return all(_mark(folder / name) == mark for name, mark in marks.items())
    except (OSError, ValueError, AttributeError):
        return False


def _mark(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def make_cache(cache: Path) -> None:
    """Make the folder, if it is not there. Raises UserError where it cannot be."""
    with troubles_explained(cache):
        cache.mkdir(parents=True, exist_ok=True)


@contextmanager
def build(cache: Path, digest: str) -> Iterator[Path]:
    """An empty folder to fill, which becomes `cache / digest` when the context is left without an error.

    Where another process was faster, its folder stays and this one goes.
    """
    with troubles_explained(cache):
        _sweep(cache)
        folder = Path(tempfile.mkdtemp(prefix=".building-", dir=cache))
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            _lock(descriptor)
            yield folder
            marks = {path.name: _mark(path) for path in sorted(folder.iterdir())}
            (folder / MANIFEST).write_text(json.dumps(marks, indent=1), encoding="utf-8")
            if not is_complete(cache / digest):  # nobody was faster
                settle(folder, cache / digest)
        finally:
            os.close(descriptor)
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def troubles_explained(cache: Path) -> Iterator[None]:
    """Turn "no space left" and the refusals of a folder that is none, or not ours, into the user's error."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise UserError(
                f"{cache}: the disk is full ({error.strerror}) while preparing data there. Free some space, or name a "
                "folder on another disk in the environment variable SEQSMITH_CACHE."
            ) from None
        if error.errno in REFUSED and str(cache) in str(error.filename):
            raise UserError(
                f"{cache}: prepared data cannot be kept there ({error.strerror}). Name a folder in which you may write "
                "in the environment variable SEQSMITH_CACHE."
            ) from None
        raise


def _sweep(cache: Path) -> None:
    """Remove what killed processes left behind. The system gives their locks back; a file system without locks keeps
    what is there for long."""
    for path in [path for pattern in (".building-*", ".input-*", f".{MEMO}-*") for path in cache.glob(pattern)]:
        with contextlib.suppress(OSError):  # another process may sweep as well
            age = time.time() - path.stat().st_mtime
            if age > STALE_SECONDS or (age > UNHELD_SECONDS and _unheld(path)):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _lock(descriptor: int) -> bool:
    """Lock a file or folder until it is closed. False where another process has, or the file system cannot."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _unheld(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return _lock(descriptor)
    finally:
        os.close(descriptor)


def content_digest(path: str, cache: Path) -> str:
    """The sha256 of a file's bytes, remembered for as long as it is the same file, unchanged since.

    A copy that keeps size and time (`cp -p`, `rsync -t`) still moves the time of the inode, or is another inode.
    """
    memo = _read_memo(cache)
    try:
        status = os.stat(path)
        key = str(Path(path).resolve())
        mark = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        remembered = memo.get(key)
        if isinstance(remembered, list) and remembered[:-1] == mark:
            return str(remembered[-1])
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        next(read_blocks(path), None)  # says in its own words what is wrong
        raise
    if time.time_ns() - status.st_mtime_ns > SETTLED_NANOSECONDS and os.access(cache, os.W_OK):
        _write_memo(cache, {**memo, key: [*mark, digest]})
    return digest


def _read_memo(cache: Path) -> dict[str, list[int | str]]:
    try:
        memo = json.loads((cache / MEMO).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return memo if isinstance(memo, dict) else {}


def _write_memo(cache: Path, memo: dict[str, list[int | str]]) -> None:
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=cache, prefix=f".{MEMO}-", delete=False) as file:
        json.dump(memo, file)
    os.replace(file.name, cache / MEMO)


@contextmanager
def spooled(path: str, cache: Path) -> Iterator[str]:
    """The path itself; of standard input (`-`) and named pipes, which can be read but once, that of a passing copy."""
    if path != "-" and not Path(path).is_fifo():
        yield path
        return
    with (
        troubles_explained(cache),
        tempfile.NamedTemporaryFile(dir=cache, prefix=".input-", suffix=Path(path).name) as copy,
    ):
        _lock(copy.fileno())
        if path == "-":
            shutil.copyfileobj(sys.stdin.buffer, copy)
        else:
            with open(path, "rb") as pipe:
                shutil.copyfileobj(pipe, copy)
        copy.flush()
        yield copy.name
