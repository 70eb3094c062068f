from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqsmith.data.split import components, default_dev_pairs, hash_texts, split_dev
from seqsmith.errors import UserError

PAIRS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=2, max_size=60)


def _hashes(numbers: list[int]) -> np.ndarray:
    return hash_texts([str(number) for number in numbers])


@given(pairs=PAIRS)
def test_components_equal_a_search_through_the_graph(pairs: list[tuple[int, int]]) -> None:
    found = components(*(_hashes(list(side)) for side in zip(*pairs, strict=True)))
    groups: list[set[int]] = []
    for row, (source, target) in enumerate(pairs):
        touched = [g for g in groups if any(pairs[r][0] == source or pairs[r][1] == target for r in g)]
        groups = [g for g in groups if g not in touched] + [{row}.union(*touched)]
    assert {frozenset(g) for g in groups} == {frozenset(np.flatnonzero(found == c).tolist()) for c in set(found)}


@pytest.mark.parametrize("shape", ["chain", "star", "comb"])
def test_components_of_long_and_wide_graphs_are_whole(shape: str) -> None:
    n = 20_000
    source = {"chain": np.arange(n) // 2, "star": np.zeros(n, int), "comb": np.arange(n)}[shape]
    target = {"chain": (np.arange(n) + 1) // 2, "star": np.arange(n), "comb": np.arange(n) // n}[shape]
    assert len(set(components(source.astype(np.uint64), target.astype(np.uint64)).tolist())) == 1


@given(pairs=PAIRS, count=st.integers(1, 8), seed=st.integers(0, 2**64))
def test_dev_and_train_share_no_source_and_no_target(pairs: list[tuple[int, int]], count: int, seed: int) -> None:
    source, target = (_hashes(list(side)) for side in zip(*pairs, strict=True))
    try:
        train, dev = split_dev(source, target, count, seed)
    except UserError:
        return
    assert sorted([*train, *dev]) == list(range(len(pairs)))
    assert min(len(train), len(dev)) > 0
    for side in (source, target):
        assert not set(side[train]) & set(side[dev])


@given(seed=st.integers(0, 1000), order=st.permutations(range(40)))
def test_the_split_depends_on_the_pairs_and_not_on_their_order(seed: int, order: list[int]) -> None:
    source, target = _hashes([n // 2 for n in range(40)]), _hashes(list(range(40)))
    dev = split_dev(source, target, 4, seed)[1]
    moved = split_dev(source[order], target[order], 4, seed)[1]
    assert set(target[dev]) == set(target[order][moved])


def test_another_seed_gives_another_split() -> None:
    side = _hashes(list(range(1000)))
    first, again, other = (split_dev(side, side, 100, seed)[1].tolist() for seed in (1, 1, 2))
    assert first == again != other
    assert len(first) == len(other) == 100


def test_a_giant_component_stays_in_train() -> None:
    source = _hashes([0] * 500 + list(range(1, 501)))
    target = _hashes(list(range(1000)))
    train, dev = split_dev(source, target, 100, 1)
    assert len(dev) == 100
    assert set(range(500)) <= set(train.tolist())


def test_small_groups_can_leave_even_tiny_data() -> None:
    source, target = _hashes([n // 5 for n in range(20)]), _hashes(list(range(20)))
    assert len(split_dev(source, target, default_dev_pairs(20), 1)[1]) == 5


def test_what_cannot_be_split_is_said_with_the_way_out() -> None:
    one_target = _hashes([7] * 100)
    with pytest.raises(
        UserError, match=r"wanted to split 10 of 100 .* none can leave .* has 100 pairs\)\. Give .*--dev\.$"
    ):
        split_dev(_hashes(list(range(100))), one_target, 10, 1)
    mixed = _hashes([7] * 97 + [1, 2, 3])
    with pytest.raises(UserError, match=r"only 3 can leave .*--dev, or set data\.dev_pairs = 3\.$"):
        split_dev(_hashes(list(range(100))), mixed, 10, 1)
    assert split_dev(_hashes(list(range(100))), mixed, 3, 1)[1].tolist() == [97, 98, 99]


def test_fewer_than_two_pairs_cannot_be_split() -> None:
    with pytest.raises(UserError, match=r"found 1 pair in all, too few .* --dev"):
        default_dev_pairs(1)
    with pytest.raises(UserError, match="found 0 pairs"):
        split_dev(_hashes([]), _hashes([]), 1, 1)


@pytest.mark.parametrize(("pairs", "dev"), [(2, 1), (800, 80), (29_000, 1000), (5_000_000, 1000)])
def test_a_tenth_goes_to_dev_but_no_more_than_1000(pairs: int, dev: int) -> None:
    assert default_dev_pairs(pairs) == dev


def test_a_hash_is_the_first_8_bytes_of_blake2b_on_every_machine() -> None:
    assert hash_texts(["", "ä"]).tolist() == [
        int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") for text in ("", "ä")
    ]
