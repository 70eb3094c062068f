"""What every engine is: featurised sources in, the best answers out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from seqsmith import config
from seqsmith.search.answer import Answer

Source = Sequence[int] | NDArray[np.floating[Any]]
"""Ids, ended by END; or frames [steps, C]."""


class Engine(Protocol):
    """Answers one batch a call; as many calls as there are workers may run at once, each on a thread of its own."""

    @property
    def name(self) -> str: ...
    @property
    def workers(self) -> int: ...
    def answer(self, sources: Sequence[Source], settings: config.Search) -> list[list[Answer]]:
        """The n best answers to each source of a batch, best first."""
        ...
