import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from seqsmith import runtime
from seqsmith.errors import UserError

CPU = torch.device("cpu")


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("SEQSMITH_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert runtime.cache_folder() == Path("/home/someone/.cache/seqsmith")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/someone")
    assert runtime.cache_folder() == Path("/var/cache/someone/seqsmith")
    monkeypatch.setenv("SEQSMITH_CACHE", "/big/disk")
    assert runtime.cache_folder() == Path("/big/disk")


def test_a_machine_without_cuda_says_so() -> None:
    assert runtime.choose_device("cpu") == CPU
    if torch.cuda.is_available():
        assert runtime.choose_device("auto").type == runtime.choose_device("cuda").type == "cuda"
        return
    assert runtime.choose_device("auto") == CPU
    with pytest.raises(UserError) as error:
        runtime.choose_device("cuda")
    assert str(error.value) == ("train.device: found 'cuda', but torch sees no CUDA device here. Use 'auto' or 'cpu'.")


def test_threads_are_those_asked_for_else_those_of_the_environment_else_all(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    try:
        assert runtime.use_threads(2) == torch.get_num_threads() == 2
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        assert runtime.use_threads(None) == torch.get_num_threads() == 1
        monkeypatch.setenv("OMP_NUM_THREADS", "2,1")  # by levels of nesting
        assert runtime.use_threads(None) == 2
        monkeypatch.setenv("OMP_NUM_THREADS", "many")
        assert runtime.use_threads(None) == len(os.sched_getaffinity(0))
        monkeypatch.delenv("OMP_NUM_THREADS")
        assert runtime.use_threads(None) == len(os.sched_getaffinity(0))
    finally:
        torch.set_num_threads(before)


def test_mixed_precision_multiplies_in_bf16_and_keeps_the_weights() -> None:
    layer = nn.Linear(4, 4)
    with runtime.precision_context("bf16", CPU):
        assert layer(torch.ones(1, 4)).dtype == torch.bfloat16
    with runtime.precision_context("fp32", CPU):
        assert layer(torch.ones(1, 4)).dtype == torch.float32
    assert layer.weight.dtype == torch.float32


@pytest.mark.parametrize(("sleeps", "expected"), [(lambda n: 0.002 * n, 1), (lambda n: 0.02 / n, 4)])
def test_the_number_of_threads_is_tried_out(sleeps: Callable[[int], float], expected: int, monkeypatch: Any) -> None:
    before = torch.get_num_threads()
    try:
        monkeypatch.setenv("OMP_NUM_THREADS", "4")
        torch.set_num_threads(4)
        assert runtime.fastest_threads(lambda _: None) == 4
        monkeypatch.delenv("OMP_NUM_THREADS")
        assert runtime.fastest_threads(lambda _: sleep(sleeps(torch.get_num_threads()))) == expected
        assert torch.get_num_threads() == expected
    finally:
        torch.set_num_threads(before)


def test_the_faster_precision_is_tried_out_in_turn() -> None:
    seen = []
    precision, gain = runtime.faster_precision(
        lambda number: seen.append((number, torch.is_autocast_enabled("cpu"))), CPU
    )
    assert seen == [(number, half) for number in range(3) for half in (False, True)]
    assert precision == ("bf16" if gain > 1.15 else "fp32")
    assert gain > 0


def test_a_precision_that_is_far_slower_is_given_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now, seen = [0.0], []

    def work(number: int) -> None:
        now[0] += 5.0 if torch.is_autocast_enabled("cpu") else 1.0
        seen.append(number)

    monkeypatch.setattr(runtime, "process_time", lambda: now[0])
    assert runtime.faster_precision(work, CPU) == ("fp32", 0.2)
    assert seen == [0, 0]


def test_the_noise_of_a_batch_is_a_function_of_seed_update_and_place() -> None:
    def noise(seed: int, update: int, place: int = 0) -> list[float]:
        runtime.seed_batch(seed, update, place)
        drawn: list[float] = torch.rand(4).tolist()
        return drawn

    first = noise(1, 10)
    torch.rand(7)
    assert noise(1, 10) == first
    places = range(3)
    assert len({str(noise(seed, update, place)) for seed in places for update in places for place in places}) == 27
    assert noise(1, 11) != noise(11, 1)


def test_one_seed_starts_everything() -> None:
    drawn = []
    for seed in (3, 3, 2**40):
        runtime.seed_everything(seed)
        drawn.append((random.random(), float(np.random.random()), float(torch.rand(1))))
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_and_the_second_acts(number: signal.Signals) -> None:
    acted = []
    before = signal.signal(number, lambda *_: acted.append(number))
    try:
        with runtime.interruptible() as interrupted:
            assert interrupted() is None
            signal.raise_signal(number)
            assert interrupted() == number
            assert acted == []
            signal.raise_signal(number)
            assert acted == [number]
            assert interrupted() == number
            with pytest.raises(runtime.Interrupted), interrupted.at_once():
                pytest.fail("it has come already")
        with runtime.interruptible() as interrupted:
            with pytest.raises(runtime.Interrupted), interrupted.at_once():
                signal.raise_signal(number)
            assert interrupted() == number
        signal.raise_signal(number)
        assert acted == [number, number]
    finally:
        signal.signal(number, before)


def test_signals_act_as_before_after_an_error() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError), runtime.interruptible():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is before


def test_shared_weights_count_once() -> None:
    embedding, out = nn.Embedding(7, 3), nn.Linear(3, 7)
    out.weight = embedding.weight
    assert runtime.parameter_count(nn.ModuleList([embedding, out])) == 7 * 3 + 7


def test_the_environment_names_what_repetition_depends_on() -> None:
    found = runtime.environment()
    assert found.keys() == {"python", "torch", "numpy", "machine", "cpu_capability", "threads", "device"}
    assert found["torch"] == torch.__version__
    assert found["threads"] == torch.get_num_threads()


def test_this_process_holds_some_memory_and_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        monkeypatch.delenv(name, raising=False)
    runtime.keep_memory()
    assert int(os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"]) > int(os.environ["LRU_CACHE_CAPACITY"]) > 0
    assert 50e6 < runtime.peak_memory_bytes() < 1e12


def test_large_pages_are_asked_for_unless_the_environment_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THP_MEM_ALLOC_ENABLE", "0")
    runtime.use_large_pages()
    assert os.environ["THP_MEM_ALLOC_ENABLE"] == "0"
    monkeypatch.delenv("THP_MEM_ALLOC_ENABLE")
    runtime.use_large_pages()
    assert os.environ["THP_MEM_ALLOC_ENABLE"] == "1"
