"""Commands, one after another, each in two processes that train together: forks of this one, which has imported all.

A program of its own, in place of torchrun, under which every process imports torch anew. `forked.py FOLDER JSON` takes
a list of commands, each as ["train", ...] or ["-c", "a program"], writes what is said to FOLDER/0, FOLDER/1, ..., and
prints the two exit codes of each.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import traceback
from importlib import import_module
from pathlib import Path


def import_all() -> None:
    for name in ("torch._dynamo", "seqsmith.cli.train"):  # the first is imported when an optimizer is made
        import_module(name)


def fork(number: int, port: int, words: list[str], said: Path) -> int:
    """Begin a process of two; returns its id."""
    child = os.fork()
    if child:
        return child
    signal.alarm(120)  # seconds: should it wait for what never comes
    place = {"RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}
    os.environ.update({name: str(value) for name, value in place.items()})
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, sys.stdout.fileno())
    os.dup2(file, sys.stderr.fileno())
    code = 1
    try:
        if words[0] == "-c":
            exec(words[1], {})
            code = 0
        else:
            from seqsmith.cli.main import main

            sys.argv[1:] = words
            main()
    except BaseException:
        traceback.print_exc()
    finally:  # whatever happens, this process must not go on as its parent does
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


if __name__ == "__main__":
    import_all()
    for place, words in enumerate(json.loads(sys.argv[2])):
        port = free_port()
        children = [fork(number, port, words, Path(sys.argv[1]) / str(place)) for number in range(2)]
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(json.dumps(codes), flush=True)
