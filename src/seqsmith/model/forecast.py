"""The model of series: the encoders and decoders of text, with numbers at both ends.

M neighbouring steps of a series are one step of the model (segments, as in SegRNN, Lin et al. 2023; patches, as in
PatchTST, Nie et al. 2023). A direct decoder is fed what is known of the future and where in it each step stands, and
says the whole horizon in one call; an autoregressive one is fed the numbers before each step as well. For both,
`forward` over a whole horizon equals `step` after `step`.

Axes: I numbers that tell a position.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from seqsmith.batch import SeriesBatch, State, Values, exact
from seqsmith.model.memory import Memory
from seqsmith.model.position import sinusoid
from seqsmith.model.seq2seq import Decoder, Encoder

_POSITION = 16  # numbers that tell a decoder where it stands


class ValueInlet(nn.Module):
    """Numbers of M neighbouring steps, whether each is missing, and what is known of the steps -> x_BSD."""

    def __init__(self, channels: int, known: int, *, patch: int, width: int):
        super().__init__()
        self.patch, self.width = patch, width
        self.linear = nn.Linear(patch * (2 * channels + known), width)

    def enter(self, source: Values) -> tuple[Tensor, Tensor]:
        """-> x_BSD and valid_BS; the steps of the source are a multiple of the patch."""
        missing_BLC = (~source.seen_BLC).to(source.x_BLC.dtype)
        every = torch.cat([source.x_BLC, missing_BLC, source.known_BLE], dim=-1)
        x_BSD: Tensor = self.linear(torch.unflatten(every, 1, (-1, self.patch)).flatten(2))
        return x_BSD, torch.unflatten(source.valid_BL, 1, (-1, self.patch)).any(2)


class FutureInlet(nn.Module):
    """What a decoder is fed: what is known of the next M steps, their place, and if it is fed numbers, those before."""

    def __init__(self, channels: int, known: int, *, patch: int, width: int):
        super().__init__()
        self.channels, self.width = channels, width
        self.linear = nn.Linear(patch * (channels + known) + _POSITION, width)

    def forward(self, previous_BTMC: Tensor, known_BTME: Tensor, *, first: int) -> Tensor:
        """-> x_BTD; `first` is the place of the first step."""
        steps = known_BTME.shape[1]
        place_TI = sinusoid(first, steps, _POSITION, like=known_BTME)
        parts = [known_BTME.flatten(2), place_TI.expand(len(known_BTME), -1, -1)]
        if self.channels:
            parts.append(previous_BTMC.flatten(2))
        x_BTD: Tensor = self.linear(torch.cat(parts, dim=-1))
        return x_BTD


class ValueOutlet(nn.Module):
    """Decoder states -> Q numbers for each number of M steps: a mean, or what tells a distribution (number_BTMCQ)."""

    def __init__(self, width: int, channels: int, *, patch: int, outputs: int):
        super().__init__()
        self.shape = (patch, channels, outputs)
        self.linear = nn.Linear(width, patch * channels * outputs)

    def forward(self, y_BTD: Tensor) -> Tensor:
        return torch.unflatten(exact(self.linear(y_BTD)), -1, self.shape)


class Forecast(nn.Module):
    """An encoder-decoder over series."""

    encoder: Encoder
    decoder: Decoder

    def __init__(
        self,
        *,
        source_inlet: ValueInlet,
        encoder: nn.Module,
        target_inlet: FutureInlet,
        decoder: nn.Module,
        outlet: ValueOutlet,
    ):
        super().__init__()
        self.source_inlet = source_inlet
        self.encoder = encoder
        self.target_inlet = target_inlet
        self.decoder = decoder  # type: ignore[assignment]  # a module that is a Decoder
        self.outlet = outlet

    @property
    def patch(self) -> int:
        return self.source_inlet.patch

    @property
    def is_direct(self) -> bool:
        """Whether the decoder is fed no numbers, so that its answer to a horizon does not depend on any."""
        return self.target_inlet.channels == 0

    def encode(self, source: Values) -> Memory:
        """What the decoder looks at."""
        return self.encoder(*self.source_inlet.enter(source))

    def forward(self, batch: SeriesBatch, previous_BLC: Tensor | None = None) -> Tensor:
        """What is said of each number of the horizon -> number_BLCQ.

        A decoder that is fed numbers is fed the true ones, M steps late; `previous_BLC` feeds it something else.
        """
        target = batch.target
        previous = target.previous() if previous_BLC is None else previous_BLC
        x_BTD = self.target_inlet(self._patched(previous), self._patched(target.known_BLE), first=0)
        number_BTMCQ: Tensor = self.outlet(self.decoder(x_BTD, self.encode(batch.source)).y_BTD)
        return number_BTMCQ.flatten(1, 2)

    def start(self, source: Values) -> State:
        """The state that `step` takes first: one row a context."""
        memory = self.encode(source)
        place_B1 = torch.zeros(len(memory.valid_BS), 1, dtype=torch.int64, device=memory.valid_BS.device)
        return State({"decoder": self.decoder.start(memory), "place_B1": place_B1}, self.decoder.look(memory))

    def step(self, previous_NMC: Tensor, known_NME: Tensor, state: State) -> tuple[Tensor, State]:
        """The next M steps of each row, after those in `previous_NMC` -> (number_NMCQ, state)."""
        place = state.row["place_B1"]
        x_N1D = self.target_inlet(previous_NMC[:, None], known_NME[:, None], first=int(place[0, 0]))
        decoded, row = self.decoder.step(x_N1D[:, 0], state.row["decoder"], state.source)
        number_NMCQ = self.outlet(decoded.y_BTD.flatten(0, 1)[:, None])[:, 0]
        following: dict[str, Any] = {"decoder": row, "place_B1": place + 1}
        return number_NMCQ, State(following, state.source)

    def _patched(self, x_BLC: Tensor) -> Tensor:
        return torch.unflatten(x_BLC, 1, (-1, self.patch))
