"""The encoder-decoder as one learns it: every equation written out, every loop a plain loop, nothing made fast.

Read it from top to bottom: the cells, the encoder, attention, the decoder, both together, training, search. It imports
torch alone, and it is the oracle that the fast road is tested against.

    >>> from torch import optim
    >>> input_size, embed_size, hidden_size, output_size = 7, 16, 32, 7
    >>> source, target = torch.tensor([[4, 5, 6], [6, 4, PAD]]), torch.tensor([[4, 5, 6, END], [6, 4, END, PAD]])
    >>> train_iterator = [(source, target)] * 100

    >>> model = Seq2Seq(input_size, embed_size, hidden_size, output_size)
    >>> optimizer = optim.Adam(model.parameters())
    >>> train(model, train_iterator, optimizer)

    >>> greedy(model, torch.tensor([6, 4]), longest=5)
    [6, 4]

The data. A sequence is a row of ids, where each target ends with END and PAD fills the row on the right; or a row of
frames (vectors of numbers), where frames of nothing but NaN fill it. The model puts BEGIN, or a frame of zeros, before
the target by itself. Every source has at least one step.

The names. A tensor's name ends with its axes: B batch, S source steps, T target steps, L steps of either, E embedding
width, D hidden width, V vocabulary, C numbers of a frame, G gates times D. Within the cells the names are the letters
of the equations: each is one step, B rows of D numbers, and `*` multiplies number by number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

PAD, UNKNOWN, BEGIN, END = 0, 1, 2, 3  # a model says END and what comes after it, never the first three
Batches = Iterable[tuple[Tensor, Tensor]]

# ------------------------------------------------------------------------------------------------ cells

State = tuple[Tensor, ...]
"""What a cell carries from step to step; the first tensor is its output h."""


class Gate(nn.Module):
    """W x + U h + b: what every gate computes from the input and the last output before it is squashed."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.W = nn.Linear(input_size, hidden_size)  # and b
        self.U = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        y: Tensor = self.W(x) + self.U(h)
        return y


class LSTMCell(nn.Module):
    """Long short-term memory (Hochreiter & Schmidhuber 1997), with the forget gate of Gers et al. (2000).

    i = sigmoid(W_i x + U_i h + b_i)    how much of the candidate is written
    f = sigmoid(W_f x + U_f h + b_f)    how much of the memory c is kept
    o = sigmoid(W_o x + U_o h + b_o)    how much of the memory is shown
    g = tanh(W_g x + U_g h + b_g)       the candidate
    c_t = f * c_{t-1} + i * g           a sum, so the gradient flows through time without vanishing where f is near 1
    h_t = o * tanh(c_t)
    """

    num_states = 2  # h and c

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_gate = Gate(input_size, hidden_size)
        self.forget_gate = Gate(input_size, hidden_size)
        self.output_gate = Gate(input_size, hidden_size)
        self.candidate = Gate(input_size, hidden_size)

    def forward(self, x: Tensor, state: State) -> State:
        h, c = state
        i = torch.sigmoid(self.input_gate(x, h))
        f = torch.sigmoid(self.forget_gate(x, h))
        o = torch.sigmoid(self.output_gate(x, h))
        g = torch.tanh(self.candidate(x, h))
        c = f * c + i * g
        h = o * torch.tanh(c)
        return h, c


