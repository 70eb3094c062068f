"""The textbook is right: its cells are torch's, its beam is exhaustive where it can be, and what it trains learns."""

import itertools
import math
import runpy
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn, optim

from seqsmith import textbook
from seqsmith.textbook import BEGIN, END, PAD, GRUCell, LSTMCell, Seq2Seq, beam_search, greedy, loss, train
from stacked import gru_weights, lstm_weights

ROOT = Path(__file__).parents[1]
FIRST = END + 1  # the first symbol that is text
CELLS = {
    "lstm": LSTMCell,
    "gru": GRUCell,
    "gru reset after": partial(GRUCell, reset_after=True),
    "gru tanh output": partial(GRUCell, tanh_output=True),
}
every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
SOURCE = torch.tensor([[4, 5, 6, 7, END], [6, 4, END, PAD, PAD], [5, END, PAD, PAD, PAD]])
TARGET = torch.tensor([[4, 5, 6, END], [7, END, PAD, PAD], [6, 5, END, PAD]])


@pytest.fixture(autouse=True)
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class Table:
    """A model whose next logits depend on all symbols so far, by drawing them from a generator seeded with them."""

    def __init__(self, *, symbols: int, seed: int) -> None:
        self.size, self.seed = FIRST + symbols, seed

    def start(self, source: Tensor) -> tuple[int, ...]:
        del source
        return ()

    def step(self, y: Tensor, prefix: tuple[int, ...]) -> tuple[Tensor, tuple[int, ...]]:
        prefix = (*prefix, int(y))
        generator = torch.Generator().manual_seed(hash((self.seed, prefix)) % 2**31)
        return torch.randn(1, self.size, generator=generator), prefix

    def log_p(self, ids: tuple[int, ...]) -> float:
        total, prefix = 0.0, ()
        for before, after in itertools.pairwise((BEGIN, *ids, END)):
            logit_1V, prefix = self.step(torch.tensor([before]), prefix)
            total += logit_1V[0].log_softmax(0)[after].item()
        return total


# ------------------------------------------------------------------------------------------------ cells and models


