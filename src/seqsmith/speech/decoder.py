"""Both ends of a pipe: recordings are decoded in a process of its own under limits, for they may come from anyone.

A file that crashes the decoder, wants too much memory or never ends costs that process, and is told in one sentence.
"""

from __future__ import annotations

import atexit
import json
import os
import resource
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from threading import Lock
from typing import Any

import numpy as np

from seqsmith.errors import UserError
from seqsmith.speech import audio
from seqsmith.speech.audio import Header, Samples
from seqsmith.speech.names import WHOLE, Stretch

_COMMAND = (sys.executable, "-m", "seqsmith.speech.decoder")
_SECONDS = 120  # of a file, on the clock and of CPU
_MEMORY_BYTES = 4 << 30  # beyond what the process has before it

# ------------------------------------------------------------------------------------------------ who asks


def read_header(path: str) -> Header:
    """`audio.read_header`, by the other process."""
    return Header(**_decoder().ask("header", [path])[0]["header"])


def read_joined(paths: Sequence[str], *, rate_hz: int, longest_seconds: float, stretch: Stretch = WHOLE) -> Samples:
    """`audio.read_joined`, by the other process."""
    options = {"rate_hz": rate_hz, "longest_seconds": longest_seconds, "stretch": asdict(stretch)}
    return np.frombuffer(_decoder().ask("joined", paths, **options)[1], np.float32)


class _Decoder:
    """The other process: started when it is first needed, and again after a file that it did not survive."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, what: str, paths: Sequence[str], **options: Any) -> tuple[dict[str, Any], bytearray]:
        """Its answer, and the bytes that belong to it. Raises UserError, its own or for what became of it."""
        audio.check_installed()
        limits = {"memory": _MEMORY_BYTES, "seconds": _SECONDS}
        request = {"what": what, "folder": os.getcwd(), "paths": list(paths), "options": options, **limits}
        with self._lock:
            try:
                answer, content = self._answer(json.dumps(request).encode() + b"\n")
            except (EOFError, TimeoutError, BrokenPipeError) as error:
                self.close()
                what = str(error) if isinstance(error, TimeoutError) else "did not survive it"
                raise UserError(
                    f"{','.join(paths)}: the decoder {what}. Is it a recording? Convert it to 16-bit WAV."
                ) from None
            except BaseException:
                self.close()  # the rest of an answer would be taken for the next one's
                raise
        if "error" in answer:
            raise UserError(answer["error"])
        return answer, content

    def _answer(self, request: bytes) -> tuple[dict[str, Any], bytearray]:
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._process is None:
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(
                _COMMAND, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, start_new_session=True
            )
        source, sink = self._process.stdout, self._process.stdin
        assert source is not None
        assert sink is not None
        sink.write(request)
        sink.flush()
        if not select.select([source], [], [], _SECONDS)[0]:
            raise TimeoutError(f"did not come to an end in {_SECONDS} seconds")
        line = source.readline()
        answer = json.loads(line) if line else {"bytes": 1}
        content = bytearray(source.read(answer["bytes"]))
        if len(content) < answer["bytes"]:
            raise EOFError
        return answer, content

    def close(self) -> None:
        """End the process, whatever it is at."""
        if self._process is not None:
            self._process.kill()
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                with suppress(BrokenPipeError):  # of what was not sent yet
                    pipe.close()
            self._process.wait()
            self._process = None


@cache
def _decoder() -> _Decoder:
    """One for all who ask in this process: it takes longer to start than to read most recordings."""
    decoder = _Decoder()
    atexit.register(decoder.close)
    return decoder


# ------------------------------------------------------------------------------------------------ who answers


def _serve() -> None:
    """Answer requests, a line each, until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    audio.check_installed()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        _limit(resource.RLIMIT_CPU, int(usage.ru_utime + usage.ru_stime) + 1 + request["seconds"])
        now = _virtual_bytes()
        if now is not None:
            _limit(resource.RLIMIT_AS, now + request["memory"])
        content = b""
        try:
            os.chdir(request["folder"])
            answer, content = _answered(**{name: request[name] for name in ("what", "paths", "options")})
        except UserError as error:
            answer = {"error": str(error)}
        except MemoryError:
            most = f"{request['memory'] / 1e9:,.1f} GB"
            answer = {"error": f"{','.join(request['paths'])}: decoding needs more than {most} of memory. Cut it up."}
        sys.stdout.buffer.write(json.dumps({**answer, "bytes": len(content)}).encode() + b"\n" + content)
        sys.stdout.buffer.flush()


def _answered(what: str, paths: list[str], options: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    if what == "header":
        return {"header": asdict(audio.read_header(paths[0]))}, b""
    stretch = Stretch(**options.pop("stretch"))
    return {}, audio.read_joined(paths, stretch=stretch, **options).astype(np.float32).tobytes()


def _limit(kind: int, most: int) -> None:
    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _virtual_bytes() -> int | None:
    """How large this process is; None where the system does not say so in /proc."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return None


if __name__ == "__main__":
    _serve()