class GRUCell(nn.Module):
    """The gated recurrent unit (Cho et al. 2014), in the form of Chung et al. (2014) and Bahdanau et al. (2015).

    z_t = sigmoid(W_z x + U_z h + b_z)      how much is new
    r_t = sigmoid(W_r x + U_r h + b_r)      how much of the past the candidate sees
    h~_t = tanh(W x + U (r_t * h) + b)      the candidate
    h_t = (1 - z_t) * h_{t-1} + z_t * h~_t

    Cho et al. (equation 7) and torch swap z and 1 - z: the same function, with W_z, U_z and b_z of the other sign.

    `reset_after`: the candidate is tanh(W x + b + r_t * (U h + b')), the reset after the product and not before it.
    torch and cuDNN do so, as one product of h then serves all three. It is another function, about as good.

    `tanh_output`: some texts keep the state as c_t = (1 - z_t) * c_{t-1} + z_t * h~_t and put out h_t = tanh(c_t), like
    an LSTM with i = 1 - f and an output gate that is always open. The gates and the candidate read h = tanh(c), not c;
    and as |c| < 1, h stays within tanh(1) = 0.76, where the standard cell shows its state as it is. Both carry their
    state unchanged where z = 0. The weights of one are of no use in the other.
    """

    def __init__(
        self, input_size: int, hidden_size: int, *, reset_after: bool = False, tanh_output: bool = False
    ) -> None:
        super().__init__()
        self.update_gate = Gate(input_size, hidden_size)
        self.reset_gate = Gate(input_size, hidden_size)
        self.W = nn.Linear(input_size, hidden_size)
        self.U = nn.Linear(hidden_size, hidden_size, bias=reset_after)
        self.reset_after, self.tanh_output = reset_after, tanh_output
        self.num_states = 2 if tanh_output else 1

    def forward(self, x: Tensor, state: State) -> State:
        h, c = state[0], state[-1]  # one and the same in the standard cell
        z = torch.sigmoid(self.update_gate(x, h))
        r = torch.sigmoid(self.reset_gate(x, h))
        new = torch.tanh(self.W(x) + (r * self.U(h) if self.reset_after else self.U(r * h)))
        c = (1 - z) * c + z * new
        return (torch.tanh(c), c) if self.tanh_output else (c,)


# ------------------------------------------------------------------------------------------------ encoder and decoder

Cell = Callable[[int, int], LSTMCell | GRUCell]
"""LSTMCell, GRUCell, or for example functools.partial(GRUCell, tanh_output=True)."""


def split_padding(sequence: Tensor) -> tuple[Tensor, Tensor]:
    """The sequence, with zeros for the NaN that fill up frames, and valid_BL: where it is real."""
    if not sequence.is_floating_point():
        return sequence, sequence != PAD
    valid_BL = ~sequence.isnan().all(2)
    return sequence.masked_fill(~valid_BL[:, :, None], 0.0), valid_BL


def embedding(size: int, embed_size: int, *, continuous: bool) -> nn.Linear | nn.Embedding:
    """Ids look their vector up in a table; frames are mapped to one. Both are a product with a matrix of weights."""
    return nn.Linear(size, embed_size) if continuous else nn.Embedding(size, embed_size)


class EncoderRNN(nn.Module):
    """Reads the source from left to right; its last state is the context vector."""

    def __init__(
        self, input_size: int, embed_size: int, hidden_size: int, *, cell: Cell = LSTMCell, continuous: bool = False
    ) -> None:
        super().__init__()
        self.embed = embedding(input_size, embed_size, continuous=continuous)
        self.cell = cell(embed_size, hidden_size)
        self.hidden_size = hidden_size

    def forward(self, source: Tensor, valid_BS: Tensor) -> tuple[Tensor, State]:
        x_BSE = self.embed(source)
        B, S, _ = x_BSE.shape
        state: State = (x_BSE.new_zeros(B, self.hidden_size),) * self.cell.num_states
        outputs = []
        for step in range(S):
            after = self.cell(x_BSE[:, step], state)
            valid_B1 = valid_BS[:, step, None]  # over padding the state stays what it was
            state = tuple(torch.where(valid_B1, new, old) for new, old in zip(after, state, strict=True))
            outputs.append(state[0])
        return torch.stack(outputs, dim=1), state


