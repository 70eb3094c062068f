"""The model: any encoder and any decoder behind three verbs, `encode`, `forward` and `step`.

`forward` over a whole target equals `step` token by token; that law holds for every kind.
"""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor, nn

from seqsmith.batch import Batch, Projection, Scores, State, Tokens
from seqsmith.model.inlet import TokenInlet
from seqsmith.model.memory import Decoded, Memory
from seqsmith.model.outlet import CopyOutlet, VocabularyOutlet


class Encoder(Protocol):
    """Any module that turns x_BSD with its padding into a Memory."""

    def __call__(self, x_BSD: Tensor, valid_BS: Tensor) -> Memory: ...


class Decoder(Protocol):
    """Any module that decodes a whole target in one call, or step by step from `start`."""

    def __call__(self, x_BTD: Tensor, memory: Memory) -> Decoded: ...
    def look(self, memory: Memory) -> Any: ...
    def start(self, memory: Memory) -> Any: ...
    def step(self, x_ND: Tensor, row: Any, source: Any) -> tuple[Decoded, Any]: ...


class Seq2Seq(nn.Module):
    """An encoder-decoder over tokens."""

    encoder: Encoder
    decoder: Decoder

    def __init__(
        self,
        *,
        source_inlet: TokenInlet,
        encoder: nn.Module,
        target_inlet: TokenInlet,
        decoder: nn.Module,
        outlet: VocabularyOutlet | CopyOutlet,
    ):
        super().__init__()
        self.source_inlet = source_inlet
        self.encoder = encoder
        self.target_inlet = target_inlet
        self.decoder = decoder  # type: ignore[assignment]  # a module that is a Decoder
        self.outlet = outlet

    def encode(self, source: Tokens) -> Memory:
        """What the decoder looks at."""
        return self.encoder(self.source_inlet(source.id_BL), source.valid_BL)

    def forward(self, batch: Batch, previous_BT: Tensor | None = None) -> tuple[Projection | Scores, Tensor]:
        """Scores for each real target position, and the attention there (attention_PS).

        The decoder is fed the target itself, one step late; `previous_BT` feeds it something else.
        """
        assert batch.target is not None
        position_P = batch.target.position_P
        decoded = self._decode(batch, previous_BT)
        y_PD = decoded.y_BTD.flatten(0, 1)[position_P]
        attention_PS = decoded.attention_BTS.flatten(0, 1)[position_P]
        source_of_P = position_P // batch.target.id_BL.shape[1]
        return self.outlet(y_PD, attention_PS, batch.source.id_BL[source_of_P]), attention_PS

    def align(self, batch: Batch) -> Tensor:
        """Where the decoder looks while it is fed the target -> attention_BTS."""
        return self._decode(batch, None).attention_BTS

    def _decode(self, batch: Batch, previous_BT: Tensor | None) -> Decoded:
        assert batch.target is not None
        previous_BT = batch.target.previous() if previous_BT is None else previous_BT
        return self.decoder(self.target_inlet(previous_BT), self.encode(batch.source))

    def start(self, source: Tokens) -> State:
        """The state that `step` takes first: one row a source."""
        memory = self.encode(source)
        shared = {"decoder": self.decoder.look(memory), "id_BS": source.id_BL}
        return State(self.decoder.start(memory), shared)

    def step(self, id_N: Tensor, state: State) -> tuple[Tensor, State]:
        """Take in one token for each row -> (logit_NV, state)."""
        id_BS = state.source["id_BS"]
        decoded, row = self.decoder.step(self.target_inlet(id_N), state.row, state.source["decoder"])
        y_ND, attention_NS = decoded.y_BTD.flatten(0, 1), decoded.attention_BTS.flatten(0, 1)
        width = len(id_N) // len(id_BS)
        scores = self.outlet(y_ND, attention_NS, id_BS if width == 1 else id_BS.repeat_interleave(width, 0))
        return scores.logits(), State(row, state.source)
