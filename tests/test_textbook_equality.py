"""The fast road is the textbook's, made fast: for the same weights both say the same, in float64 to 1e-9.

The weights are the fast model's own, under the textbook's names and still attached, so that both roads give gradients
of the same parameters.
"""

from __future__ import annotations

from functools import partial

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.func import functional_call

from seqsmith import config, textbook
from seqsmith.batch import Batch, Tokens, tokens
from seqsmith.model.build import build_model
from seqsmith.model.seq2seq import Seq2Seq
from seqsmith.objective.teacher import teacher_forced
from seqsmith.search.beam import beam_search
from seqsmith.search.greedy import greedy_search
from seqsmith.special import END
from stacked import gru_weights, lstm_weights

SOURCE_SIZE, TARGET_SIZE, EMBEDDING, WIDTH = 9, 8, 3, 5
STACKED = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")

every_kind = pytest.mark.parametrize("kind", ["lstm", "gru"])
every_attention = pytest.mark.parametrize("attention", ["none", "additive"])
seeds = st.integers(0, 10**6)
law = settings(deadline=None, max_examples=6, phases=[Phase.reuse, Phase.generate])  # small as it is: no shrinking


def sequences(size: int, *, longest: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(END + 1, size - 1), max_size=longest).map(lambda ids: [*ids, END])


pairs = st.lists(
    st.tuples(sequences(SOURCE_SIZE, longest=6), sequences(TARGET_SIZE, longest=5)), min_size=1, max_size=5
)


def fast_model(kind: str, attention: str, *, seed: int) -> Seq2Seq:
    """Large random weights; the encoder's last state becomes the decoder's first as it is."""
    layer = {"kind": kind, "width": WIDTH, "dropout": 0.0}
    model = build_model(
        config.Model(
            encoder=config.RecurrentEncoder(**layer, bidirectional=False),
            decoder=config.RecurrentDecoder(**layer, attention=attention),
            embedding=EMBEDDING,
            share_embeddings="none",
        ),
        source_size=SOURCE_SIZE,
        target_size=TARGET_SIZE,
    ).double()
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
        bridge = model.get_submodule("decoder.bridge")
        bridge.weight.copy_(torch.eye(len(bridge.weight)))
        bridge.bias.zero_()
    return model


def plain_model(kind: str, attention: str) -> textbook.Seq2Seq:
    cell = textbook.LSTMCell if kind == "lstm" else partial(textbook.GRUCell, reset_after=True)
    sizes = SOURCE_SIZE, EMBEDDING, WIDTH, TARGET_SIZE
    return textbook.Seq2Seq(*sizes, cell=cell, attention=attention == "additive").double()


def plain_weights(fast: Seq2Seq, kind: str, attention: str) -> dict[str, Tensor]:
    """The parameters of the fast model under the names of the textbook's."""
    cell_weights = lstm_weights if kind == "lstm" else gru_weights
    of = fast.get_parameter
    weights = {
        "encoder.embed.weight": of("source_inlet.embedding.weight"),
        "decoder.embed.weight": of("target_inlet.embedding.weight"),
        "decoder.out.weight": of("outlet.weight"),
        "decoder.out.bias": of("outlet.bias"),
    }
    for side in ("encoder", "decoder"):
        stacked = [of(f"{side}.layers.0.{name}") for name in STACKED]
        weights |= {f"{side}.cell.{name}": weight for name, weight in cell_weights(*stacked).items()}
    if attention == "additive":
        weights |= {
            "decoder.attention.W.weight": of("decoder.attention.query.weight"),
            "decoder.attention.W.bias": of("decoder.attention.query.bias"),
            "decoder.attention.U.weight": of("decoder.attention.key.weight"),
            "decoder.attention.v.weight": of("decoder.attention.energy")[None],
            "decoder.attention.combine.weight": of("decoder.combine.weight").roll(WIDTH, 1),  # [h; context] there
            "decoder.attention.combine.bias": of("decoder.combine.bias"),
        }
    return weights


