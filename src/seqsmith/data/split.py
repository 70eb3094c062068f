"""Splits a dev set off the pairs, so that no source and no target of dev occurs in train.

Pairs that share a source or a target belong together, and so on along the chain: the connected components of a graph
whose nodes are the distinct sources and targets and whose edges are the pairs. Whole components go to dev, in an order
that depends on their contents and the seed alone. The components are found over whole arrays by hooking roots to lower
roots and flattening the trees (after Shiloach and Vishkin 1982, "An O(log n) parallel connectivity algorithm").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from seqsmith.errors import UserError

Hashes = NDArray[np.uint64]
Rows = NDArray[np.int64]
MOST_DEV_PAIRS = 1000  # enough for a steady BLEU, little enough to be decoded often
GIANT = 0.05  # a component with more than this share of all pairs stays in train,
NEVER_GIANT = 10  # unless it is as small as this
_BLOCK = 1 << 20  # pairs looked at together


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


def pair_hashes(source_hash: Hashes, target_hash: Hashes) -> Hashes:
    """One hash of both sides of each pair."""
    return source_hash * np.uint64(0x9E3779B97F4A7C15) + target_hash  # the golden ratio spreads what is alike


def split_dev(source_hash: Hashes, target_hash: Hashes, count: int, seed: int) -> tuple[Rows, Rows]:
    """Rows for train and rows for dev, both ascending; dev has about `count` pairs.

    Raises UserError where fewer than half of `count` can be split off without sharing a source or a target with train.
    """
    pairs = len(source_hash)
    default_dev_pairs(pairs)  # refuses too few
    component = components(source_hash, target_hash)
    size = np.bincount(component)
    largest = min(max(count, int(size[size > 0].min())), max(int(GIANT * pairs), NEVER_GIANT))
    first = _first(component, (size > 0) & (size <= largest), source_hash, target_hash, 2 * count + 1, seed)
    reached = np.cumsum(size[first])
    reached = reached[reached < pairs]  # something is left to train on
    most = int(reached[-1]) if len(reached) else 0
    if 2 * most < count:
        raise UserError(_impossible(count, most, int(size.max()), pairs))
    is_dev = np.zeros(len(size), bool)
    is_dev[first[: 1 + int(np.argmin(np.abs(reached - count)))]] = True
    row_is_dev = np.concatenate([is_dev[component[block]] for block in _blocks(pairs)])
    return np.flatnonzero(~row_is_dev), np.flatnonzero(row_is_dev)


def _first(
    component: NDArray[np.int32], may_leave: NDArray[np.bool_], source: Hashes, target: Hashes, most: int, seed: int
) -> Rows:
    """The first components of those that may leave, in an order that depends on contents and seed alone.

    As every component has a pair, as many of them as twice the pairs that are wanted and one are enough to choose from.
    """
    last = np.iinfo(np.uint64).max
    key = np.full(len(may_leave), last, np.uint64)
    for block in _blocks(len(component)):
        np.minimum.at(key, component[block], _mix(_mix(source[block], seed) ^ target[block], seed))
    key[~may_leave] = last
    chosen = np.arange(len(key)) if len(key) <= most else np.argpartition(key, most - 1)[:most]
    chosen = chosen[may_leave[chosen]]
    return chosen[np.argsort(key[chosen])]


def components(source_hash: Hashes, target_hash: Hashes) -> NDArray[np.int32]:
    """For each pair the number of its component: two pairs that share a source or a target have the same one."""
    source, target = _numbered(source_hash), _numbered(target_hash)
    target += source.max() + 1
    root = np.arange(target.max() + 1, dtype=np.int32)
    left, right = source, target
    while len(left):
        for block in _blocks(len(left)):
            np.minimum.at(root, np.maximum(left[block], right[block]), np.minimum(left[block], right[block]))
        _flatten(root)
        left, right = _looked_up(root, left), _looked_up(root, right)
        apart = left != right
        left, right = left[apart], right[apart]
    return _looked_up(root, source)


def _numbered(hashes: Hashes) -> NDArray[np.int32]:
    """The distinct hashes numbered in their order, and the number of each row's."""
    order = np.argsort(hashes)
    is_new = np.zeros(len(hashes), bool)
    for block in _blocks(len(hashes) - 1):
        following = slice(block.start + 1, block.stop + 1)
        is_new[following] = hashes[order[following]] != hashes[order[block]]
    number = np.empty(len(hashes), np.int32)
    number[order] = np.cumsum(is_new, dtype=np.int32)
    return number


def _flatten(root: NDArray[np.int32]) -> None:
    """Make every node point to the root of its tree."""
    flat = False
    while not flat:
        flat = True
        for block in _blocks(len(root)):
            above = root[root[block]]
            flat = flat and np.array_equal(above, root[block])
            root[block] = above


def _looked_up(root: NDArray[np.int32], node: NDArray[np.int32]) -> NDArray[np.int32]:
    return np.concatenate([node[:0], *(root[node[block]] for block in _blocks(len(node)))])


def _blocks(length: int) -> Iterator[slice]:
    """Parts of an array, as numpy makes 64-bit copies of whatever it is indexed with."""
    return (slice(start, min(start + _BLOCK, length)) for start in range(0, length, _BLOCK))


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
