"""How large a model, and how long a training, suit an amount of text."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Size:
    """A model and a length of training that suit an amount of data, in target tokens."""

    most_tokens: float
    transformer: dict[str, Any]  # of both sides
    recurrent: dict[str, Any]
    embedding: int  # of recurrent models
    updates: int
    batch_tokens: int
    recurrent_updates: int | None = None  # None: as Transformers have it
    recurrent_batch_tokens: int | None = None

    def course(self, *, recurrent: bool) -> tuple[int, int]:
        """How many updates, and of how many tokens each."""
        if recurrent:
            return self.recurrent_updates or self.updates, self.recurrent_batch_tokens or self.batch_tokens
        return self.updates, self.batch_tokens


_FEW_ANSWERS = Size(  # one right answer: transliteration, inflection, dates, commands
    100_000,
    {"layers": 4, "width": 128, "heads": 4, "feed_forward": 512, "dropout": 0.3},
    {"layers": 1, "width": 256, "dropout": 0.4},
    128,
    2_400,
    1_024,
)
_MANY_ANSWERS = replace(
    _FEW_ANSWERS, most_tokens=1_000_000, recurrent={**_FEW_ANSWERS.recurrent, "dropout": 0.2}, updates=6_000
)
TRANSDUCTION = (
    _FEW_ANSWERS,
    _MANY_ANSWERS,
    replace(_MANY_ANSWERS, most_tokens=20_000_000, updates=8_000, batch_tokens=2_048),
)
TRANSLATION = (  # running text
    Size(
        1_500_000,
        {"layers": 4, "width": 128, "heads": 4, "feed_forward": 256, "dropout": 0.2},
        {"layers": 1, "width": 512, "dropout": 0.2, "layer_norm": True},
        256,
        7_000,
        2_048,
        recurrent_updates=12_000,
        recurrent_batch_tokens=1_024,
    ),
    Size(
        20_000_000,
        {"layers": 6, "width": 256, "heads": 4, "feed_forward": 1024, "dropout": 0.15},
        {"layers": 2, "width": 512, "dropout": 0.2, "layer_norm": True},
        256,
        50_000,
        4_096,
    ),
    Size(
        math.inf,
        {"layers": 6, "width": 512, "heads": 8, "feed_forward": 2048, "dropout": 0.1},
        {"layers": 3, "width": 1024, "dropout": 0.2, "layer_norm": True},
        512,
        100_000,
        16_384,
    ),
)


def size_for(tokens: float, *, one_answer: bool) -> Size:
    """What suits so many target tokens; `one_answer` says whether each source has one that is right."""
    sizes = (*TRANSDUCTION, TRANSLATION[-1]) if one_answer else TRANSLATION
    return next(size for size in sizes if tokens <= size.most_tokens)
