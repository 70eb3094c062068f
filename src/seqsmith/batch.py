"""What travels between the parts: sequences, batches, the decoder's state; and the legend of the axes.

B batch          S source steps    T target steps    L steps of either side    P real positions of a whole batch
D model width    H heads           K head width      F feed-forward width      C channels of a frame (mel bins, ...)
V vocabulary     W beam width      N = B*W search rows   G gates (4 of an LSTM, 3 of a GRU) times width   R = B*H
E known covariates of a step       M steps of a series that are one step of the model       Q numbers said for a number
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from seqsmith.special import BEGIN, PAD


@dataclass(frozen=True)
class Tokens:
    """A batch of id sequences, each ended by END and padded with PAD on the right."""

    id_BL: Tensor  # int64
    valid_BL: Tensor  # bool, True = real
    position_P: Tensor  # int64: where the real positions are in the flattened id_BL

    @property
    def length_B(self) -> Tensor:
        return self.valid_BL.sum(1)

    @property
    def count(self) -> int:
        """How many terms the loss has."""
        return len(self.position_P)

    @property
    def id_P(self) -> Tensor:
        """The ids at the real positions, row after row."""
        return self.id_BL.flatten()[self.position_P]

    def previous(self) -> Tensor:
        """What a decoder has seen before each step: BEGIN, then the sequence without its last step -> id_BL."""
        return torch.cat([torch.full_like(self.id_BL[:, :1], BEGIN), self.id_BL[:, :-1]], dim=1)

    def twice(self) -> Tokens:
        """All rows, and all of them again."""
        again_P = self.position_P + self.id_BL.numel()
        return Tokens(self.id_BL.repeat(2, 1), self.valid_BL.repeat(2, 1), torch.cat([self.position_P, again_P]))

    def to(self, device: torch.device) -> Tokens:
        return Tokens(*(x.to(device, non_blocking=True) for x in (self.id_BL, self.valid_BL, self.position_P)))


@dataclass(frozen=True)
class Frames:
    """A batch of sequences of vectors, such as spectra, padded with zeros on the right."""

    x_BLC: Tensor  # float32
    valid_BL: Tensor  # bool, True = real

    @property
    def length_B(self) -> Tensor:
        return self.valid_BL.sum(1)

    def twice(self) -> Frames:
        """All rows, and all of them again."""
        return Frames(self.x_BLC.repeat(2, 1, 1), self.valid_BL.repeat(2, 1))

    def to(self, device: torch.device) -> Frames:
        return Frames(self.x_BLC.to(device, non_blocking=True), self.valid_BL.to(device, non_blocking=True))


@dataclass(frozen=True)
class Values:
    """A batch of contexts of series, scaled; what is missing, padding included, is 0 and not seen."""

    x_BLC: Tensor  # float32
    seen_BLC: Tensor  # bool
    known_BLE: Tensor  # float32: what is known of every step, as its hour of the day
    valid_BL: Tensor  # bool, True = real

    def to(self, device: torch.device) -> Values:
        parts = (self.x_BLC, self.seen_BLC, self.known_BLE, self.valid_BL)
        return Values(*(x.to(device, non_blocking=True) for x in parts))


@dataclass(frozen=True)
class Future:
    """What follows the contexts: what is known of it, and the numbers to be forecast where there are any."""

    x_BLC: Tensor  # float32, scaled like the contexts
    seen_BLC: Tensor  # bool, False = missing or padding: never in the loss
    known_BLE: Tensor
    begin_BMC: Tensor  # the last numbers of the context, which a decoder that is fed numbers is fed first
    shift_BC: Tensor  # x * spread + shift is a number in the units of the scores
    spread_BC: Tensor
    count: int  # of the numbers seen: how many terms the loss has

    def previous(self) -> Tensor:
        """What a decoder has seen before each step: `begin`, then the numbers without the last ones -> x_BLC."""
        kept = self.x_BLC.shape[1] - self.begin_BMC.shape[1]
        return torch.cat([self.begin_BMC, self.x_BLC[:, :kept]], dim=1)

    def to(self, device: torch.device) -> Future:
        parts = (self.x_BLC, self.seen_BLC, self.known_BLE, self.begin_BMC, self.shift_BC, self.spread_BC)
        x, seen, known, begin, shift, spread = (part.to(device, non_blocking=True) for part in parts)
        return Future(x, seen, known, begin, shift, spread, self.count)


Source = Tokens | Frames


@dataclass(frozen=True)
class Batch:
    """Examples that are computed together."""

    source: Source
    target: Tokens | None  # None where answers are wanted
    example_B: Tensor  # int64: which examples of the corpus these are

    def twice(self) -> Batch:
        """All examples, and all of them again."""
        return Batch(self.source.twice(), self.target and self.target.twice(), self.example_B.repeat(2))

    def to(self, device: torch.device) -> Batch:
        return Batch(self.source.to(device), self.target and self.target.to(device), self.example_B)


@dataclass(frozen=True)
class SeriesBatch:
    """Windows of series that are computed together."""

    source: Values
    target: Future
    example_B: Tensor  # int64: which windows these are

    def to(self, device: torch.device) -> SeriesBatch:
        return SeriesBatch(self.source.to(device), self.target.to(device), self.example_B)


@dataclass(frozen=True)
class Projection:
    """Logits not yet made, hidden_PD weight_VD' + bias_V: a loss can make them in pieces."""

    hidden_PD: Tensor
    weight_VD: Tensor
    bias_V: Tensor

    def logits(self) -> Tensor:
        return F.linear(self.hidden_PD, self.weight_VD, self.bias_V)


