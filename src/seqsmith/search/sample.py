"""Sampling: every token is drawn from what the model says may follow (ancestral sampling).

A draw depends on the seed, the source and its number among the draws for this source: never on the sources beside it.
At a temperature of 1 the answers have the model's own distribution; below, likely answers are more so, and greedy
search is the limit at 0.

Axes: R draws, those for one source neighbours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqsmith.batch import State, Step
from seqsmith.search.answer import Answer
from seqsmith.search.greedy import greedy_search
from seqsmith.search.step import select

_ROWS = 1024
"""Draws that are made together: each has a state and a distribution of its own."""


@dataclass(frozen=True)
class Dice:
    """One number in [0, 1) for each token of each draw, from a generator of its own."""

    generators: Sequence[np.random.Generator]
    temperature: float

    @classmethod
    def of(cls, sources: Sequence[NDArray[np.generic]], *, draws: range, seed: int, temperature: float) -> Dice:
        """For the draws of these numbers to each source."""
        digests = [hashlib.blake2b(source.tobytes(), digest_size=8).digest() for source in sources]
        entropies = [int.from_bytes(digest, "little") for digest in digests]
        generators = [np.random.default_rng([seed, draw, entropy]) for entropy in entropies for draw in draws]
        return cls(generators, temperature)

    def __call__(self, allowed_RV: Tensor, draw_R: Tensor) -> Tensor:
        """The next token of every draw that has not ended -> id_R, by the inverse of the cumulative distribution."""
        numbers = [self.generators[row].random() for row in draw_R.tolist()]
        number_R1 = torch.tensor(numbers, dtype=torch.float64, device=allowed_RV.device)[:, None]
        below_best_RV = allowed_RV.double() - allowed_RV.amax(1, keepdim=True)  # however cold, the best keeps its share
        sum_RV = (below_best_RV / self.temperature).softmax(1).cumsum(1)
        id_R = torch.searchsorted(sum_RV, number_R1 * sum_RV[:, -1:], right=True)[:, 0]
        return id_R.clamp(max=sum_RV.shape[1] - 1)  # beyond it where logits are no numbers, which is told later


@torch.no_grad()
def sample(
    step: Step,
    state: State,
    sources: Sequence[NDArray[np.generic]],
    *,
    longest_B: Tensor,
    draws: int,
    seed: int,
    temperature: float,
    shortest: int = 0,
    length_penalty: float = 1.0,
    gnmt_penalty: bool = False,
) -> list[list[Answer]]:
    """So many answers drawn for each source, in the order they are drawn; equal ones stay, their number has a meaning.

    `state` has one row for each source. Scores and log-probabilities are the model's own, whatever the temperature.
    """
    answers: list[list[Answer]] = [[] for _ in sources]
    together = max(1, _ROWS // max(1, len(sources)))
    for first in range(0, draws, together):
        numbers = range(first, min(first + together, draws))
        source_R = torch.arange(len(sources), device=longest_B.device).repeat_interleave(len(numbers))
        drawn = greedy_search(
            step,
            select(state, row_N=source_R, source_B=source_R),
            longest_B=longest_B[source_R],
            shortest=shortest,
            length_penalty=length_penalty,
            gnmt_penalty=gnmt_penalty,
            choose=Dice.of(sources, draws=numbers, seed=seed, temperature=temperature),
        )
        for source, (answer,) in zip(source_R.tolist(), drawn, strict=True):
            answers[source].append(answer)
    return answers
