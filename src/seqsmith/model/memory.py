"""What passes between encoder, decoder and outlet."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Memory:
    """What the encoder made of the sources. Steps that are not valid hold anything and are never looked at."""

    x_BSD: Tensor
    valid_BS: Tensor
    context_BZ: Tensor  # the context vector, Z wide: the classic model's only link to the decoder


@dataclass(frozen=True)
class Decoded:
    """What the decoder made of the target so far; while searching, T stands for the W rows of a source.

    A decoder may leave its attention out unless it is asked for it.
    """

    y_BTD: Tensor
    attention_BTS: Tensor | None  # of the last layer, mean over the heads; uniform where the decoder has none
