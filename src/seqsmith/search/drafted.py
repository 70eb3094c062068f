"""Greedy search with a draft of each answer: all its tokens are checked at once in place of one after another.

A draft is right up to the first token that greedy search would not have chosen. That choice is right as well: mended by
it in several ways, the draft is tried again (Stern et al. 2018, section 3: predict, verify, accept). The answers are
those of greedy search, however bad the drafts, save that a model rounds a whole target otherwise than its steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter

import torch
from torch import Tensor

from seqsmith.batch import exact
from seqsmith.search.answer import Answer, divisors
from seqsmith.search.rules import answer_only
from seqsmith.special import END

_ROUNDS = 4  # of checks; what is not found by then is left to greedy search
_MOST_NUMBERS = 2**21  # of a tensor that one check makes

Draft = tuple[int, list[int]]
"""The number of a source, and an answer to it without END."""

Follow = Callable[[list[list[int]], list[int]], Tensor]
"""What may follow each prefix of some targets with their END: the targets and the source of each -> logit_PV."""

Greedy = Callable[[list[int]], list[list[Answer]]]
"""Greedy search for some of the sources."""


@dataclass(frozen=True)
class Checked:
    """How far a draft is what greedy search says."""

    draft: Draft
    right: int  # how many tokens, from the first on, greedy search says too
    id: int  # what greedy search says then: END, or a token that the draft has not
    log_p: list[float]  # of the right tokens and this one


def drafted_search(
    follow: Follow,
    greedy: Greedy,
    drafts: Sequence[list[int]],
    *,
    width: int,
    longest: Sequence[int],
    shortest: int = 0,
    length_penalty: float = 1.0,
    gnmt_penalty: bool = False,
) -> list[list[Answer]]:
    """What `greedy` says to each source, whose answers have at most `longest` tokens with END, from a draft of each.

    `follow` makes tensors of at most `width` numbers for each token.
    """
    divisor = divisors(max(longest, default=0), length_penalty=length_penalty, gnmt_penalty=gnmt_penalty)
    answers: list[list[Answer]] = [[] for _ in drafts]
    tried: list[Draft] = list(enumerate(drafts))
    for _ in range(_ROUNDS):
        best: dict[int, Checked] = {}
        for checked in _checked(follow, tried, width=width, longest=longest, shortest=shortest):
            source, ids = checked.draft
            if checked.id != END:
                best[source] = max(best.get(source, checked), checked, key=attrgetter("right"))
            elif math.isfinite(total := sum(checked.log_p)):  # where it is not, greedy search knows what to say
                score = total / divisor[len(checked.log_p)]
                answers[source] = [Answer(ids[: checked.right], score, total, checked.log_p, ended=True)]
        tried = [draft for source, checked in best.items() if not answers[source] for draft in _mended(checked)]
    left = [source for source, found in enumerate(answers) if not found]
    for source, found in zip(left, greedy(left) if left else [], strict=True):
        answers[source] = found
    return answers


def _checked(
    follow: Follow, drafts: list[Draft], *, width: int, longest: Sequence[int], shortest: int
) -> Iterator[Checked]:
    """Every draft that is no longer than its answer may be."""
    drafts = [(source, ids) for source, ids in drafts if len(ids) < longest[source]]
    most = max((len(ids) + 1 for _, ids in drafts), default=1)
    together = max(1, _MOST_NUMBERS // (width * most))
    for first in range(0, len(drafts), together):
        some = drafts[first : first + together]
        targets = [[*ids, END] for _, ids in some]
        lengths = [len(target) for target in targets]
        logit_PV = exact(follow(targets, [source for source, _ in some]))
        place_P = torch.cat([torch.arange(length) for length in lengths]).to(logit_PV.device)
        allowed_PV = answer_only(logit_PV, length=shortest + 1, shortest=shortest)
        allowed_PV[:, END].masked_fill_(place_P < shortest, -float("inf"))  # and where the answer is too short for it
        best_P, id_P = allowed_PV.max(1)  # the first of equals
        log_p_P = best_P.double() - logit_PV.logsumexp(1)
        choices = zip(torch.split(log_p_P, lengths), torch.split(id_P, lengths), strict=True)
        for draft, target, (log_p_T, id_T) in zip(some, targets, choices, strict=True):
            said = id_T.tolist()
            right = next(place for place, drafted in enumerate(target) if said[place] == END or said[place] != drafted)
            yield Checked(draft, right, said[right], log_p_T[: right + 1].tolist())


def _mended(checked: Checked) -> list[Draft]:
    """The draft with what is said instead: for the token that stood there, before it, and for it and the next."""
    (source, ids), right = checked.draft, checked.right
    rests = dict.fromkeys(min(rest, len(ids)) for rest in (right + 1, right, right + 2))
    return [(source, [*ids[:right], checked.id, *ids[rest:]]) for rest in rests]
