"""Which examples form which batch: a pure function of lengths, budget, seed and epoch, so that no loader has a state.

Examples are sorted by target length and, within one target length, by source length, up and down in turn, so that
neighbours are alike on both sides. Cutting this line greedily under a budget of padded tokens gives batches whose
target is nearly free of padding, which matters most: that side carries the softmax. A shuffle before the sort makes
examples of equal lengths meet in other company each epoch, one after it puts the batches in random order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Lengths = NDArray[np.integer[Any]]
Index = NDArray[np.integer[Any]]  # of 32 bits where they are enough


@dataclass(frozen=True, eq=False)
class Plan:
    """The batches of one pass: `plan[i]` holds the examples of batch i."""

    order: Index  # every example, as often as it is seen
    start: Index  # where in `order` each batch starts
    end: Index  # and ends

    def __len__(self) -> int:
        return len(self.end)

    def __getitem__(self, batch: int) -> NDArray[np.int64]:
        if not 0 <= batch < len(self):
            raise IndexError(batch)
        return self.order[self.start[batch] : self.end[batch]].astype(np.int64)


def plan_epoch(
    source_length: Lengths,
    target_length: Lengths,
    *,
    batch_tokens: int,
    seed: int,
    epoch: int,
    weight: NDArray[np.float32] | None = None,
) -> Plan:
    """The batches of one epoch, in the order of training.

    In each batch rows * max(longest source, longest target) <= batch_tokens, unless it is one example that is longer.
    An example is seen once; with a weight w, floor(w) times and once more with the probability that is left.
    """
    random = np.random.default_rng([seed, epoch])
    example: Index = np.arange(len(source_length), dtype=_smallest(len(source_length)))
    if weight is not None:
        whole = np.floor(weight)
        example = example.repeat(whole.astype(np.int64) + (random.random(len(weight)) < weight - whole))
    random.shuffle(example)
    key = _serpentine(source_length, target_length)[example]
    example = example[np.argsort(key, kind="stable")]
    del key
    end = _cut(np.maximum(source_length, target_length)[example], batch_tokens)
    batch = random.permutation(len(end))
    return Plan(example, _starts(end)[batch], end[batch])


def deal_anew(source_length: Lengths, target_length: Lengths, *, start: Index, end: Index) -> list[Index]:
    """The places of the examples of each batch, where batches were planned by other lengths than these.

    `start` and `end` say where batches stood in the planned line. Each keeps its number of examples, and the one that
    had the shortest has the shortest again.
    """
    place = np.argsort(_serpentine(source_length, target_length), kind="stable")
    batch = np.argsort(start, kind="stable")
    dealt = np.split(place, np.cumsum((end - start)[batch])[:-1])
    return [dealt[turn] for turn in np.argsort(batch)]


def sequential_plan(lengths: Lengths, batch_tokens: int) -> Plan:
    """Batches of similar length, the longest first, so that memory runs out at once or never; for prediction.

    Answers go back to their places with `answer[plan[i]] = ...`; equal lengths keep their order.
    """
    order = np.argsort(-lengths.astype(np.int64), kind="stable")
    end = _cut(lengths[order], batch_tokens)
    return Plan(order, _starts(end), end)


def _serpentine(source: Lengths, target: Lengths) -> Index:
    """A key that sorts by target length, then by source length, which rises and falls in turn."""
    turns = 2 * int(source.max(initial=0)) + 2
    key: Index = target.astype(_smallest(turns * (int(target.max(initial=0)) + 1)))
    turn: Index = -(key & 1)
    np.multiply(key, turns, out=key)
    np.add(key, source ^ turn, out=key)  # at odd target lengths ~source, which is -source - 1
    return key


def _smallest(most: int) -> type[np.int32] | type[np.int64]:
    """The smallest type that counts so far."""
    return np.int32 if most <= np.iinfo(np.int32).max else np.int64


def _cut(length: Lengths, batch_tokens: int) -> Index:
    """Where batches end when a line of examples is cut greedily, at most `batch_tokens` padded tokens each."""
    ends = []
    start = 0
    while start < len(length):
        room = max(1, batch_tokens // max(1, int(length[start])))
        longest = np.maximum.accumulate(length[start : start + room]).astype(np.int64)
        padded = longest * np.arange(1, len(longest) + 1)
        start += max(1, int(np.searchsorted(padded, batch_tokens, side="right")))
        ends.append(start)
    return np.array(ends, np.int64)


def _starts(end: Index) -> Index:
    return np.concatenate([np.zeros(1, np.int64), end])[:-1]
