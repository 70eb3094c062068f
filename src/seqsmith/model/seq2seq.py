"""The model: any encoder and any decoder behind three verbs, `encode`, `forward` and `step`.

`forward` over a whole target equals `step` token by token; that law holds for every kind.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Protocol

from torch import Tensor, nn

from seqsmith.batch import Aligned, Batch, Output, Source, State, Step, Tokens, exact
from seqsmith.model.inlet import TokenInlet
from seqsmith.model.memory import Decoded, Memory
from seqsmith.model.outlet import CopyOutlet, NarrowOutlet, VocabularyOutlet


class SourceInlet(Protocol):
    """Any module that turns a source into x_BSD and valid_BS; it may make S shorter."""

    def enter(self, source: Source) -> tuple[Tensor, Tensor]: ...


class Encoder(Protocol):
    """Any module that turns x_BSD with its padding into a Memory."""

    def __call__(self, x_BSD: Tensor, valid_BS: Tensor) -> Memory: ...


class Decoder(Protocol):
    """Any module that decodes a whole target in one call, or step by step from `start`; it must tell where it looks
    only if it is asked for its attention."""

    def __call__(self, x_BTD: Tensor, memory: Memory, *, attention: bool = ...) -> Decoded: ...
    def look(self, memory: Memory) -> Any: ...
    def start(self, memory: Memory) -> Any: ...
    def step(self, x_ND: Tensor, row: Any, source: Any, *, attention: bool = ...) -> tuple[Decoded, Any]: ...


class Seq2Seq(nn.Module):
    """An encoder-decoder; with a CTC head on the encoder as well, if it is given one."""

    source_inlet: SourceInlet
    encoder: Encoder
    decoder: Decoder

    def __init__(
        self,
        *,
        source_inlet: nn.Module,
        encoder: nn.Module,
        target_inlet: TokenInlet,
        decoder: nn.Module,
        outlet: VocabularyOutlet | CopyOutlet,
        ctc: VocabularyOutlet | None = None,
    ):
        super().__init__()
        self.source_inlet = source_inlet  # type: ignore[assignment]  # a module that is a SourceInlet
        self.encoder = encoder
        self.target_inlet = target_inlet
        self.decoder = decoder  # type: ignore[assignment]  # a module that is a Decoder
        self.outlet = outlet
        self.ctc = ctc

    def encode(self, source: Source) -> Memory:
        """What the decoder looks at."""
        return self.encoder(*self.source_inlet.enter(source))

    def forward(self, batch: Batch, previous_BT: Tensor | None = None, *, attention: bool = False) -> Output:
        """What the model says at each real target position, and where it looks there, if that is asked for.

        The decoder is fed the target itself, one step late; `previous_BT` feeds it something else.
        """
        assert batch.target is not None
        memory = self.encode(batch.source)
        decoded = self._decode(batch.target, memory, previous_BT, attention=attention or self._points)
        position_P = batch.target.position_P
        y_PD = decoded.y_BTD.flatten(0, 1)[position_P]
        attention_PS = None if decoded.attention_BTS is None else decoded.attention_BTS.flatten(0, 1)[position_P]
        row_P = position_P // batch.target.id_BL.shape[1]
        scores = self.outlet(y_PD, attention_PS, self._pointed_at(batch.source, row_P))
        return Output(scores, attention_PS, self.align(memory))

    def following(self, target: Tokens, memory: Memory) -> Tensor:
        """What `step` would say at each real target position, from a memory of the sources -> logit_PV."""
        assert isinstance(self.outlet, VocabularyOutlet), "what is copied is told by the source"
        y_BTD = self._decode(target, memory, None, attention=False).y_BTD
        logit_PV: Tensor = self.outlet(y_BTD.flatten(0, 1)[target.position_P]).logits()
        return logit_PV

    def attention(self, batch: Batch) -> Tensor:
        """Where the decoder looks while it is fed the target -> attention_BTS."""
        assert batch.target is not None
        attention_BTS = self._decode(batch.target, self.encode(batch.source), None, attention=True).attention_BTS
        assert attention_BTS is not None
        return attention_BTS

    def align(self, memory: Memory) -> Aligned | None:
        """What the CTC head says; None where there is none."""
        if self.ctc is None:
            return None
        return Aligned(self.ctc(memory.x_BSD[memory.valid_BS]), memory.valid_BS.sum(1))

    def ctc_log_p(self, memory: Memory) -> Tensor:
        """The CTC head's log-probabilities at each encoder step, padding included -> log_p_BSV."""
        assert self.ctc is not None
        log_p_PV: Tensor = exact(self.ctc(memory.x_BSD.flatten(0, 1)).logits()).log_softmax(-1)
        return log_p_PV.view(*memory.valid_BS.shape, -1)

    @property
    def _points(self) -> bool:
        """Whether the outlet copies what the attention looks at."""
        return isinstance(self.outlet, CopyOutlet)

    def _decode(self, target: Tokens, memory: Memory, previous_BT: Tensor | None, *, attention: bool) -> Decoded:
        previous_BT = target.previous() if previous_BT is None else previous_BT
        return self.decoder(self.target_inlet(previous_BT), memory, attention=attention)

    def _pointed_at(self, source: Source, row_P: Tensor) -> Tensor | None:
        """The source ids beside each position, for the outlet that copies -> id_PS."""
        if not self._points:
            return None
        assert isinstance(source, Tokens)
        return source.id_BL[row_P]

    def start(self, source: Source) -> State:
        """The state that `step` takes first: one row a source."""
        return self.started(source, self.encode(source))

    def started(self, source: Source, memory: Memory) -> State:
        """The same of a source that is encoded already."""
        shared = {"decoder": self.decoder.look(memory)}
        if isinstance(self.outlet, CopyOutlet):
            assert isinstance(source, Tokens)
            shared["id_BS"] = source.id_BL
        return State(self.decoder.start(memory), shared)

    def step(self, id_N: Tensor, state: State) -> tuple[Tensor, State]:
        """Take in one token for each row -> (logit_NV, state)."""
        return self._step(self.outlet, id_N, state)

    def narrowed(self, id_U: Tensor) -> Step:
        """A `step` that gives the logits of these ids alone, in their order."""
        assert isinstance(self.outlet, VocabularyOutlet), "what is copied may be any id"
        return partial(self._step, self.outlet.narrowed(id_U))

    def _step(
        self, outlet: VocabularyOutlet | CopyOutlet | NarrowOutlet, id_N: Tensor, state: State
    ) -> tuple[Tensor, State]:
        x, looked_at = self.target_inlet(id_N), state.source["decoder"]
        decoded, row = self.decoder.step(x, state.row, looked_at, attention=self._points)
        y_ND, attention_NS = decoded.y_BTD.flatten(0, 1), None
        if decoded.attention_BTS is not None:
            attention_NS = decoded.attention_BTS.flatten(0, 1)
        id_BS = state.source.get("id_BS")
        if id_BS is not None:
            id_BS = id_BS.repeat_interleave(len(id_N) // len(id_BS), 0)
        scores = outlet(y_ND, attention_NS, id_BS)
        return scores.logits(), State(row, state.source)
