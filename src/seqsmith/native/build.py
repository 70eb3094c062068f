"""Compile the kernels for this machine, once, and keep them in the user's cache.

They are only loaded from a file that nobody but the user could have written.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from seqsmith import runtime

SOURCE = Path(__file__).with_name("kernels.c")

_FLAGS = ("-O3", "-march=native", "-fopenmp", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
_WIDE = ("-mprefer-vector-width=512",)  # half of a vector is what compilers prefer on x86
_LONGEST_SECONDS = 120


@cache
def library() -> ctypes.CDLL | None:
    """The kernels, compiled if they were not yet; None where that cannot be done, as without a C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or platform.system() != "Linux":  # elsewhere torch's threads are not OpenMP's of the compiler
        return None
    command = (compiler, *_FLAGS, *(_WIDE if platform.machine() == "x86_64" else ()))
    try:
        version = subprocess.run([compiler, "--version"], capture_output=True, check=True, timeout=_LONGEST_SECONDS)
        made_of = (SOURCE.read_bytes(), "\0".join(command).encode(), version.stdout, runtime.processor().encode())
        path = runtime.cache_folder() / "compiled" / f"{hashlib.sha256(b'|'.join(made_of)).hexdigest()[:32]}.so"
        if not path.exists():
            _compile(command, path)
        return ctypes.CDLL(str(path)) if _is_ours_alone(path) else None
    except (OSError, subprocess.SubprocessError):
        return None


def _compile(command: tuple[str, ...], path: Path) -> None:
    """Write the library to `path`, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # private, whatever the user's umask is
    with tempfile.TemporaryDirectory(prefix=".compiling-", dir=path.parent) as folder:
        made = Path(folder) / path.name
        subprocess.run(
            [*command, str(SOURCE), "-o", str(made), "-lm"], capture_output=True, check=True, timeout=_LONGEST_SECONDS
        )
        made.chmod(0o700)
        made.replace(path)


def _is_ours_alone(path: Path) -> bool:
    """Whether the file and its folder belong to this user, and no other may write to them."""
    return all(place.stat().st_uid == os.getuid() and not place.stat().st_mode & 0o022 for place in (path, path.parent))
