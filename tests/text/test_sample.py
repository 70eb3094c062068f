"""Laws of subword regularisation: the draws follow the papers' distributions, worked out in full on small words."""

import math
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from random import Random

import pytest

from seqsmith.text.sample import ALPHA, BpeSampler, Pieces, UnigramSampler, drops, merge

DRAWS = 10_000
SCORES = {"a": -3.0, "b": -3.5, "c": -4.0, "ab": -2.0, "bc": -2.5, "abc": -1.5, "ca": -5.0}
RANKS = {"ab": -1.0, "bc": -2.0, "abc": -3.0, "cab": -4.0, "aa": -5.0, "a": -6.0, "b": -7.0, "c": -8.0}


def numbered(score_of: dict[str, float]) -> Pieces:
    return Pieces({piece: number for number, piece in enumerate(score_of, 260)}, score_of)


def segmentations(word: str) -> list[tuple[str, ...]]:
    if not word:
        return [()]
    starts = [word[:k] for k in range(1, len(word) + 1) if word[:k] in SCORES]
    return [(piece, *rest) for piece in starts for rest in segmentations(word[len(piece) :])]


def dropout(symbols: tuple[str, ...], rate: float) -> dict[tuple[str, ...], float]:
    """Algorithm 1 of Provilkov et al. (2020) on all its paths: what is left in the end, and its probability."""
    places = [k for k, pair in enumerate(pairwise(symbols)) if "".join(pair) in RANKS]
    places.sort(key=lambda k: -RANKS[symbols[k] + symbols[k + 1]])  # stable: the leftmost of equals first
    outcome = {symbols: rate ** len(places)}
    for dropped, k in enumerate(places):
        merged = (*symbols[:k], symbols[k] + symbols[k + 1], *symbols[k + 2 :])
        for end, probability in dropout(merged, rate).items():
            outcome[end] = outcome.get(end, 0.0) + rate**dropped * (1 - rate) * probability
    return outcome


def assert_close(counts: Counter[tuple[int, ...]], expected: Mapping[tuple[int, ...], float]) -> None:
    assert sum(expected.values()) == pytest.approx(1.0)
    assert set(counts) <= set(expected)
    for outcome, probability in expected.items():
        spread = math.sqrt(probability * (1 - probability) / DRAWS)
        assert abs(counts[outcome] / DRAWS - probability) < 5 * spread + 1e-9


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_unigram_draws_each_segmentation_with_its_probability(seed: int) -> None:
    rate, word, pieces = 0.7, "abcabc", numbered(SCORES)
    sampler, random = UnigramSampler(pieces, rate), Random(seed)
    weights = {cut: math.exp(ALPHA * sum(SCORES[piece] for piece in cut)) for cut in segmentations(word)}
    best = max(weights, key=weights.__getitem__)
    expected = {
        tuple(pieces.id_of[piece] for piece in cut): rate * weight / sum(weights.values()) + (1 - rate) * (cut == best)
        for cut, weight in weights.items()
    }
    assert_close(Counter(tuple(sampler.cut(word, random)) for _ in range(DRAWS)), expected)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("word", ["abcab", "aaabc", "cabcab"])
def test_bpe_drops_merges_as_the_paper_does(word: str, rate: float) -> None:
    pieces = numbered(RANKS)
    sampler, random = BpeSampler(pieces, rate), Random(7)
    expected = {
        tuple(pieces.id_of[symbol] for symbol in cut): probability
        for cut, probability in dropout(tuple(word), rate).items()
    }
    assert_close(Counter(tuple(sampler.cut(word, random)) for _ in range(DRAWS)), expected)


def test_dropping_nothing_merges_the_best_pair_first_and_the_leftmost_of_equals() -> None:
    assert merge("aaabc", RANKS, drops(0.0, Random(0))) == ["aa", "abc"]
    assert merge("", RANKS, drops(0.0, Random(0))) == []
    assert merge("xyz", RANKS, drops(0.0, Random(0))) == ["x", "y", "z"]


def test_a_character_without_piece_is_spelt_in_bytes() -> None:
    ids = [4 + byte for byte in "é".encode()]
    assert UnigramSampler(numbered(SCORES), 0.9).cut("é", Random(1)) == ids
    assert BpeSampler(numbered(RANKS), 0.9).cut("é", Random(1)) == ids


def test_a_long_word_takes_no_quadratic_time() -> None:
    word = "abc" * 20_000
    for sampler in (UnigramSampler(numbered(SCORES), 0.5), BpeSampler(numbered(RANKS), 0.5)):
        assert len(sampler.cut(word, Random(1))) > 20_000
