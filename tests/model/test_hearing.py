"""Models that hear pass the laws of every model: padding, neighbours, steps, gradients; whatever their encoder."""

from __future__ import annotations

import pytest
import torch

from seqsmith import config
from seqsmith.batch import Batch, frames, tokens
from seqsmith.engine.hearing import by_ctc_alone, by_draft, joint_step
from seqsmith.errors import UserError
from seqsmith.model.build import build_model
from seqsmith.model.seq2seq import Seq2Seq
from seqsmith.objective.alignment import steps_of
from seqsmith.objective.teacher import teacher_forced
from seqsmith.search.ctc import prefix_beam_search
from seqsmith.search.greedy import greedy_search
from seqsmith.search.ngram import NGrams
from seqsmith.special import BEGIN, END, UNKNOWN

ENCODERS = {
    "lstm": config.RecurrentEncoder(width=8, layers=2),
    "pyramid": config.RecurrentEncoder(kind="gru", width=8, layers=3, pyramid=True),
    "transformer": config.Transformer(width=8, heads=2, feed_forward=12, layers=1),
    "conformer": config.Conformer(width=8, heads=2, feed_forward=12, layers=2, kernel=5),
    "conformer with relative positions": config.Conformer(
        width=8, heads=2, feed_forward=12, layers=1, kernel=3, position="relative"
    ),
}
DECODERS = [
    config.RecurrentDecoder(width=8),
    config.Transformer(width=8, heads=2, feed_forward=12, layers=1),
]
LENGTHS, CHANNELS, SIZE = [21, 3, 14, 1], 5, 9
TARGETS = [[4, 5, 6, 3], [7, 3], [4, 4, 3], [8, 3]]

every_encoder = pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)


def model_of(encoder: config.Encoder, decoder: config.Decoder = DECODERS[0], *, subsample: int = 2) -> Seq2Seq:
    settings = config.Model(
        encoder=encoder, decoder=decoder, embedding=8, share_embeddings="none", subsample=subsample, ctc=0.4
    )
    torch.manual_seed(1)
    model = build_model(settings, source_size=0, target_size=SIZE, channels=CHANNELS)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model.eval()


def batch_of(rows: list[int]) -> Batch:
    generator = torch.Generator().manual_seed(7)
    sounds = [torch.randn(length, CHANNELS, generator=generator).numpy() for length in LENGTHS]
    return Batch(frames([sounds[row] for row in rows]), tokens([TARGETS[row] for row in rows]), torch.tensor(rows))


