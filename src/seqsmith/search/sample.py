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


@dataclass(frozen=True)
class Dice:
    """One number in [0, 1) for each token of each draw, from a generator of its own."""

    generators: Sequence[np.random.Generator]
    temperature: float

    @classmethod
    def of(cls, sources: Sequence[NDArray[np.generic]], *, draws: int, seed: int, temperature: float) -> Dice:
        """For so many draws to each source."""
        digests = [hashlib.blake2b(source.tobytes(), digest_size=8).digest() for source in sources]
        entropies = [int.from_bytes(digest, "little") for digest in digests]
        generators = [np.random.default_rng([seed, draw, entropy]) for entropy in entropies for draw in range(draws)]
        return cls(generators, temperature)

    def __call__(self, allowed_RV: Tensor, draw_R: Tensor) -> Tensor:
        """The next token of every draw that has not ended -> id_R, by the inverse of the cumulative distribution."""
        numbers = [self.generators[row].random() for row in draw_R.tolist()]
        number_R1 = torch.tensor(numbers, dtype=torch.float64, device=allowed_RV.device)[:, None]
        below_RV = (allowed_RV.double() / self.temperature).softmax(1).cumsum(1)
        id_R = torch.searchsorted(below_RV, number_R1 * below_RV[:, -1:], right=True)[:, 0]
        return id_R.clamp(max=below_RV.shape[1] - 1)  # beyond it where logits are no numbers, which is told later


@torch.no_grad()
def sample(
    step: Step,
    state: State,
    dice: Dice,
    *,
    longest_B: Tensor,
    draws: int = 1,
    shortest: int = 0,
    length_penalty: float = 1.0,
    gnmt_penalty: bool = False,
) -> list[list[Answer]]:
    """So many answers drawn for each source, the best score first; equal ones stay, their number has a meaning.

    `state` has one row for each source. Scores and log-probabilities are the model's own, whatever the temperature.
    """
    source_R = torch.arange(len(longest_B), device=longest_B.device).repeat_interleave(draws)
    drawn = greedy_search(
        step,
        select(state, row_N=source_R, source_B=source_R),
        longest_B=longest_B[source_R],
        shortest=shortest,
        length_penalty=length_penalty,
        gnmt_penalty=gnmt_penalty,
        choose=dice,
    )
    answers = [one for (one,) in drawn]
    return [
        sorted(answers[first : first + draws], key=lambda answer: -answer.score)
        for first in range(0, len(answers), draws)
    ]
