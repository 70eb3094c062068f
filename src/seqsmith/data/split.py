"""Splits a dev set off the pairs, so that no source and no target of dev occurs in train.

Pairs that share a source or a target belong together, and so on along the chain: the connected components of a graph
whose nodes are the distinct sources and targets and whose edges are the pairs. Whole components go to dev, in an order
that depends on their contents and the seed alone. The components are found over whole arrays by hooking roots to lower
roots and flattening the trees (after Shiloach and Vishkin 1982, "An O(log n) parallel connectivity algorithm").
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from seqsmith.errors import UserError

Hashes = NDArray[np.uint64]
Rows = NDArray[np.int64]
MOST_DEV_PAIRS = 1000  # enough for a steady BLEU, little enough to be decoded often
GIANT = 0.05  # a component with more than this share of all pairs stays in train,
NEVER_GIANT = 10  # unless it is as small as this


def hash_texts(texts: Sequence[str]) -> Hashes:
    """A 64-bit hash of each text, the same on every machine."""
    return np.frombuffer(b"".join(blake2b(text.encode(), digest_size=8).digest() for text in texts), "<u8")


def default_dev_pairs(pairs: int) -> int:
    """How many of `pairs` pairs to split off: a tenth, 1,000 at the most."""
    if pairs < 2:
        raise UserError(
            f"found {pairs} pair{'s' * (pairs != 1)} in all, too few to split a dev set off: give more data, "
            "or a dev set with --dev."
        )
    return max(1, min(MOST_DEV_PAIRS, pairs // 10))


def split_dev(source_hash: Hashes, target_hash: Hashes, count: int, seed: int) -> tuple[Rows, Rows]:
    """Rows for train and rows for dev, both ascending; dev has about `count` pairs.

    Raises UserError where fewer than half of `count` can be split off without sharing a source or a target with train.
    """
    pairs = len(source_hash)
    default_dev_pairs(pairs)  # refuses too few
    component = components(source_hash, target_hash)
    size = np.bincount(component)
    key = np.full(len(size), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(key, component, _mix(_mix(source_hash, seed) ^ target_hash, seed))

    largest = min(max(count, int(size[size > 0].min())), max(int(GIANT * pairs), NEVER_GIANT))
    candidate = np.flatnonzero((size > 0) & (size <= largest))
    candidate = candidate[np.argsort(key[candidate])]
    reached = np.cumsum(size[candidate])
    reached = reached[reached < pairs]  # something is left to train on
    most = int(reached[-1]) if len(reached) else 0
    if 2 * most < count:
        raise UserError(_impossible(count, most, int(size.max()), pairs))
    chosen = candidate[: 1 + int(np.argmin(np.abs(reached - count)))]
    is_dev = np.zeros(len(size), bool)
    is_dev[chosen] = True
    row_is_dev = is_dev[component]
    return np.flatnonzero(~row_is_dev), np.flatnonzero(row_is_dev)


def components(source_hash: Hashes, target_hash: Hashes) -> NDArray[np.int32]:
    """For each pair the number of its component: two pairs that share a source or a target have the same one."""
    source = np.unique(source_hash, return_inverse=True)[1].astype(np.int32)
    target = np.unique(target_hash, return_inverse=True)[1].astype(np.int32)
    target += source.max() + 1
    root = np.arange(target.max() + 1, dtype=np.int32)
    left, right = source, target
    while len(left):
        np.minimum.at(root, np.maximum(left, right), np.minimum(left, right))
        _flatten(root)
        left, right = root[left], root[right]
        apart = left != right
        left, right = left[apart], right[apart]
    return root[source]


def _flatten(root: NDArray[np.int32]) -> None:
    """Make every node point to the root of its tree."""
    while True:
        above = root[root]
        if np.array_equal(above, root):
            return
        root[:] = above


def _mix(value: Hashes, seed: int) -> Hashes:
    """Scramble 64 bits (the finaliser of SplitMix64, Steele, Lea and Flood 2014)."""
    mixed: Hashes = value + np.uint64((seed * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def _impossible(count: int, most: int, largest: int, pairs: int) -> str:
    found = f"only {most:,}" if most else "none"
    remedy = f", or set data.dev_pairs = {most}" if most else ""
    return (
        f"wanted to split {count:,} of {pairs:,} pairs off for dev, but {found} can leave so that dev and train share "
        f"no source and no target (the largest group that hangs together has {largest:,} pairs). "
        f"Give a dev set with --dev{remedy}."
    )
