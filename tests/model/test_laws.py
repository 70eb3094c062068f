"""The laws that every model keeps, whatever encoder, decoder and outlet it is made of, in float64.

Each pair of kinds is tried with options drawn anew, so that in time all of them meet each other.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import Tensor

from seqsmith import config, native
from seqsmith.batch import Batch, tokens
from seqsmith.model.build import build_model
from seqsmith.model.seq2seq import Seq2Seq
from seqsmith.objective.teacher import teacher_forced
from seqsmith.search.step import select
from seqsmith.special import BEGIN, END, PAD, UNKNOWN
from seqsmith.tensors import load_tensors, tensors_of

SIZE = 11  # of both vocabularies
KINDS = ("lstm", "gru", "transformer")
Pairs = list[tuple[list[int], list[int]]]

rates = st.sampled_from([0.0, 0.3])
sequences = st.lists(st.integers(END + 1, SIZE - 1), max_size=6).map(lambda ids: [*ids, END])
batches = st.lists(st.tuples(sequences, sequences), min_size=1, max_size=4)


def encoders(kind: Any) -> st.SearchStrategy[config.Encoder]:
    if kind == "transformer":
        return transformers()
    return st.builds(
        config.RecurrentEncoder,
        kind=st.just(kind),
        layers=st.integers(1, 2),
        width=st.just(8),
        bidirectional=st.booleans(),
        residual=st.booleans(),
        layer_norm=st.booleans(),
        dropout=rates,
        variational=st.booleans(),
    )


def decoders(kind: Any) -> st.SearchStrategy[config.Decoder]:
    if kind == "transformer":
        return transformers()
    looks = st.sampled_from(["none", "additive", "dot", "general", "multihead"])
    return looks.flatmap(lambda attention: _recurrent_decoders(kind, attention=attention))


def _recurrent_decoders(kind: Any, *, attention: str) -> st.SearchStrategy[config.Decoder]:
    return st.builds(
        config.RecurrentDecoder,
        kind=st.just(kind),
        layers=st.integers(1, 2),
        width=st.just(8) if attention == "dot" else st.sampled_from([8, 12]),
        attention=st.just(attention),
        heads=st.just(2),
        input_feeding=st.just(False) if attention == "none" else st.booleans(),
        coverage=st.booleans() if attention == "additive" else st.just(False),
        residual=st.booleans(),
        layer_norm=st.booleans(),
        dropout=rates,
        variational=st.booleans(),
    )


def transformers() -> st.SearchStrategy[config.Transformer]:
    return st.builds(
        config.Transformer,
        layers=st.integers(1, 2),
        width=st.just(8),
        heads=st.sampled_from([2, 4]),
        key_value_heads=st.sampled_from([None, 1, 2]),
        feed_forward=st.just(12),
        activation=st.sampled_from(["relu", "gelu", "swiglu"]),
        norm=st.sampled_from(["layer", "rms"]),
        norm_first=st.booleans(),
        position=st.sampled_from(["rotary", "sinusoidal", "learned", "relative"]),
        longest=st.sampled_from([3, 20]),  # learned positions may end within a sequence
        dropout=rates,
        attention_dropout=rates,
    )


@st.composite
def resolved_settings(draw: st.DrawFn, encoder: str, decoder: str) -> config.Model:
    """Any settings with these kinds that fit together."""
    chosen, read = draw(decoders(decoder)), draw(encoders(encoder))
    if isinstance(chosen, config.RecurrentDecoder) and (encoder, chosen.width) == (decoder, read.width):
        chosen = chosen.model_copy(update={"start": draw(st.sampled_from(["bridge", "copy"]))})
    share = draw(st.sampled_from(["none", "source", "target", "all"]))
    tied_transformer = share in ("target", "all") and isinstance(chosen, config.Transformer)
    return config.Model(
        encoder=read,
        decoder=chosen,
        embedding=chosen.width if tied_transformer else draw(st.sampled_from([6, 8])),
        share_embeddings=share,
        copy_source=looks_back(chosen) and draw(st.booleans()),
    )


def looks_back(decoder: config.Decoder | None) -> bool:
    return not (isinstance(decoder, config.RecurrentDecoder) and decoder.attention == "none")


def new_model(settings: config.Model, seed: int) -> Seq2Seq:
    """In evaluation mode, and with no weight left at a special value such as zero."""
    torch.manual_seed(seed)
    target_of_source = [PAD, UNKNOWN, BEGIN, END, *range(SIZE - 1, END, -1)]
    model = build_model(settings, source_size=SIZE, target_size=SIZE, target_of_source=target_of_source)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model.double().eval()


every_pair = pytest.mark.parametrize(("encoder", "decoder"), list(itertools.product(KINDS, KINDS)))
law = settings(deadline=None, max_examples=5, phases=[Phase.reuse, Phase.generate])  # small as it is: no shrinking


def drawn(data: st.DataObject, encoder: str, decoder: str) -> tuple[config.Model, Seq2Seq, Pairs]:
    settings = data.draw(resolved_settings(encoder, decoder))
    pairs = data.draw(batches)
    if settings.copy_source:
        pairs = [(_copied(source, source), _copied(target, source)) for source, target in pairs]
    return settings, new_model(settings, seed=data.draw(st.integers(0, 1000))), pairs


def _copied(ids: list[int], source: list[int]) -> list[int]:
    """With two ids of the source, where it has them, as words that have no id but behind the vocabulary."""
    own = {id: SIZE + place for place, id in enumerate((END + 1, END + 2)) if id in source}
    return [own.get(id, id) for id in ids]


def batch_of(pairs: Pairs) -> Batch:
    source, target = (tokens(side) for side in zip(*pairs, strict=True))
    return Batch(source, target, torch.arange(len(pairs)))


def logits(model: Seq2Seq, pairs: Pairs) -> list[Tensor]:
    """Those of each pair, flat, without those of words that only other sources have."""
    split = model(batch_of(pairs)).scores.logits().split([len(target) for _, target in pairs])
    return [logit_TV[logit_TV > -torch.inf] for logit_TV in split]


def near(found: list[Tensor], expected: list[Tensor]) -> None:
    flat = (torch.cat([x[x > -torch.inf] for x in several]) for several in (found, expected))
    torch.testing.assert_close(*flat, rtol=0, atol=1e-10)


@every_pair
@law
@given(data=st.data())
def test_padding_never_changes_logits(encoder: str, decoder: str, data: st.DataObject) -> None:
    _, model, pairs = drawn(data, encoder, decoder)
    near(logits(model, pairs), [logit_TV for pair in pairs for logit_TV in logits(model, [pair])])


@every_pair
@law
@given(data=st.data())
def test_the_order_of_a_batch_never_changes_logits(encoder: str, decoder: str, data: st.DataObject) -> None:
    _, model, pairs = drawn(data, encoder, decoder)
    order = data.draw(st.permutations(range(len(pairs))))
    in_order = logits(model, pairs)
    near(logits(model, [pairs[i] for i in order]), [in_order[i] for i in order])


@every_pair
@law
@given(data=st.data())
def test_later_target_tokens_never_change_earlier_logits(encoder: str, decoder: str, data: st.DataObject) -> None:
    _, model, pairs = drawn(data, encoder, decoder)
    batch = batch_of(pairs)
    assert batch.target is not None
    previous_BT = batch.target.previous()
    steps = previous_BT.shape[1]
    first = data.draw(st.integers(0, steps - 1))  # the first step that is fed something else
    other_BT = previous_BT.clone()
    other_BT[:, first:] = torch.where(previous_BT[:, first:] == SIZE - 1, END + 1, SIZE - 1)
    step_P = batch.target.position_P % steps
    logit_PV, changed_PV = model(batch).scores.logits(), model(batch, other_BT).scores.logits()
    torch.testing.assert_close(changed_PV[step_P < first], logit_PV[step_P < first], rtol=0, atol=1e-12)
    assert (changed_PV[step_P == first] != logit_PV[step_P == first]).any()


@every_pair
@law
@given(data=st.data(), width=st.integers(1, 3))
def test_forward_is_step_by_step_for_any_rows_of_a_source_in_any_order(
    encoder: str, decoder: str, data: st.DataObject, width: int
) -> None:
    _, model, pairs = drawn(data, encoder, decoder)
    beam = [(source, data.draw(sequences)) for source, _ in pairs for _ in range(width)]  # neighbours share a source
    batch = batch_of(beam)
    assert batch.target is not None
    previous_NT = batch.target.previous()
    state = model.start(tokens([source for source, _ in pairs]))
    row_N = torch.arange(len(pairs)).repeat_interleave(width)  # the first step fans the rows out
    target_N = torch.arange(len(beam))  # which target each row is at
    steps = []
    for id_N in previous_NT.T:
        logit_NV, state = model.step(id_N[target_N], select(state, row_N=row_N))
        steps.append(torch.empty_like(logit_NV).index_copy(0, target_N, logit_NV))
        row_N = (torch.rand(len(pairs), width).argsort(1) + torch.arange(0, len(beam), width)[:, None]).flatten()
        target_N = target_N[row_N]
    near([torch.stack(steps, dim=1)[batch.target.valid_BL]], logits(model, beam))


@every_pair
@law
@given(data=st.data())
def test_a_source_that_leaves_the_search_never_changes_the_others(
    encoder: str, decoder: str, data: st.DataObject
) -> None:
    _, model, pairs = drawn(data, encoder, decoder)
    stay = torch.tensor(data.draw(st.lists(st.sampled_from(range(len(pairs))), min_size=1, unique=True)))
    begin_B = torch.full((len(pairs),), BEGIN)
    _, state = model.step(begin_B, model.start(tokens([source for source, _ in pairs])))
    found, _ = model.step(begin_B[stay] + 3, select(state, row_N=stay, source_B=stay))
    _, state = model.step(begin_B[stay], model.start(tokens([pairs[i][0] for i in stay])))
    expected, _ = model.step(begin_B[stay] + 3, state)
    near([found], [expected])


@every_pair
@law
@given(data=st.data())
def test_saved_and_loaded_it_is_the_same_model(encoder: str, decoder: str, data: st.DataObject) -> None:
    settings, model, pairs = drawn(data, encoder, decoder)
    file = save({name: tensor.detach().contiguous() for name, tensor in tensors_of(model).items()})
    other = new_model(settings, seed=1001)
    expected = torch.cat(logits(model, pairs))
    assert not torch.equal(torch.cat(logits(other, pairs)), expected)
    load_tensors(other, load(file), where="model")
    assert torch.equal(torch.cat(logits(other, pairs)), expected)


@every_pair
@law
@given(data=st.data())
def test_every_weight_on_the_way_has_a_finite_gradient(encoder: str, decoder: str, data: st.DataObject) -> None:
    settings, model, pairs = drawn(data, encoder, decoder)
    coverage = 1.0 if looks_back(settings.decoder) else 0.0
    teacher_forced(model.train(), batch_of(pairs), smoothing=0.1, coverage=coverage).loss_nats.backward()
    untouched = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert untouched == weights_off_the_way(settings)
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters() if parameter.grad is not None)


@every_pair
@law
@given(data=st.data())
def test_half_precision_learns_what_single_precision_does(encoder: str, decoder: str, data: st.DataObject) -> None:
    settings, model, pairs = drawn(data, encoder, decoder)
    model, batch = model.float(), batch_of(pairs * 20)  # as many rows as are rounded up, and more
    single, mixed = (learned(settings, model, batch, half=half) for half in (False, True))
    assert mixed[0] == pytest.approx(single[0], rel=0.05)
    weights = [parameter.detach().clone() for parameter in model.parameters()]
    for _ in range(4):  # gradients that explode forgive no rounding, nor does a ReLU that is about to open
        with torch.no_grad():
            for parameter, weight in zip(model.parameters(), weights, strict=True):
                parameter.copy_(weight * (1 + 2**-7 * torch.randn_like(weight)))
        nearby = learned(settings, model, batch, half=False)
        assume((nearby[1] - single[1]).norm() < 0.2 * single[1].norm())
    assert (mixed[1] - single[1]).norm() < 0.5 * single[1].norm()


@every_pair
@law
@given(data=st.data())
def test_compiled_kernels_learn_what_torch_does(encoder: str, decoder: str, data: st.DataObject) -> None:
    settings, model, pairs = drawn(data, encoder, decoder)
    model, batch = model.float(), batch_of(pairs * 20)
    torchs, torchs_mixed = (learned(settings, model, batch, half=half) for half in (False, True))
    if not native.use():
        pytest.skip("needs a C compiler with OpenMP")
    try:
        single, mixed = (learned(settings, model, batch, half=half) for half in (False, True))
    finally:
        native.use(False)
    assert single[0] == pytest.approx(torchs[0], rel=1e-5)
    assert (single[1] - torchs[1]).norm() < 1e-3 * torchs[1].norm()
    assert mixed[0] == pytest.approx(torchs[0], rel=0.05)
    rounding = (torchs_mixed[1] - torchs[1]).norm()  # of half precision alone, which is large where gradients explode
    assert (mixed[1] - torchs[1]).norm() < 0.5 * torchs[1].norm() + 2 * rounding


def learned(settings: config.Model, model: Seq2Seq, batch: Batch, *, half: bool) -> tuple[float, Tensor]:
    """The loss of a batch in nats, and its slope by all weights."""
    model.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        loss = teacher_forced(model, batch, smoothing=0.1, coverage=0.1 if looks_back(settings.decoder) else 0.0)
    loss.loss_nats.backward()
    found = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert all(slope.dtype == torch.float32 for slope in found)
    return loss.loss_nats.item(), torch.cat([slope.flatten() for slope in found])


def weights_off_the_way(settings: config.Model) -> set[str]:
    """Without attention nobody looks at what the norm of the encoder's last layer puts out."""
    encoder = settings.encoder
    if looks_back(settings.decoder) or not isinstance(encoder, config.RecurrentEncoder) or not encoder.layer_norm:
        return set()
    return {f"encoder.between.{encoder.layers - 1}.norm.{part}" for part in ("weight", "bias")}


@every_pair
@law
@given(data=st.data())
def test_each_real_position_has_scores_and_an_attention_that_sums_to_one_over_the_real_source(
    encoder: str, decoder: str, data: st.DataObject
) -> None:
    _, model, pairs = drawn(data, encoder, decoder)
    batch = batch_of(pairs)
    assert batch.target is not None
    said = model(batch, attention=True)
    scores, attention_PS = said.scores, said.attention_PS
    row_P = batch.target.position_P // batch.target.id_BL.shape[1]
    last = max(SIZE - 1, *(id for source, _ in pairs for id in source))
    assert scores.logits().shape == (len(row_P), last + 1)
    assert scores.logits()[:, :SIZE].isfinite().all()
    torch.testing.assert_close(attention_PS.sum(1), torch.ones(len(row_P), dtype=torch.float64))
    assert (attention_PS[~batch.source.valid_BL[row_P]] == 0.0).all()
    near([model.attention(batch)[batch.target.valid_BL]], [attention_PS])
    near([model(batch).scores.logits()], [scores.logits()])  # where nobody asks