class AdditiveAttention(nn.Module):
    """A small network scores each source step; their mean with these weights is the context (Bahdanau et al. 2015).

    score_s = v . tanh(W h_t + U memory_s + b),    weight = softmax(score),    context = sum_s weight_s memory_s
    The context is looked up with h_t and put out as tanh(W_c [context; h_t] + b_c), as Luong et al. (2015) do; Bahdanau
    et al. look it up with h_{t-1} and feed it to the cell.
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.W = nn.Linear(hidden_size, hidden_size)
        self.U = nn.Linear(hidden_size, hidden_size, bias=False)
        self.v = nn.Linear(hidden_size, 1, bias=False)
        self.combine = nn.Linear(2 * hidden_size, hidden_size)

    def forward(self, h_BD: Tensor, memory_BSD: Tensor, valid_BS: Tensor) -> Tensor:
        score_BS = self.v(torch.tanh(self.W(h_BD)[:, None] + self.U(memory_BSD)))[:, :, 0]
        weight_BS = score_BS.masked_fill(~valid_BS, -math.inf).softmax(1)
        context_BD = (weight_BS[:, :, None] * memory_BSD).sum(1)
        return torch.tanh(self.combine(torch.cat([context_BD, h_BD], dim=1)))


class DecoderRNN(nn.Module):
    """Writes the target step by step, starting from the context vector as its state (Sutskever et al. 2014).

    Without attention all that it knows of the source went through that one vector.
    """

    def __init__(
        self,
        output_size: int,
        embed_size: int,
        hidden_size: int,
        *,
        cell: Cell = LSTMCell,
        attention: bool = False,
        continuous: bool = False,
    ) -> None:
        super().__init__()
        self.embed = embedding(output_size, embed_size, continuous=continuous)
        self.cell = cell(embed_size, hidden_size)
        self.attention = AdditiveAttention(hidden_size) if attention else None
        self.out = nn.Linear(hidden_size, output_size)

    def forward(self, y: Tensor, state: State, memory_BSD: Tensor, valid_BS: Tensor) -> tuple[Tensor, State]:
        """One step: from the last target symbol or frame `y` to the logits, or the prediction, of the next."""
        state = self.cell(self.embed(y), state)
        h_BD = state[0] if self.attention is None else self.attention(state[0], memory_BSD, valid_BS)
        return self.out(h_BD), state


class Decoding(NamedTuple):
    """Where a decoder stands: its cell's state, and the source that it reads."""

    state: State
    memory_BSD: Tensor
    valid_BS: Tensor


