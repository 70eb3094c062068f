"""One run at a time in a run folder."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seqsmith.errors import UserError


@contextmanager
def run_lock(run: Path) -> Iterator[None]:
    """Make the run's folder and hold its lock; the system gives it back however the process ends.

    A folder that was made for a run that never began goes again. Raises UserError where the lock is held.
    """
    made = not run.exists()
    try:
        run.mkdir(parents=True, exist_ok=True)
        file = (run / "lock").open("a+")
    except OSError as error:
        raise UserError(f"{run}: cannot be a run folder: {error.strerror}. Choose another --out.") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise UserError(f"{run}: {holder} is training here now. Wait for it, or choose another --out.") from None
        file.truncate(0)
        file.write(f"process {os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            if made and not (run / "config.toml").exists():
                shutil.rmtree(run, ignore_errors=True)
