"""Greedy search with a draft of each answer: all its tokens are checked at once in place of one after another.

A draft is the answer if greedy search would have chosen each of its tokens, and where it would have ended before them;
any other is left to greedy search itself. (Stern et al. 2018, section 3, predict, verify and accept the beginning that
is right, and go on from there; to mend drafts and try again gained nothing here.) The answers are those of greedy
search, however bad the drafts, save that a model rounds a whole target otherwise than its steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from seqsmith.batch import exact
from seqsmith.search.answer import Answer, divisors
from seqsmith.search.rules import answer_only
from seqsmith.special import END

_MOST_NUMBERS = 2**21  # of a tensor that one check makes

Follow = Callable[[list[list[int]], list[int]], Tensor]
"""What may follow each prefix of some targets with their END: the targets and the source of each -> logit_PV."""

Greedy = Callable[[list[int]], list[list[Answer]]]
"""Greedy search for some of the sources."""


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
    sources = [source for source, draft in enumerate(drafts) if len(draft) < longest[source]]
    most = max((len(drafts[source]) + 1 for source in sources), default=1)
    together = max(1, _MOST_NUMBERS // (width * most))
    for first in range(0, len(sources), together):
        some = sources[first : first + together]
        targets = [[*drafts[source], END] for source in some]
        choices = _choices(follow(targets, some), [len(target) for target in targets], shortest=shortest)
        for source, target, (ids, log_p) in zip(some, targets, choices, strict=True):
            end = next(place for place, id in enumerate(ids) if id == END or id != target[place])
            total = sum(log_p[: end + 1])
            if ids[end] == END and math.isfinite(total):  # if it is not, greedy search knows what to say
                answers[source] = [Answer(ids[:end], total / divisor[end + 1], total, log_p[: end + 1], ended=True)]
    left = [source for source, found in enumerate(answers) if not found]
    for source, found in zip(left, greedy(left) if left else [], strict=True):
        answers[source] = found
    return answers


def _choices(logit_PV: Tensor, lengths: list[int], *, shortest: int) -> Iterator[tuple[list[int], list[float]]]:
    """What greedy search chooses at each place of each target, and the log-probability of that."""
    logit_PV = exact(logit_PV)
    place_P = torch.cat([torch.arange(length) for length in lengths]).to(logit_PV.device)
    allowed_PV = answer_only(logit_PV, length=shortest + 1, shortest=shortest)
    allowed_PV[:, END].masked_fill_(place_P < shortest, -float("inf"))  # and where the answer is too short for it
    best_P, id_P = allowed_PV.max(1)  # the first of equals
    log_p_P = best_P.double() - logit_PV.logsumexp(1)
    for id_T, log_p_T in zip(torch.split(id_P, lengths), torch.split(log_p_P, lengths), strict=True):
        yield id_T.tolist(), log_p_T.tolist()