@pytest.mark.parametrize(
    ("rnn", "cell", "weights"),
    [
        (nn.LSTM, LSTMCell, lstm_weights),
        (nn.GRU, partial(GRUCell, reset_after=True), gru_weights),
    ],
    ids=["lstm", "gru"],
)
def test_cells_and_their_gradients_are_those_of_torch(rnn, cell, weights):
    fast = rnn(3, 5, batch_first=True)
    slow = cell(3, 5)
    x_BSC = torch.randn(2, 6, 3)
    expected_BSD, last = fast(x_BSC)
    slow.load_state_dict(weights(*fast.parameters()))  # strict: every parameter has its place

    state = (torch.zeros(2, 5),) * slow.num_states
    outputs = []
    for step in range(6):
        state = torch.func.functional_call(slow, weights(*fast.parameters()), (x_BSC[:, step], state))
        outputs.append(state[0])
    torch.testing.assert_close(torch.stack(outputs, 1), expected_BSD, rtol=0, atol=1e-12)
    for ours, theirs in zip(state, last if rnn is nn.LSTM else (last,), strict=True):
        torch.testing.assert_close(ours, theirs[0], rtol=0, atol=1e-12)

    weight_BSD = torch.randn(2, 6, 5)
    expected = torch.autograd.grad((expected_BSD * weight_BSD).sum(), list(fast.parameters()))
    found = torch.autograd.grad((torch.stack(outputs, 1) * weight_BSD).sum(), list(fast.parameters()))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_the_reset_before_and_after_the_product_are_different_functions():
    before, after = GRUCell(3, 5), GRUCell(3, 5, reset_after=True)
    after.load_state_dict(before.state_dict() | {"U.bias": torch.zeros(5)})
    x, h = torch.randn(2, 3), torch.randn(2, 5)
    assert (before(x, (h,))[0] - after(x, (h,))[0]).abs().max() > 1e-3
    with torch.no_grad():
        for cell in (before, after):  # an open reset gate: now they are one
            cell.reset_gate.W.bias.fill_(1e3)
    torch.testing.assert_close(before(x, (h,))[0], after(x, (h,))[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("tanh_output", [False, True])
def test_a_closed_update_gate_carries_the_state_and_an_open_one_replaces_it(tanh_output):
    cell = GRUCell(3, 5, tanh_output=tanh_output)
    c = torch.rand(2, 5)
    state = (torch.tanh(c), c) if tanh_output else (c,)
    with torch.no_grad():
        cell.update_gate.W.bias.fill_(-1e4)
    for kept, old in zip(cell(torch.randn(2, 3), state), state, strict=True):
        torch.testing.assert_close(kept, old)
    with torch.no_grad():
        cell.update_gate.W.bias.fill_(1e4)
        cell.reset_gate.W.bias.fill_(-1e4)  # nothing of the old state is left
    x = torch.randn(2, 3)
    torch.testing.assert_close(cell(x, state)[-1], torch.tanh(cell.W(x)))


@every_cell
@pytest.mark.parametrize("attention", [False, True])
def test_padding_never_changes_logits_or_gradients(cell, attention):
    model = Seq2Seq(8, 3, 4, 8, cell=cell, attention=attention)
    together = loss(model, SOURCE, TARGET)
    logit_BTV = model(SOURCE, TARGET)
    lengths = (TARGET != PAD).sum(1)
    alone = torch.zeros(())
    for row, length in enumerate(lengths.tolist()):
        source, target = SOURCE[row : row + 1], TARGET[row : row + 1, :length]
        source = source[:, : int((source != PAD).sum())]
        torch.testing.assert_close(logit_BTV[row, :length], model(source, target)[0], rtol=0, atol=1e-12)
        alone = alone + loss(model, source, target) * length / lengths.sum()
    expected = torch.autograd.grad(alone, list(model.parameters()))
    for ours, theirs in zip(torch.autograd.grad(together, list(model.parameters())), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_frames_of_nan_are_padding_and_leave_no_trace():
    model = Seq2Seq(2, 3, 4, 2, attention=True, continuous_source=True, continuous_target=True)
    source, target = torch.randn(2, 5, 2), torch.randn(2, 4, 2)
    source[1, 3:], target[1, 2:] = math.nan, math.nan
    together = loss(model, source, target)
    alone = loss(model, source[:1], target[:1]) * 4 / 6 + loss(model, source[1:, :3], target[1:, :2]) * 2 / 6
    expected = torch.autograd.grad(alone, list(model.parameters()))
    for ours, theirs in zip(torch.autograd.grad(together, list(model.parameters())), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@every_cell
def test_the_logits_of_a_step_know_nothing_of_later_symbols(cell):
    model = Seq2Seq(8, 3, 4, 8, cell=cell, attention=True)
    other = TARGET.clone()
    other[:, 2:] = 5
    logit_BTV, other_BTV = model(SOURCE, TARGET), model(SOURCE, other)
    torch.testing.assert_close(logit_BTV[:, :3], other_BTV[:, :3], rtol=0, atol=0)
    assert not torch.equal(logit_BTV[:, 3], other_BTV[:, 3])


# ------------------------------------------------------------------------------------------------ search


@settings(max_examples=50)
@given(seed=st.integers(0, 10_000), longest=st.integers(1, 6), penalty=st.sampled_from([-1.0, 0.0, 0.6, 1.0, 2.0]))
def test_beam_1_is_greedy(seed, longest, penalty):
    table = Table(symbols=3, seed=seed)
    source = torch.tensor([4])
    (answer,) = beam_search(table, source, beam=1, longest=longest, length_penalty=penalty)
    assert answer.ids == greedy(table, source, longest=longest)


@settings(max_examples=50)
@given(seed=st.integers(0, 10_000), nbest=st.integers(1, 6), penalty=st.sampled_from([-1.0, 0.0, 0.6, 1.0, 2.0]))
def test_a_beam_that_drops_nothing_is_exhaustive_enumeration(seed, nbest, penalty):
    table, longest, text = Table(symbols=3, seed=seed), 4, range(FIRST, FIRST + 3)
    sequences = [ids for length in range(longest) for ids in itertools.product(text, repeat=length)]
    best = sorted(((table.log_p(ids) / (len(ids) + 1) ** penalty, ids) for ids in sequences), reverse=True)[:nbest]
    answers = beam_search(
        table, torch.tensor([4]), beam=3**longest, longest=longest, nbest=nbest, length_penalty=penalty
    )
    assert [tuple(answer.ids) for answer in answers] == [ids for _, ids in best]
    assert [answer.score for answer in answers] == pytest.approx([score for score, _ in best])


@settings(max_examples=50)
@given(seed=st.integers(0, 10_000), beam=st.integers(2, 4), penalty=st.sampled_from([-1.0, 0.0, 1.0, 2.0]))
def test_stopping_early_never_changes_the_best_answers(seed, beam, penalty):
    search = partial(beam_search, Table(symbols=3, seed=seed), torch.tensor([4]), beam=beam, length_penalty=penalty)
    never_stopped = search(longest=6, nbest=10**6)  # so many are never found, so the search goes on to the end
    for nbest in range(1, beam + 1):
        assert search(longest=6, nbest=nbest) == never_stopped[:nbest]


@pytest.mark.parametrize("beam", [1, 3])
def test_what_never_ends_is_cut_at_the_longest_length_and_holds_text_alone(beam):
    class Endless(Table):
        def step(self, y: Tensor, prefix: tuple[int, ...]) -> tuple[Tensor, tuple[int, ...]]:
            logit_1V, prefix = super().step(y, prefix)
            logit_1V[0, :FIRST] = torch.tensor([9.0, 9.0, 9.0, -99.0])  # PAD, UNKNOWN, BEGIN, END
            return logit_1V, prefix

    table, source = Endless(symbols=3, seed=1), torch.tensor([4])
    answers = beam_search(table, source, beam=beam, longest=5, nbest=beam)
    assert [len(answer.ids) for answer in answers] == [5] * beam
    assert all(symbol >= FIRST for answer in answers for symbol in answer.ids)
    assert len(greedy(table, source, longest=5)) == 5


@pytest.mark.parametrize("beam", [1, 4])
def test_the_score_of_an_answer_is_that_of_teacher_forcing(beam):
    model, longest = Seq2Seq(8, 3, 4, 8, cell=GRUCell, attention=True), 4
    source = SOURCE[0]
    for score, ids in beam_search(model, source, beam=beam, longest=longest, nbest=beam):
        target = torch.tensor([[*ids, END][:longest]])  # as long as that, it was cut before its END
        log_p_TV = model(source[None], target)[0].log_softmax(1)
        assert score == pytest.approx(log_p_TV.gather(1, target.T).sum().item(), abs=1e-9)


# ------------------------------------------------------------------------------------------------ learning


@every_cell
def test_training_learns_a_batch_by_heart(cell):
    model = Seq2Seq(8, 8, 16, 8, cell=cell, attention=True)
    train(model, [(SOURCE, TARGET)] * 40, optim.Adam(model.parameters(), lr=0.05))
    for source, target in zip(SOURCE, TARGET, strict=True):
        assert [*greedy(model, source[source != PAD], longest=6), END] == target[target != PAD].tolist()


def test_squared_error_learns_to_go_on_with_a_series():
    model = Seq2Seq(1, 8, 16, 1, continuous_source=True, continuous_target=True)
    phase_B1 = torch.rand(64, 1) * 2 * math.pi
    wave_BL = torch.sin(phase_B1 + 0.6 * torch.arange(14))
    source, target = wave_BL[:, :8, None], wave_BL[:, 8:, None]
    train(model, [(source, target)] * 80, optim.Adam(model.parameters(), lr=0.02))
    answers = torch.stack([textbook.rollout(model, row, steps=6, width=1) for row in source[:8]])
    assert (answers - target[:8]).square().mean() < 0.1 * target.var()


def test_frames_become_symbols():
    model = Seq2Seq(2, 8, 16, 8, attention=True, continuous_source=True)
    source = torch.randn(3, 5, 2)
    train(model, [(source, TARGET)] * 40, optim.Adam(model.parameters(), lr=0.05))
    assert [*greedy(model, source[0], longest=6), END] == TARGET[0].tolist()


def test_the_example_learns_to_copy(capsys):
    torch.set_default_dtype(torch.float32)
    names = runpy.run_path(str(ROOT / "examples" / "textbook.py"))
    assert names["accuracy"] > 0.95
    assert "copied without a mistake" in capsys.readouterr().out


def test_the_program_of_three_lines_is_in_the_docstring_and_in_the_example():
    program = [
        "model = Seq2Seq(input_size, embed_size, hidden_size, output_size)",
        "optimizer = optim.Adam(model.parameters())",
        "train(model, train_iterator, optimizer)",
    ]
    assert "\n".join(program) in (ROOT / "examples" / "textbook.py").read_text()
    assert textbook.__doc__ is not None
    assert "\n".join(f"    >>> {line}" for line in program) in textbook.__doc__


def test_the_textbook_imports_torch_alone():
    imports = [line for line in Path(textbook.__file__).read_text().splitlines() if line.startswith(("import", "from"))]
    standard = {"__future__", "math", "collections", "typing"}
    assert {line.split()[1].split(".")[0] for line in imports} == {"torch"} | standard