@dataclass(frozen=True)
class Scores:
    """Logits already made."""

    logit_PV: Tensor
    copied: int = 0  # the last ones are of words that a source has and the vocabulary has not; -inf: not this source


@dataclass(frozen=True)
class Mixture:
    """Logits not yet made, of the vocabulary and of what a source has: a loss can make them in pieces."""

    make: Callable[..., Scores]  # of some positions and the inputs
    inputs: Sequence[Tensor]  # all that has gradients
    shape: tuple[int, int]  # P positions, X logits of each

    def logits(self) -> Tensor:
        return self.make(slice(None), *self.inputs).logit_PV


@dataclass(frozen=True)
class Aligned:
    """What a CTC head says at the real steps of the encoder, row after row."""

    scores: Projection
    length_B: Tensor  # int64: steps of each row


@dataclass(frozen=True)
class Output:
    """What a model says of a whole batch, at the real positions of its targets."""

    scores: Projection | Mixture
    attention_PS: Tensor | None  # where the decoder looked, if that was asked for
    aligned: Aligned | None = None  # None: the model has no CTC head


@dataclass(frozen=True)
class State:
    """What decoding carries from step to step: nested dicts, lists or tuples of tensors, never changed in place.

    `row` has one entry for each search row (N first) and is reordered when the beam is. `source` has one entry for each
    source (B first) and is shared by the W = N / B rows of that source, which are neighbours; it is only narrowed, when
    a source has all its answers.
    """

    row: Any
    source: Any


Step = Callable[[Tensor, State], tuple[Tensor, State]]
"""step(id_N, state) -> (logit_NV, state): the next-token logits after each row has taken in id_N."""


def tokens(sequences: Sequence[Sequence[int] | np.ndarray]) -> Tokens:
    """Pad sequences that already carry their END. On the CPU; `to` moves it."""
    lengths = np.array([len(sequence) for sequence in sequences])
    padded = np.full((len(sequences), lengths.max()), PAD, dtype=np.int64)
    for row, sequence in enumerate(sequences):
        padded[row, : len(sequence)] = sequence
    valid = np.arange(padded.shape[1]) < lengths[:, None]
    return Tokens(torch.from_numpy(padded), torch.from_numpy(valid), torch.from_numpy(np.flatnonzero(valid)))


def frames(sequences: Sequence[np.ndarray]) -> Frames:
    """Pad sequences of vectors [steps, C]. On the CPU; `to` moves it."""
    lengths = np.array([len(sequence) for sequence in sequences])
    padded = np.zeros((len(sequences), lengths.max(), sequences[0].shape[1]), np.float32)
    for row, sequence in enumerate(sequences):
        padded[row, : len(sequence)] = sequence
    return Frames(torch.from_numpy(padded), torch.from_numpy(np.arange(padded.shape[1]) < lengths[:, None]))


def exact(x: Tensor) -> Tensor:
    """Single precision at least: in bfloat16 a log-probability has two good digits, and sums lose the small ones."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def tree_map(function: Callable[[Tensor], Tensor], tree: Any) -> Any:
    """Apply `function` to every tensor of nested dicts, lists and tuples."""
    match tree:
        case Tensor():
            return function(tree)
        case dict():
            return {key: tree_map(function, value) for key, value in tree.items()}
        case list() | tuple():
            return type(tree)(tree_map(function, value) for value in tree)
    raise AssertionError(f"a state holds tensors in dicts, lists and tuples, found {type(tree).__name__}")
