"""One point of growth.py, in a process of its own: some updates, some answers or one preparation of a given size.

Data are random ids, so that each size can be set alone; weights are random, and answers are made to have their length.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from corpus import made, table
from machine import Clock, Row
from training import SHAPES

from seqsmith import config, runtime
from seqsmith.batch import Batch, tokens
from seqsmith.cli.prepare import encode_pairs, learn_codecs, read_pairs, resolve
from seqsmith.model.build import build_model
from seqsmith.model.seq2seq import Seq2Seq
from seqsmith.objective.teacher import teacher_forced
from seqsmith.search.beam import beam_search
from seqsmith.special import END
from seqsmith.train.optimizer import new_optimizer

USUAL = {"vocabulary": 8000, "width": 256, "batch": 2048, "length": 16, "beam": 5}
SENTENCES = 16  # answered at once
WARM, MOST, SECONDS = 1, 5, 2.0  # updates or batches: before the clock runs, and at most while it does


def measure(what: str, shape: str, axis: str, value: int, clock: Clock) -> Row:
    """`axis` has this value and all else is as usual -> seconds, amount of work done in them, and peak memory."""
    if what == "preparation":
        seconds, amount = _prepare(value, clock)
    else:
        size = {**USUAL, axis: value}
        model = _model(shape, size["width"], size["vocabulary"])
        work, each = (_training if what == "training" else _answering)(model, size)
        seconds, amount = _timed(work, each, clock)
    return {
        "what": what,
        "shape": shape,
        "axis": axis,
        "value": value,
        "seconds": round(seconds, 4),
        "amount": amount,
        "peak_megabytes": round(runtime.peak_memory_bytes() / 1e6),
    }


def _timed(work: Callable[[], None], each: int, clock: Clock) -> tuple[float, int]:
    for _ in range(WARM):
        work()
    began, times = clock(), 0
    while times < MOST and (not times or clock() - began < SECONDS):
        work()
        times += 1
    return clock() - began, each * times


def _model(shape: str, width: int, vocabulary: int) -> Seq2Seq:
    """A shape of training.py, all of it made as many times as wide as it is more than 256."""
    sides: dict[str, Any] = {}
    for side in ("encoder", "decoder"):
        usual = SHAPES[shape][side]
        wider = {"width": usual["width"] * width // 256}
        if "feed_forward" in usual:
            wider["feed_forward"] = 4 * width
        sides[side] = wider
    model = config.merge(SHAPES[shape], {**sides, "embedding": width})
    settings = config.build({"model": model}, where="growth").model
    return build_model(settings, source_size=vocabulary, target_size=vocabulary)


def _batch(size: dict[str, int], rows: int) -> Batch:
    sides = [
        tokens([[*torch.randint(END + 1, size["vocabulary"], (length - 1,)).tolist(), END] for _ in range(rows)])
        for length in (size["length"], size.get("target", size["length"]))
    ]
    return Batch(sides[0], sides[1], torch.arange(rows))


def _training(model: Seq2Seq, size: dict[str, int]) -> tuple[Callable[[], None], int]:
    """An update, and how many target tokens it has."""
    optimizer = new_optimizer(model.train(), beta2=0.98, weight_decay=0.01)
    batch = _batch(size, max(1, size["batch"] // size["length"]))

    def update() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss = teacher_forced(model, batch, smoothing=0.1)
        (loss.loss_nats / loss.count).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    assert batch.target is not None
    return update, batch.target.count


def _answering(model: Seq2Seq, size: dict[str, int]) -> tuple[Callable[[], None], int]:
    """Answers as long as their sources, and how many."""
    model.eval()
    source = _batch(size, SENTENCES).source
    longest_B = torch.full((SENTENCES,), size["length"])

    def answer() -> None:
        with torch.inference_mode():
            beam_search(model.step, model.start(source), longest_B=longest_B, beam=size["beam"],
                        shortest=size["length"] - 1)  # fmt: skip

    return answer, SENTENCES


def _prepare(lines: int, clock: Clock) -> tuple[float, int]:
    """Reading and encoding, from files to ids on the disk. Making the pairs is not in the time, nor is learning the
    vocabulary, which looks at so many characters and no more."""
    with TemporaryDirectory() as folder:
        made_by = os.fork()  # its memory is not ours
        if made_by == 0:
            made(Path(folder), "train", lines, seed=1)
            os._exit(0)
        os.waitpid(made_by, 0)
        os.environ["SEQSMITH_CACHE"] = str(Path(folder) / "cache")
        parts = {"train": (Path(folder) / "train.source", Path(folder) / "train.target")}
        settings = table(parts, SHAPES["T"])
        began = clock()
        pairs = read_pairs(config.draft(settings, where="growth"), say=_silent)
        resolved = resolve(settings, pairs, _silent)
        read = clock() - began
        featuriser = learn_codecs(resolved, pairs)
        began = clock()
        encode_pairs(resolved, pairs, featuriser, _silent)
        return read + clock() - began, lines


def _silent(_line: str) -> None:
    pass
