"""Subword regularisation: cut a word now this way, now that, so that a model learns its pieces in many company.

Two methods, for the two algorithms that learn the pieces. The setting `sampling` is a rate in [0, 1):
- unigram (Kudo 2018, section 3.3): each word is, with probability `sampling`, cut anew; the cut is drawn from all its
  segmentations with P(segmentation) ** ALPHA (the paper's l = infinity) by forward filtering and backward sampling
  (Scott 2002). The other words keep their best segmentation.
- bpe (Provilkov et al. 2020, algorithm 1): at each step of the merging each possible merge is dropped with probability
  `sampling`, and the best one left is done; when all are dropped the word is ready.

Rate 0 is the plain segmentation. Differs from sentencepiece's own sampling, which draws from a generator that belongs
to the thread and cannot be seeded again: here the draw is a pure function of word and generator.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, chain
from random import Random
from typing import Protocol

from seqsmith.special import SPECIALS

FIRST_BYTE = len(SPECIALS)  # the 256 pieces of byte fallback follow the special ids
ALPHA = 0.2  # 0 draws all segmentations alike, 1 as the language model has it
REMEMBERED_WORDS = 16_384  # about 40 MB; more than nine in ten running words are among them
UNKNOWN_PENALTY = 10.0  # sentencepiece's: a character without piece costs this more than the worst piece


@dataclass(frozen=True)
class Pieces:
    """What sentencepiece learnt: id and score (log probability, or minus the rank of a merge) of each piece."""

    id_of: Mapping[str, int]
    score_of: Mapping[str, float]

    def spell(self, symbol: str) -> tuple[int, ...]:
        """The id of the piece, or else the ids of its bytes."""
        if (known := self.id_of.get(symbol)) is not None:
            return (known,)
        return tuple(FIRST_BYTE + byte for byte in symbol.encode("utf-8"))


class Sampler(Protocol):
    def cut(self, word: str, random: Random) -> list[int]:
        """The ids of one segmentation of the word, drawn with `random`."""


@dataclass(frozen=True)
class _Arrivals:
    """The pieces that end at one place of a word: where each starts, its ids, and the chance that it is drawn."""

    start: list[int]
    ids: list[tuple[int, ...]]
    cumulative: list[float]  # without the last, which is 1
    best: int  # the one on the best path


class UnigramSampler:
    """Cuts a share of the words anew, drawn from all their segmentations."""

    def __init__(self, pieces: Pieces, rate: float) -> None:
        self._pieces = pieces
        self._rate = rate
        self._longest = max(map(len, pieces.score_of), default=1)
        self._unknown_score = min(pieces.score_of.values(), default=0.0) - UNKNOWN_PENALTY
        self._lattice = lru_cache(REMEMBERED_WORDS)(self._arrivals)

    def cut(self, word: str, random: Random) -> list[int]:
        lattice = self._lattice(word)
        anew = random.random() < self._rate
        backwards: list[tuple[int, ...]] = []
        place = len(word)
        while place:
            arrivals = lattice[place - 1]
            chosen = bisect(arrivals.cumulative, random.random()) if anew else arrivals.best
            backwards.append(arrivals.ids[chosen])
            place = arrivals.start[chosen]
        return [number for ids in reversed(backwards) for number in ids]

    def _arrivals(self, word: str) -> list[_Arrivals]:
        """For each place from 1 on, what may end there: the forward pass, over all paths and for the best."""
        lattice: list[_Arrivals] = []
        mass, best = [0.0], [0.0]  # log of the sum over all paths to a place, with ALPHA; score of the best path
        for end in range(1, len(word) + 1):
            found = self._ending_at(word, end)
            start = [place for place, _, _ in found]
            scores = [best[place] + score for place, _, score in found]
            logs = [mass[place] + ALPHA * score for place, _, score in found]
            top = max(logs)
            weights = [math.exp(log - top) for log in logs]
            total = sum(weights)
            cumulative = [share / total for share in accumulate(weights[:-1])]
            chosen = max(range(len(scores)), key=scores.__getitem__)
            lattice.append(_Arrivals(start, [ids for _, ids, _ in found], cumulative, chosen))
            mass.append(top + math.log(total))
            best.append(scores[chosen])
        return lattice

    def _ending_at(self, word: str, end: int) -> list[tuple[int, tuple[int, ...], float]]:
        """(start, ids, score) of each piece that ends here; a character without piece is spelt in bytes."""
        found = []
        for start in range(max(0, end - self._longest), end):
            symbol = word[start:end]
            score = self._pieces.score_of.get(symbol)
            if score is not None:
                found.append((start, self._pieces.spell(symbol), score))
            elif start == end - 1:
                found.append((start, self._pieces.spell(symbol), self._unknown_score))
        return found


class BpeSampler:
    """Drops merges. A word whose first drop would come after its last merge is cut as ever, from memory."""

    def __init__(self, pieces: Pieces, rate: float) -> None:
        self._pieces = pieces
        self._rate = rate
        self._plain = lru_cache(REMEMBERED_WORDS)(self._without_drops)

    def cut(self, word: str, random: Random) -> list[int]:
        merges, ids = self._plain(word)
        gaps = drops(self._rate, random)
        first = next(gaps)
        if first >= merges:
            return ids
        return self._spell(merge(word, self._pieces.score_of, chain((first,), gaps)))

    def _without_drops(self, word: str) -> tuple[int, list[int]]:
        symbols = merge(word, self._pieces.score_of, drops(0.0, Random(0)))
        return len(word) - len(symbols), self._spell(symbols)

    def _spell(self, symbols: list[str]) -> list[int]:
        return [number for symbol in symbols for number in self._pieces.spell(symbol)]


def drops(rate: float, random: Random) -> Iterator[float]:
    """How many candidates are done before each next drop, where each is dropped with probability `rate`: geometric."""
    kept = math.log1p(-rate)
    while True:
        yield math.log(1.0 - random.random()) // kept if kept else math.inf


def merge(word: str, score_of: Mapping[str, float], gaps: Iterator[float]) -> list[str]:
    """Byte-pair encoding with dropout: the symbols left when no merge is left, or all are dropped at once.

    The candidates come from a heap, best first (equal ones: leftmost), and each is dropped or done, as `gaps` says
    (see `drops`); the dropped come back once a merge was done. That draws from the same distribution as dropping among
    all candidates at every step.
    """
    symbol = list(word)
    left = list(range(-1, len(word) - 1))
    right = list(range(1, len(word) + 1))
    heap: list[tuple[float, int, int]] = []  # minus score, where it starts, length of the merged symbol

    def propose(start: int) -> None:
        if start >= 0 and right[start] < len(symbol):
            merged = symbol[start] + symbol[right[start]]
            if (score := score_of.get(merged)) is not None:
                heapq.heappush(heap, (-score, start, len(merged)))

    for start in range(len(word) - 1):
        propose(start)
    dropped: list[tuple[float, int, int]] = []
    gap = next(gaps)
    while heap:
        candidate = heapq.heappop(heap)
        _, start, length = candidate
        after = right[start]
        if not symbol[start] or after == len(symbol) or len(symbol[start]) + len(symbol[after]) != length:
            continue  # one of the two has been merged with another since
        if gap == 0:
            dropped.append(candidate)
            gap = next(gaps)
            continue
        gap -= 1
        symbol[start] += symbol[after]
        symbol[after] = ""
        right[start] = right[after]
        if right[start] < len(symbol):
            left[right[start]] = start
        for candidate in dropped:
            heapq.heappush(heap, candidate)
        dropped.clear()
        propose(left[start])
        propose(start)
    return [piece for piece in symbol if piece]
