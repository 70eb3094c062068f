"""One process at a time in a run folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seqsmith.errors import UserError


@contextmanager
def run_lock(run: Path) -> Iterator[None]:
    """Hold the run's lock; the system gives it back however the process ends. Raises UserError where it is held."""
    path = run / "lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise UserError(f"{run}: {holder} is training here now. Wait for it, or choose another --out.") from None
        file.truncate(0)
        file.write(f"process {os.getpid()}\n")
        file.flush()
        yield
