"""The columns that a corpus of text must or may have."""

from __future__ import annotations

from seqsmith import config
from seqsmith.data.columns import Role


def roles(data: config.Data) -> list[Role]:
    """Source and target, and features where the user names their column."""
    return [
        Role("source", data.source, 1),
        Role("target", data.target, 2),
        Role("features", data.features, None),
    ]