class Seq2Seq(nn.Module):
    """An encoder and a decoder, trained as one (Sutskever et al. 2014; Cho et al. 2014)."""

    def __init__(
        self,
        input_size: int,
        embed_size: int,
        hidden_size: int,
        output_size: int,
        *,
        cell: Cell = LSTMCell,
        attention: bool = False,
        continuous_source: bool = False,
        continuous_target: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = EncoderRNN(input_size, embed_size, hidden_size, cell=cell, continuous=continuous_source)
        self.decoder = DecoderRNN(
            output_size, embed_size, hidden_size, cell=cell, attention=attention, continuous=continuous_target
        )

    def start(self, source: Tensor) -> Decoding:
        source, valid_BS = split_padding(source)
        memory_BSD, state = self.encoder(source, valid_BS)
        return Decoding(state, memory_BSD, valid_BS)

    def step(self, y: Tensor, decoding: Decoding) -> tuple[Tensor, Decoding]:
        logit_BV, state = self.decoder(y, *decoding)
        return logit_BV, decoding._replace(state=state)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Teacher forcing: each step is given the true last symbol, whatever the model would have said."""
        target, _ = split_padding(target)
        decoding = self.start(source)
        y = torch.zeros_like(target[:, 0]) if target.is_floating_point() else torch.full_like(target[:, 0], BEGIN)
        logits = []
        for step in range(target.shape[1]):
            logit_BV, decoding = self.step(y, decoding)
            logits.append(logit_BV)
            y = target[:, step]
        return torch.stack(logits, dim=1)


# ------------------------------------------------------------------------------------------------ training


def loss(model: nn.Module, source: Tensor, target: Tensor) -> Tensor:
    """The mean over real positions: cross-entropy in nats for ids, squared error for frames."""
    target, valid_BT = split_padding(target)
    output = model(source, target)[valid_BT]
    if target.is_floating_point():
        return functional.mse_loss(output, target[valid_BT])
    return functional.cross_entropy(output, target[valid_BT])


def train(model: nn.Module, iterator: Batches, optimizer: torch.optim.Optimizer, *, clip: float = 1.0) -> None:
    """One pass over the (source, target) batches: forward, back through time (Werbos 1990), one update each.

    Gradients longer than `clip` are shortened to it, as those of recurrent networks can explode (Pascanu et al. 2013).
    """
    model.train()
    for source, target in iterator:
        optimizer.zero_grad()
        loss(model, source, target).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()


# ------------------------------------------------------------------------------------------------ search


class Steps(Protocol):
    """What search needs of a model: a start, and a step from the last symbol to the logits of the next."""

    def start(self, source: Tensor, /) -> Any: ...
    def step(self, y: Tensor, decoding: Any, /) -> tuple[Tensor, Any]: ...


class Answer(NamedTuple):
    score: float  # log p / length ** length_penalty, where END counts as well
    ids: list[int]  # without BEGIN and END


@torch.no_grad()
def greedy(model: Steps, source: Tensor, *, longest: int) -> list[int]:
    """For one source: take the likeliest symbol, step by step, until it is END or there are `longest` of them."""
    y, decoding, ids = BEGIN, model.start(source[None]), []
    for _ in range(longest):
        logit_1V, decoding = model.step(torch.tensor([y], device=source.device), decoding)
        y = END + int(logit_1V[0, END:].argmax())  # what comes before END is never said
        if y == END:
            break
        ids.append(y)
    return ids


@torch.no_grad()
def beam_search(
    model: Steps, source: Tensor, *, beam: int, longest: int, nbest: int = 1, length_penalty: float = 0.0
) -> list[Answer]:
    """For one source: the `nbest` best answers that a beam of width `beam` finds, the best first.

    Each step extends every live hypothesis with every symbol and goes down the ranking of these extensions by log p (of
    equals, the better parent and then the lower id first) until `beam` of them live on; those met on the way that end
    with END are finished. The finished are ranked by log p / length ** length_penalty; of equals the earlier wins. The
    search ends when nothing that lives could still come among the `nbest` best, which never changes the result, or
    after `longest` symbols, END included. There every hypothesis is finished by its END, however low it ranks, if any
    other is; what then lives is an answer where fewer than `nbest` finished. A beam of 1 is done at its first END:
    greedy search. A beam that drops nothing finds the best of all sequences.
    """

    def score(log_p: float, length: int) -> float:
        return float(log_p / length**length_penalty)

    live: list[tuple[float, list[int], Any]] = [(0.0, [BEGIN], model.start(source[None]))]
    finished: list[Answer] = []
    for length in range(1, longest + 1):
        extensions = []
        for log_p, ids, decoding in live:
            logit_1V, decoding = model.step(torch.tensor(ids[-1:], device=source.device), decoding)
            log_p_of = logit_1V[0].log_softmax(0).tolist()
            extensions += [(log_p + log_p_of[y], [*ids, y], decoding) for y in range(END, len(log_p_of))]
        live = []
        late: list[Answer] = []  # ranked below those that live on
        for log_p, ids, decoding in sorted(extensions, key=lambda extension: -extension[0]):
            if ids[-1] == END:
                (finished if len(live) < beam else late).append(Answer(score(log_p, length), ids[1:-1]))
            elif len(live) < beam:
                live.append((log_p, ids, decoding))
        if length == longest and finished:
            finished += late
        finished = sorted(finished, key=lambda answer: -answer.score)[:nbest]
        # log p only falls, and over a power of the length it is greatest at the shortest or at the longest length
        hope = max((score(log_p, end) for log_p, *_ in live for end in (length + 1, longest)), default=-math.inf)
        if len(finished) == nbest and (beam == 1 or hope <= finished[-1].score):
            break
    return (finished + [Answer(score(log_p, longest), ids[1:]) for log_p, ids, _ in live])[:nbest]


@torch.no_grad()
def rollout(model: Steps, source: Tensor, *, steps: int, width: int) -> Tensor:
    """For one source: `steps` frames of `width` numbers, each predicted from the one predicted before it."""
    y_1C, decoding, frames = source.new_zeros(1, width), model.start(source[None]), []
    for _ in range(steps):
        y_1C, decoding = model.step(y_1C, decoding)
        frames.append(y_1C[0])
    return torch.stack(frames)
