"""Windows of series through a model: in blocks that fit into memory, and piece by piece beyond its horizon.

Axes: E windows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from torch import Tensor

from seqsmith.batch import SeriesBatch
from seqsmith.featurise_series import Encoded, Numbers, SeriesFeaturiser
from seqsmith.series.windows import Windows

_BLOCK = 1024  # examples that are forecast at once


def batched(encoded: Encoded, windows: Windows) -> Iterator[tuple[Windows, SeriesBatch]]:
    """The windows in blocks, each as a batch: with independent columns, a row for each column of each window."""
    f = encoded.featuriser
    columns = f.targets if f.independent else 1
    size = max(1, _BLOCK // columns)
    for start in range(0, len(windows), size):
        block = Windows(windows.series_E[start : start + size], windows.start_E[start : start + size])
        each = Windows(np.repeat(block.series_E, columns), np.repeat(block.start_E, columns))
        channel_E = np.tile(np.arange(columns), len(block)) if f.independent else None
        yield block, encoded.batch(each, channel_E=channel_E)


def by_window(part: Tensor, f: SeriesFeaturiser) -> Numbers:
    """What a model says of a batch -> x_ETC, or with more axes behind: rows of one column each are windows again."""
    rows: Numbers = part.float().numpy()[:, : f.horizon]
    if not f.independent:
        return rows
    return np.moveaxis(rows.reshape(-1, f.targets, *rows.shape[1:])[:, :, :, 0], 1, 2)


def pieces(
    encoded: Encoded, horizon: int, say: Callable[[Encoded, Windows], tuple[Numbers, ...]]
) -> Iterator[tuple[Numbers, ...]]:
    """What is said of the horizon of each series, piece after piece; the first part of it is taken for the truth by the
    next, which is given no more of the past than a context, so that all pieces take the same time."""
    f = encoded.featuriser
    x, at = encoded.x, [len(one) for one in encoded.x]
    for first in range(0, horizon, f.horizon):
        x = tuple(one[-f.context - f.patch :] for one in x)
        known = tuple(
            one[end + first - len(past) : end + first + f.horizon + f.patch]
            for one, past, end in zip(encoded.known, x, at, strict=True)
        )
        ends = Windows(np.arange(len(x)), np.array([len(one) for one in x]))
        said = say(replace(encoded, x=x, known=known), ends)
        yield said
        blank = np.full((f.horizon, len(f.columns) - said[0].shape[2]), np.nan, np.float32)
        x = tuple(
            np.concatenate([one, np.concatenate([piece, blank], axis=1)]) for one, piece in zip(x, said[0], strict=True)
        )
