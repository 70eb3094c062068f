"""The search among the ids of shortlists: `shortlist` says which these are, and no search knows of it.

Ids keep their order and the specials their places, so that a search that is given so many logits runs as it always
does; what it finds is turned into the ids of the whole vocabulary.

Axes: U the ids of a batch's shortlists.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from seqsmith.batch import State, Step
from seqsmith.search.answer import Answer


def listed_step(step: Step, id_U: Tensor) -> Step:
    """A step of a search among `id_U`, whose state is `listed_state`; `step` takes ids and gives their logits."""

    def among(index_N: Tensor, state: State) -> tuple[Tensor, State]:
        inner, bias_BU = state.source
        logit_NU, after = step(id_U[index_N], State(state.row, inner))
        logit_NU = logit_NU + bias_BU.repeat_interleave(len(index_N) // len(bias_BU), 0)
        return logit_NU, State(after.row, (after.source, bias_BU))

    return among


def listed_state(state: State, bias_BU: Tensor) -> State:
    """The first state: -inf is added to the logits of what a source does not list."""
    return State(state.row, (state.source, bias_BU))


def unlisted(answers: Sequence[Sequence[Answer]], id_U: Sequence[int]) -> list[list[Answer]]:
    """The answers in ids of the whole vocabulary."""
    return [[replace(each, ids=[id_U[index] for index in each.ids]) for each in several] for several in answers]
