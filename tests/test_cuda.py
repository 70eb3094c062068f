"""The same results on a GPU as on the CPU, and training in half precision there; skipped without a GPU."""

from __future__ import annotations

import pytest
import torch

from seqsmith import config, runtime
from seqsmith.batch import Batch, tokens
from seqsmith.engine.pytorch import TorchEngine
from seqsmith.model.build import build_model
from seqsmith.model.seq2seq import Seq2Seq
from seqsmith.objective.teacher import teacher_forced
from seqsmith.train.optimizer import new_optimizer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

SIDES = [
    {"kind": "lstm", "width": 16, "dropout": 0.1},
    {"kind": "gru", "width": 16, "layers": 2, "dropout": 0.1},
    {"kind": "transformer", "width": 16, "heads": 2, "layers": 2, "feed_forward": 32},
]


def model_of(encoder: dict, decoder: dict) -> Seq2Seq:
    torch.manual_seed(1)
    table = {"encoder": encoder, "decoder": decoder, "embedding": 16, "share_embeddings": "target"}
    return build_model(config.build({"model": table}, where="test").model, source_size=12, target_size=12)


def batch_of(rows: int) -> Batch:
    random = torch.Generator().manual_seed(2)
    sources = [torch.randint(4, 12, (3 + row % 5,), generator=random).tolist() for row in range(rows)]
    targets = [[*reversed(source), 3] for source in sources]
    return Batch(tokens([[*source, 3] for source in sources]), tokens(targets), torch.arange(rows))


@pytest.mark.parametrize("encoder", SIDES, ids=lambda side: side["kind"])
@pytest.mark.parametrize("decoder", SIDES, ids=lambda side: side["kind"])
def test_the_gpu_computes_what_the_cpu_computes(encoder: dict, decoder: dict) -> None:
    model, batch, device = model_of(encoder, decoder).double().eval(), batch_of(7), torch.device("cuda")
    sources = [
        id_L[: int(length)].tolist() for id_L, length in zip(batch.source.id_BL, batch.source.length_B, strict=True)
    ]
    expected = model(batch).scores.logits()
    answers = TorchEngine((model,), torch.device("cpu")).answer(sources, config.Search(beam=3))
    model.to(device)
    torch.testing.assert_close(model(batch.to(device)).scores.logits().cpu(), expected, rtol=1e-9, atol=1e-9)
    found = TorchEngine((model,), device).answer(sources, config.Search(beam=3))
    assert [answer[0].ids for answer in found] == [answer[0].ids for answer in answers]


@pytest.mark.parametrize("side", SIDES, ids=lambda side: side["kind"])
def test_half_precision_learns_on_the_gpu(side: dict) -> None:
    device = torch.device("cuda")
    model, batch = model_of(side, side).to(device).train(), batch_of(64).to(device)
    optimizer = new_optimizer(model, beta2=0.98, weight_decay=0.0)
    losses = []
    for update in range(200):
        runtime.seed_batch(1, update, 0)
        with runtime.precision_context("bf16", device):
            loss = teacher_forced(model, batch, smoothing=0.1)
        optimizer.zero_grad()
        (loss.loss_nats / loss.count).backward()
        for group in optimizer.param_groups:
            group["lr"] = 3e-3
        optimizer.step()
        losses.append(float(loss.truth_nats) / loss.count)
    assert losses[-1] < 0.5 * losses[0]
