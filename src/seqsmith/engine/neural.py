"""A trained model as a language model: where all sources of its training were the same, it knows of texts alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from seqsmith.batch import State, exact, tokens
from seqsmith.model.seq2seq import Seq2Seq
from seqsmith.special import UNKNOWN


@dataclass(frozen=True)
class NeuralLanguageModel:
    """Scores the V ids of another model's target vocabulary."""

    model: Seq2Seq
    source: Sequence[int]  # the one that it knows
    own_id_V: Tensor  # its own id for each, UNKNOWN where it has none

    def start(self, sources: int) -> State:
        """The state before the first token of so many sources."""
        return self.model.start(tokens([self.source] * sources).to(self.own_id_V.device))

    def step(self, id_N: Tensor, state: State) -> tuple[Tensor, State]:
        """Take in one token for each row -> (log_p_NV, state)."""
        logit_NX, state = self.model.step(self.own_id_V[id_N.where(id_N < len(self.own_id_V), UNKNOWN)], state)
        return exact(logit_NX).log_softmax(1)[:, self.own_id_V], state
