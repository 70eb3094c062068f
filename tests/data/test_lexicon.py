"""The lexicon is that of the plain loops of the paper, and finds a dictionary that pairs were written with."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqsmith.data import lexicon
from seqsmith.data.lexicon import Lexicon, learn_lexicon
from seqsmith.data.ragged import Ragged, RaggedWriter

END = 3
Pairs = list[tuple[list[int], list[int]]]

ids = st.lists(st.integers(4, 8), max_size=4)


def columns(folder: Path, pairs: Pairs) -> tuple[Ragged, Ragged]:
    """Sources and targets on disk, each with its END."""
    for side, name in enumerate(("source", "target")):
        with RaggedWriter(folder, name, np.uint16) as writer:
            writer.append(Ragged.of([[*pair[side], END] for pair in pairs]))
    return Ragged.open(folder, "source"), Ragged.open(folder, "target")


def learn(pairs: Pairs, **options: int) -> Lexicon:
    with TemporaryDirectory() as folder:
        return learn_lexicon(*columns(Path(folder), pairs), **options)


def textbook(pairs: Pairs, rounds: int) -> dict[tuple[int, int], float]:
    """Figure 4.3 of Koehn (2010), Statistical Machine Translation; the source's END is the empty word."""
    chance = {(s, t): 1.0 for source, target in pairs for s in [*source, END] for t in target}
    for _ in range(rounds):
        count: dict[tuple[int, int], float] = defaultdict(float)
        total: dict[int, float] = defaultdict(float)
        for source, target in pairs:
            for t in target:
                everyone = sum(chance[s, t] for s in [*source, END])
                for s in [*source, END]:
                    count[s, t] += chance[s, t] / everyone
                    total[s] += chance[s, t] / everyone
        chance = {(s, t): count[s, t] / total[s] for s, t in chance}
    return chance


@settings(max_examples=60)
@given(pairs=st.lists(st.tuples(ids, ids), min_size=1, max_size=6))
def test_it_is_the_lexicon_of_plain_loops(pairs: Pairs) -> None:
    found = learn(pairs)
    rows = zip(found.source_Y.tolist(), found.target_Y.tolist(), found.probability_Y.tolist(), strict=True)
    expected = textbook(pairs, lexicon._ROUNDS)
    assert {(s, t): p for s, t, p in rows} == pytest.approx(expected, rel=1e-4, abs=1e-6)


@settings(max_examples=60)
@given(pairs=st.lists(st.tuples(ids, ids), min_size=1, max_size=6))
def test_the_likeliest_come_first_within_each_source_id(pairs: Pairs) -> None:
    found = learn(pairs)
    order = list(zip(found.source_Y.tolist(), (-found.probability_Y).tolist(), strict=True))
    assert order == sorted(order)
    some_V = np.arange(9) % 2 == 0
    source_Y, target_Y = found.best(1, beside_V=some_V)
    assert all(one < other for one, other in pairwise(source_Y.tolist()))
    assert (target_Y % 2 == 1).all()


def test_it_finds_the_dictionary_that_pairs_were_written_with() -> None:
    chance = np.random.default_rng(1)
    image = chance.permutation(np.arange(4, 44))
    pairs = []
    for _ in range(300):
        source = chance.integers(4, 44, 6)
        pairs.append((source.tolist(), chance.permutation(image[source - 4]).tolist()))
    found = learn(pairs)
    source_Y, target_Y = found.best(1, beside_V=np.zeros(44, bool))
    said = dict(zip(source_Y.tolist(), target_Y.tolist(), strict=True))
    assert all(said[source] == image[source - 4] for source in range(4, 44))


def test_a_corpus_too_large_is_drawn_from_evenly() -> None:
    pairs: Pairs = [([4 + number], [5 + number]) for number in range(8)]
    found = learn(pairs, most_cells=8)  # each pair has two: its source id or END, beside its target id
    assert sorted(set(found.source_Y.tolist())) == [END, 4, 6, 8, 10]


def test_targets_without_a_token_teach_nothing() -> None:
    assert len(learn([([4, 5], []), ([], [])]).source_Y) == 0