def loaded(fast: Seq2Seq, kind: str, attention: str) -> textbook.Seq2Seq:
    plain = plain_model(kind, attention)
    plain.load_state_dict(plain_weights(fast, kind, attention))  # strict: every parameter has its place
    return plain


def batch_of(rows: list[tuple[list[int], list[int]]]) -> Batch:
    source, target = (tokens(side) for side in zip(*rows, strict=True))
    return Batch(source, target, torch.arange(len(rows)))


def rows_of(source: Tokens) -> list[Tensor]:
    return [id_L[valid_L] for id_L, valid_L in zip(source.id_BL, source.valid_BL, strict=True)]


def near(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@every_attention
@every_kind
@law
@given(rows=pairs, seed=seeds)
def test_logits_are_those_of_the_textbook(
    kind: str, attention: str, rows: list[tuple[list[int], list[int]]], seed: int
) -> None:
    fast = fast_model(kind, attention, seed=seed)
    batch = batch_of(rows)
    assert batch.target is not None
    logit_BTV = loaded(fast, kind, attention)(batch.source.id_BL, batch.target.id_BL)
    near(fast(batch).scores.logits(), logit_BTV[batch.target.valid_BL])


@every_attention
@every_kind
@law
@given(rows=pairs, seed=seeds)
def test_loss_and_gradients_are_those_of_the_textbook(
    kind: str, attention: str, rows: list[tuple[list[int], list[int]]], seed: int
) -> None:
    fast = fast_model(kind, attention, seed=seed)
    batch = batch_of(rows)
    assert batch.target is not None
    sums = teacher_forced(fast, batch, smoothing=0.0)
    fast_loss = sums.loss_nats / sums.count
    plain = partial(functional_call, plain_model(kind, attention), plain_weights(fast, kind, attention))
    plain_loss = textbook.loss(lambda *pair: plain(pair), batch.source.id_BL, batch.target.id_BL)
    near(fast_loss, plain_loss)
    shared = [parameter for name, parameter in fast.named_parameters() if not name.startswith("decoder.bridge")]
    gradients = torch.autograd.grad(fast_loss, shared), torch.autograd.grad(plain_loss, shared)
    for found, expected in zip(*gradients, strict=True):
        near(found, expected)


@every_attention
@every_kind
@law
@given(rows=pairs, seed=seeds, longest=st.integers(1, 8))
def test_greedy_answers_are_those_of_the_textbook(
    kind: str, attention: str, rows: list[tuple[list[int], list[int]]], seed: int, longest: int
) -> None:
    fast = fast_model(kind, attention, seed=seed).eval()
    plain = loaded(fast, kind, attention)
    source = batch_of(rows).source
    found = greedy_search(fast.step, fast.start(source), longest_B=torch.full((len(rows),), longest))
    expected = [textbook.greedy(plain, row, longest=longest) for row in rows_of(source)]
    assert [answers[0].ids for answers in found] == expected


@every_attention
@every_kind
@law
@given(
    rows=pairs,
    seed=seeds,
    longest=st.integers(1, 8),
    beam=st.integers(1, 5),
    penalty=st.sampled_from([-1.0, 0.0, 0.6, 1.0, 2.0]),
)
def test_beam_answers_and_scores_are_those_of_the_textbook(
    kind: str,
    attention: str,
    rows: list[tuple[list[int], list[int]]],
    seed: int,
    longest: int,
    beam: int,
    penalty: float,
) -> None:
    fast = fast_model(kind, attention, seed=seed).eval()
    plain = loaded(fast, kind, attention)
    source = batch_of(rows).source
    limits = {"beam": beam, "nbest": beam, "length_penalty": penalty}
    found = beam_search(fast.step, fast.start(source), longest_B=torch.full((len(rows),), longest), **limits)
    for answers, row in zip(found, rows_of(source), strict=True):
        expected = textbook.beam_search(plain, row, longest=longest, **limits)
        assert [answer.ids for answer in answers] == [answer.ids for answer in expected]
        assert [answer.score for answer in answers] == pytest.approx([answer.score for answer in expected], abs=1e-9)
