"""All contact with the machine: threads, memory, device, precision, seeds, clocks, signals, folders of the user.

torch is imported by the functions that need it: it takes longer than a first answer may take where another engine runs.
So is NumPy, which takes half of the time that a page of help does.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import random
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Literal, NoReturn

from seqsmith.errors import UserError

if TYPE_CHECKING:
    import torch

Precision = Literal["fp32", "bf16"]


def cache_folder() -> Path:
    """Where prepared data is kept between runs: SEQSMITH_CACHE, else the user's cache folder."""
    own = os.environ.get("SEQSMITH_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seqsmith"


def use_large_pages() -> None:
    """Let torch ask for pages of 2 MB, which spare the CPU looking pages up. It reads this at its first tensor."""
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


def keep_memory() -> None:
    """Keep freed pages for the next tensor: glibc would map one over 32 MB anew, at ten times its fill time.

    oneDNN compiles a kernel for each shape, for 1 to 25 ms, and keeps the last 1,024, of half a megabyte each: 256 are
    enough for the shapes that come again. torch keeps as many of its own accord (`LRU_CACHE_CAPACITY`), which only
    holds the memory of kernels that oneDNN has let go of, so that it is left eight.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "256")
    os.environ.setdefault("LRU_CACHE_CAPACITY", "8")
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    mmap_max, trim_threshold, top_pad = -4, -1, -2  # malloc.h
    libc.mallopt(mmap_max, 0)
    libc.mallopt(trim_threshold, -1)
    libc.mallopt(top_pad, 64 << 20)


def choose_device(wanted: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """The device to compute on. Raises UserError for CUDA on a machine without it."""
    import torch

    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError("train.device: found 'cuda', but torch sees no CUDA device here. Use 'auto' or 'cpu'.")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def threads(wanted: int | None) -> int:
    """How many threads to take: as many as are wanted, else OMP_NUM_THREADS, else every core this process may use."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # a list has one for each level of nesting
    return wanted or (int(said) if said.isdecimal() else 0) or cores


def may_have_gpu() -> bool:
    """Whether a driver that torch could use is loaded, found without torch. CUDA_VISIBLE_DEVICES may hide it."""
    return any(Path(place).exists() for place in ("/proc/driver/nvidia/version", "/dev/kfd", "/dev/dxg"))


def use_threads(count: int | None) -> int:
    """Set and return the number of `threads` inside an operator."""
    import torch

    count = threads(count)
    torch.set_num_threads(count)
    return count


def precision_context(precision: Precision, device: torch.device) -> AbstractContextManager[None]:
    """Mixed precision for the forward pass: weights stay fp32, matrix products are done in bf16."""
    import torch

    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


def faster_precision(work: Callable[[int], None], device: torch.device) -> tuple[Precision, float]:
    """Do `work` (a training step, on the batch of that number) in fp32 and bf16 in turn; return the faster one and
    bf16's speed-up over fp32.

    Half precision must win by 15 % to be taken. CPUs of one family differ here by a factor of three, so the name of
    the machine is no guide. On a CPU its own time counts, which is the same whatever else the machine does. Each round
    has a batch of its own, as training does: kernels that are compiled for its shapes count. The first round does not;
    but one in which a CPU takes a second in bf16, and four times as long as in fp32, is the last.
    """
    import torch

    clock = process_time if device.type == "cpu" else perf_counter

    def seconds(precision: Precision, number: int) -> float:
        with precision_context(precision, device):
            began = clock()
            work(number)
            if device.type == "cuda":
                torch.cuda.synchronize()
        return clock() - began

    fp32 = bf16 = 0.0
    for number in range(3):
        plain, half = seconds("fp32", number), seconds("bf16", number)
        if device.type == "cpu" and half > max(1.0, 4 * plain):
            return "fp32", plain / half
        fp32, bf16 = (fp32 + plain, bf16 + half) if number else (0.0, 0.0)
    gain = fp32 / bf16
    return ("bf16" if gain > 1.15 else "fp32"), gain


def fastest_threads(work: Callable[[int], None]) -> int:
    """Take and return the number of threads that do `work` soonest: those there are, half of them, a quarter, ...

    Threads wait for each other within every operator. Beside another busy process two of them do a third of what one
    does, and many have little to share in a small model. Each half must win by 30 % by the clock; where it does not win
    the first round, in which what comes first is slower, it is not tried again. Nothing is tried where OMP_NUM_THREADS
    says how many.
    """
    import torch

    def seconds(threads: int, number: int) -> float:
        torch.set_num_threads(threads)
        began = perf_counter()
        work(number)
        return perf_counter() - began

    count = torch.get_num_threads()
    while count > 1 and not os.environ.get("OMP_NUM_THREADS"):
        whole, half, number = seconds(count, 0), seconds(count // 2, 0), 0
        if half < whole:
            whole = half = 0.0
            while number < 20 and whole + half < 1.0:
                number += 1
                whole, half = whole + seconds(count, number), half + seconds(count // 2, number)
        if whole < 1.3 * half:
            break
        count //= 2
    torch.set_num_threads(count)
    return count


def multiplies_faster_in_bf16() -> bool:
    """Whether this CPU multiplies matrices of an answer's size by half faster in bf16, tried in some milliseconds."""
    import torch

    seconds = []
    for dtype in (torch.float32, torch.bfloat16):
        x, weight = torch.ones(64, 512, dtype=dtype), torch.ones(2048, 512, dtype=dtype)
        rounds = []
        for _ in range(5):
            began = process_time()
            torch.nn.functional.linear(x, weight)
            rounds.append(process_time() - began)
        seconds.append(min(rounds))
    return seconds[0] > 1.5 * seconds[1]


def seed_batch(seed: int, update: int, place: int) -> None:
    """Make all noise of a batch a function of (seed, update, place in the update), so that resuming needs no generator
    state, and it does not matter which process computes it."""
    import torch

    digest = hashlib.blake2b(f"{seed}:{update}:{place}".encode(), digest_size=8).digest()
    torch.manual_seed(int.from_bytes(digest, "little"))


def place_among_processes() -> tuple[int, int]:
    """What torchrun says: the rank of this process, and how many processes there are."""
    return int(os.environ.get("RANK") or 0), int(os.environ.get("WORLD_SIZE") or 1)


def place_on_this_machine() -> tuple[int, int]:
    """The same, of the processes on this machine."""
    return int(os.environ.get("LOCAL_RANK") or 0), int(os.environ.get("LOCAL_WORLD_SIZE") or 1)


def leave(code: int) -> NoReturn:
    """End this process.

    One of several does not end the interpreter first: torch can keep gloo's threads after their group is gone, and a
    thread that asks for an interpreter that is ending aborts the process, whose work was well done.
    """
    if place_among_processes()[1] > 1:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def seed_everything(seed: int) -> None:
    """Seed the generators of Python, NumPy and torch, from which a new model's weights come."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def environment() -> dict[str, str | int]:
    """What bit-exact repetition depends on, for the journal."""
    import numpy as np
    import torch

    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


def processor() -> str:
    """What this machine's processor is called and can do, as far as the system says."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            told = file.read(1 << 14).partition("\n\n")[0].splitlines()  # one core: the others are like it
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    return "\n".join(line for line in told if line.startswith(("model name", "flags", "Features", "CPU ")))


def arithmetic() -> list[str | None]:
    """What products of 8 bits come out as depends on this: the processor, and what is said of it to CTranslate2."""
    return [processor(), os.environ.get("CT2_USE_MKL"), os.environ.get("CT2_FORCE_CPU_ISA")]


def peak_memory_bytes() -> int:
    """The most memory this process has held."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class Interrupted(KeyboardInterrupt):
    """A signal came while nothing was in the making that must be finished first."""


class Interrupt:
    """The number of the first SIGINT or SIGTERM that came, when called; None: there was none."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._at_once = False

    def __call__(self) -> int | None:
        return self.number

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within, the first signal raises Interrupted where the program stands."""
        if self.number is not None:
            raise Interrupted
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def note(self, number: int) -> None:
        self.number = self.number or number
        if self._at_once:
            raise Interrupted


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Within, SIGINT and SIGTERM are only noted, but for where they may act at once; a second one acts at once."""
    interrupt = Interrupt()

    def note(number: int, _frame: object) -> None:
        signal.signal(number, before[number])
        interrupt.note(number)

    before = {int(number): signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            signal.signal(number, note)
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def parameter_count(module: torch.nn.Module) -> int:
    """How many trained numbers a model has, shared ones counted once."""
    return sum(parameter.numel() for parameter in module.parameters())
