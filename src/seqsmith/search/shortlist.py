"""A shortlist of the target vocabulary for each source, so that a step makes few logits in place of all.

What is on it: the likely target ids of the source's own ids (Jean et al. 2015, section 3.3, here by `data/lexicon`),
what looks the same on both sides, so that names can be copied, and the most frequent target ids whatever the source is.
The shortlists of a batch are united, for its logits come from one product; `bias_BU` takes from each source what only
its neighbours brought, so that no answer depends on these.

Axes: U the ids of a batch's shortlists, I source ids, X these and one more, Y likely target ids, Z source
ids with a likeness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from seqsmith.data.lexicon import Lexicon, learn_lexicon
from seqsmith.data.ragged import Ragged
from seqsmith.special import END

SMALLEST = 2_000
"""Target ids. Where there are fewer, all logits cost little."""

_LIKELY = 20  # ids of each source id
_FREQUENT = (200, 500, 1000, 1500, 2000, 3000, 4000, 6000, 8000)
_ENOUGH = 0.99  # of the answers to dev, which the shortlists should hold whole
_AT_ONCE = 1_000_000  # target ids that are counted together
_LARGEST = 0.25  # of the vocabulary; a longer list is hardly faster than all of it


@dataclass(frozen=True, eq=False)
class Listed:
    """The target ids that a batch is answered with, in their order; those of no use to a source weigh -inf for it.

    The specials are always there and come first, so that they have their own ids among these too.
    """

    id_U: NDArray[np.int64]
    bias_BU: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Shortlist:
    """For each source id its likely target ids, and those that are always allowed."""

    start_X: NDArray[np.int64]  # where the ids of each source id start, and the end of the last
    likely_Y: NDArray[np.int32]
    always_V: NDArray[np.bool_]

    @classmethod
    def open(cls, path: Path) -> Self:
        arrays = load_file(path)
        return cls(arrays["start"], arrays["likely"], arrays["always"])

    def save(self, path: Path) -> None:
        save_file({"start": self.start_X, "likely": self.likely_Y, "always": self.always_V}, path)

    def likely(self, source_id: int) -> NDArray[np.int32]:
        """The likely target ids of one source id."""
        return self.likely_Y[self.start_X[source_id] : self.start_X[source_id + 1]]

    def listed(self, sources: Sequence[Any]) -> Listed:
        """What the sources of a batch are answered with."""
        keep_BV = np.repeat(self.always_V[None], len(sources), 0)
        for keep_V, source in zip(keep_BV, sources, strict=True):
            keep_V[np.concatenate([self.likely(source_id) for source_id in source])] = True
        id_U = np.flatnonzero(keep_BV.any(0))
        return Listed(id_U, np.where(keep_BV[:, id_U], np.float32(0), np.float32(-np.inf)))


@dataclass(frozen=True)
class Reach:
    """What shortlists of some sources are like: their mean length, and the share of answers that they hold whole."""

    length: float
    answers: float


def reach(shortlist: Shortlist, sources: Sequence[Any], answers: Sequence[Sequence[int]]) -> Reach:
    """How far a shortlist goes for sources whose answers are known."""
    lists = [shortlist.listed([source]).id_U for source in sources]
    whole = [bool(np.isin(answer, id_U).all()) for answer, id_U in zip(answers, lists, strict=True)]
    return Reach(float(np.mean([len(id_U) for id_U in lists])), float(np.mean(whole)))


def learn_shortlist(
    source: Ragged,
    target: Ragged,
    *,
    target_of_source: Sequence[int],
    target_size: int,
    dev: Sequence[Any],
    answers: Sequence[Sequence[int]],
) -> tuple[Shortlist, Reach]:
    """From pairs of ids, each ended by END: the shortest lists that hold nearly all `answers` of the model to `dev`, or
    the longest that are worth having. `target_of_source` has for each source id the target id that looks the same, or
    a special one."""
    lexicon = learn_lexicon(source, target)
    count_V = np.zeros(target_size, np.int64)
    for start in range(0, len(target.value), _AT_ONCE):  # as each is made an id of 64 bits
        count_V += np.bincount(target.value[start : start + _AT_ONCE], minlength=target_size)
    common = np.argsort(-count_V, kind="stable")
    found: tuple[Shortlist, Reach] | None = None
    for frequent in _FREQUENT:
        always_V = np.zeros(target_size, bool)
        always_V[common[:frequent]] = True
        always_V[: END + 1] = True
        shortlist = _shortlist(lexicon, always_V, np.array(target_of_source))
        reached = reach(shortlist, dev, answers)
        if found is not None and reached.length > _LARGEST * target_size:
            break
        found = shortlist, reached
        if reached.answers >= _ENOUGH:
            break
    assert found is not None
    return found


def _shortlist(lexicon: Lexicon, always_V: NDArray[np.bool_], same_I: NDArray[np.int64]) -> Shortlist:
    source_Y, likely_Y = lexicon.best(_LIKELY, beside_V=always_V)
    named_Z = np.flatnonzero(~always_V[same_I])
    source_Y, likely_Y = np.append(source_Y, named_Z), np.append(likely_Y, same_I[named_Z])
    order_Y = np.lexsort((likely_Y, source_Y))
    start_X = np.searchsorted(source_Y[order_Y], np.arange(len(same_I) + 1))
    return Shortlist(start_X, likely_Y[order_Y].astype(np.int32), always_V)
