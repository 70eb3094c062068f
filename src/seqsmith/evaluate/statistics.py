"""What every score is made of: numbers for each segment whose sum over any segments gives the score of those segments.

All scores here are functions of such sums (sufficient statistics), so that a resampled corpus is scored by adding rows
instead of comparing texts again.

Axes: E segments (one output and its references), Q quantities that are summed, Z resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seqsmith import __version__

Array = NDArray[np.float64]
Texts = Sequence[str]
References = Sequence[tuple[str, ...]]  # one tuple for each output, of one reference or several


@dataclass(frozen=True)
class Statistics:
    """One score's statistics: `value` turns total_ZQ, sums of rows of row_EQ, into value_Z on a scale of 0 to 100."""

    row_EQ: Array
    quantities: tuple[str, ...]  # the names of Q
    value: Callable[[Array], Array]
    signature: str
    unit: Literal["percent", "points"]
    better: Literal["higher", "lower"]

    @property
    def total_1Q(self) -> Array:
        total_1Q: Array = self.row_EQ.sum(0, keepdims=True)
        return total_1Q


def signature(references: References, **parts: str) -> str:
    """How one of our own scores was made, in sacreBLEU's notation: `nrefs:1|tok:whitespace|version:seqsmith-0.1.0`."""
    sizes = {len(several) for several in references}
    number = str(sizes.pop()) if len(sizes) == 1 else "var"
    named = {"nrefs": number, **parts, "version": f"seqsmith-{__version__}"}
    return "|".join(f"{key}:{value}" for key, value in named.items())
