"""Shortlists hold what they must, survive the disk, and are as long as the answers to dev need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.test_lexicon import columns
from seqsmith.search.shortlist import Reach, Shortlist, learn_shortlist, reach

SIZE = 1000
IMAGE = np.random.default_rng(1).permutation(np.arange(4, SIZE))


def pairs(count: int) -> list[tuple[list[int], list[int]]]:
    """Rare ids have rare images: the lower an id the more frequent it is."""
    chance = np.random.default_rng(2)
    sources = [np.minimum(4 + chance.exponential(60, 6).astype(int), SIZE - 1) for _ in range(count)]
    return [(source.tolist(), IMAGE[source - 4].tolist()) for source in sources]


@pytest.fixture
def learnt(tmp_path: Path) -> tuple[Shortlist, Reach]:
    return learn(tmp_path)


def learn(folder: Path, **changes: Any) -> tuple[Shortlist, Reach]:
    dev = pairs(50)
    options: dict[str, Any] = {
        "target_of_source": [*range(4), *[1] * (SIZE - 5), 999],
        "target_size": SIZE,
        "dev": [[*source, 3] for source, _ in dev],
        "answers": [[*target, 3] for _, target in dev],
    }
    return learn_shortlist(*columns(folder, pairs(2000)), **options | changes)


def test_it_holds_what_is_likely_frequent_or_looks_the_same(learnt: tuple[Shortlist, Reach]) -> None:
    shortlist, reached = learnt
    assert reached.answers >= 0.99
    listed = shortlist.listed([[4, 999, 3]])
    assert listed.id_U[:4].tolist() == [0, 1, 2, 3]
    assert {int(IMAGE[0]), int(IMAGE[1]), 999} <= set(listed.id_U.tolist())
    assert len(listed.id_U) < SIZE / 2
    assert (np.diff(listed.id_U) > 0).all()


def test_neighbours_add_nothing_to_a_source(learnt: tuple[Shortlist, Reach]) -> None:
    shortlist, _ = learnt
    sources = [[300, 3], [4, 5, 3], [500, 600, 3]]
    together = shortlist.listed(sources)
    for source, bias_U in zip(sources, together.bias_BU, strict=True):
        assert set(np.unique(bias_U).tolist()) <= {0.0, -np.inf}
        assert (together.id_U[bias_U == 0] == shortlist.listed([source]).id_U).all()


def test_it_comes_back_as_it_was_written(learnt: tuple[Shortlist, Reach], tmp_path: Path) -> None:
    shortlist, _ = learnt
    shortlist.save(tmp_path / "shortlist.safetensors")
    again = Shortlist.open(tmp_path / "shortlist.safetensors")
    for name in ("start_X", "likely_Y", "always_V"):
        assert np.array_equal(getattr(again, name), getattr(shortlist, name))
        assert getattr(again, name).dtype == getattr(shortlist, name).dtype


def test_it_is_as_long_as_the_answers_need_and_no_longer_than_is_worth_it(tmp_path: Path) -> None:
    easy = learn(tmp_path, answers=[[3]] * 50)[1]
    hard = learn(tmp_path, answers=[list(range(4, SIZE))] * 50)[1]
    assert easy.answers == 1.0
    assert hard.answers == 0.0
    assert hard.length >= easy.length


def test_reach_counts_what_lists_hold_whole(learnt: tuple[Shortlist, Reach]) -> None:
    shortlist, _ = learnt
    own = shortlist.listed([[4, 3]]).id_U.tolist()
    other = next(number for number in range(SIZE) if number not in own)
    assert reach(shortlist, [[4, 3], [4, 3]], [own, [*own, other]]) == Reach(len(own), 0.5)