@every_encoder
@pytest.mark.parametrize("subsample", [1, 4])
def test_padding_and_neighbours_never_change_what_is_said(encoder, subsample):
    model = model_of(encoder, subsample=subsample)
    together = model(batch_of([0, 1, 2, 3]))
    logit_PV = together.scores.logits().split([len(target) for target in TARGETS])
    head_PV = together.aligned.scores.logits().split(together.aligned.length_B.tolist())
    for row in range(4):
        alone = model(batch_of([row]))
        torch.testing.assert_close(alone.scores.logits(), logit_PV[row], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(alone.aligned.scores.logits(), head_PV[row], atol=1e-4, rtol=1e-4)


@every_encoder
def test_the_encoder_makes_as_many_steps_as_the_rule_says(encoder):
    model = model_of(encoder, subsample=4)
    settings = config.Model(encoder=encoder, subsample=4)
    found = model.align(model.encode(batch_of([0, 1, 2, 3]).source)).length_B
    assert found.tolist() == steps_of(torch.tensor(LENGTHS).numpy(), settings).tolist()


@every_encoder
@pytest.mark.parametrize("decoder", DECODERS, ids=["recurrent", "transformer"])
def test_forward_equals_step_after_step(encoder, decoder):
    model = model_of(encoder, decoder)
    batch = batch_of([0])
    logit_PV = model(batch).scores.logits()
    state = model.start(batch.source)
    for place, id in enumerate([BEGIN, *TARGETS[0][:-1]]):
        logit_NV, state = model.step(torch.tensor([id]), state)
        torch.testing.assert_close(logit_NV[0], logit_PV[place], atol=1e-4, rtol=1e-4)


@every_encoder
def test_every_parameter_gets_a_finite_gradient(encoder):
    model = model_of(encoder).train()
    loss = teacher_forced(model, batch_of([0, 2]), smoothing=0.1, ctc=0.4)
    loss.loss_nats.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_what_copies_or_shares_text_is_refused():
    base = {"encoder": ENCODERS["lstm"], "decoder": DECODERS[0], "embedding": 8}
    with pytest.raises(UserError, match="recordings have none"):
        build_model(
            config.Model(**base, share_embeddings="none", copy_source=True),
            source_size=0,
            target_size=SIZE,
            channels=CHANNELS,
            target_of_source=[],
        )
    with pytest.raises(UserError, match="needs a source of text, found recordings"):
        build_model(config.Model(**base, share_embeddings="all"), source_size=0, target_size=SIZE, channels=CHANNELS)


def test_the_weight_of_the_ctc_is_its_share_of_the_loss():
    model, batch = model_of(ENCODERS["lstm"]), batch_of([0, 2])
    with torch.no_grad():
        attention, half, whole = (float(teacher_forced(model, batch, smoothing=0.0, ctc=w).loss_nats)
                                  for w in (0.0, 0.5, 1.0))  # fmt: skip
    assert half == pytest.approx((attention + whole) / 2, rel=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("beam", [1, 4])
def test_a_head_alone_never_says_a_special_symbol(beam):
    """The unknown one is in targets of training, so that a head learns to want it."""
    model = model_of(ENCODERS["lstm"])
    assert model.ctc is not None
    model.ctc.bias[UNKNOWN] = model.ctc.bias[END] = 30.0
    for (answer,) in by_ctc_alone([model], batch_of([0, 2]).source, config.Search(beam=beam)):
        assert min(answer.ids, default=END + 1) > END


def test_heads_that_hear_in_other_steps_cannot_answer_together():
    models = [model_of(ENCODERS["lstm"], subsample=factor) for factor in (2, 4)]
    with pytest.raises(UserError, match=r"search\.ctc: these models hear in steps of different lengths"):
        by_ctc_alone(models, batch_of([0, 2]).source, config.Search(beam=1))


@torch.no_grad()
def test_a_language_model_has_a_say_in_what_a_head_alone_says():
    model, source = model_of(ENCODERS["lstm"]), batch_of([0, 2]).source
    language_model = NGrams.learn([[END + 2, END + 1, END]] * 9, order=3, size=SIZE)
    settings = config.Search(beam=4, language_model="texts.txt", language_weight=50.0)
    assert [answer.ids for (answer,) in by_ctc_alone([model], source, settings, language_model)] == [[5, 4]] * 2
    unheard = config.Search(beam=1, language_model="texts.txt", language_weight=0.0)  # a prefix beam too
    memory = model.encode(source)
    log_p_BSV = model.ctc_log_p(memory)
    log_p_BSV[:, :, [UNKNOWN, BEGIN, END]] = -float("inf")
    expected = prefix_beam_search(log_p_BSV, memory.valid_BS.sum(1), beam=1)
    assert by_ctc_alone([model], source, unheard, language_model) == expected


@torch.no_grad()
@every_encoder
@pytest.mark.parametrize("decoder", DECODERS, ids=["recurrent", "transformer"])
@pytest.mark.parametrize(("weight", "shortest"), [(0.0, 0), (0.3, 0), (0.3, 6), (1.0, 0)])
def test_answers_that_the_head_drafts_are_those_of_greedy_search(encoder, decoder, weight, shortest):
    model, source = model_of(encoder, decoder), batch_of([0, 1, 2, 3]).source
    longest_B = torch.tensor([9, 4, 12, 2])
    found = by_draft(model, source, weight=weight, longest_B=longest_B, shortest=shortest)
    expected = greedy_search(*joint_step([model], source, weight=weight), longest_B=longest_B, shortest=shortest)
    for (answer,), (truth,) in zip(found, expected, strict=True):
        assert (answer.ids, answer.ended) == (truth.ids, truth.ended)
        assert answer.log_prob == pytest.approx(truth.log_prob, abs=1e-4)
