"""What an update costs, counted and not timed: rows of logits, operators sent to the machine, large tensors.

The padding of an epoch is counted in `tests/data/test_plan.py`.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import reversal
from seqsmith import config
from seqsmith.batch import Batch, tokens
from seqsmith.engine.pytorch import TorchEngine
from seqsmith.model.build import build_model
from seqsmith.model.seq2seq import Seq2Seq
from seqsmith.objective.teacher import teacher_forced
from seqsmith.special import END
from seqsmith.train.optimizer import new_optimizer

LARGE_BYTES = 32_000_000  # glibc maps such a tensor anew each time
FAMILIES = ("lstm", "transformer")


class Counted(TorchDispatchMode):
    """Sees every operator that reaches the machine, in the backward pass too, with the tensors that it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.seen: list[tuple[str, tuple[int, ...], int]] = []  # operator, shape, bytes behind the tensor

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = function(*args, **(kwargs or {}))
        self.calls += 1
        name = function.overloadpacket.__name__
        for tensor in tree_leaves(given):
            if isinstance(tensor, Tensor):
                self.seen.append((name, tuple(tensor.shape), tensor.untyped_storage().nbytes()))
        return given

    def rows(self, width: int) -> int:
        """How many rows of this width were made by matrix products."""
        products = [shape for name, shape, _ in self.seen if name in ("addmm", "mm", "linear", "bmm", "baddbmm")]
        return sum(torch.Size(shape[:-1]).numel() for shape in products if shape[-1] == width)


def model_of(family: str, *, vocabulary: int = 300, **changes: Any) -> Seq2Seq:
    sides = {side: {"dropout": 0.1} for side in ("encoder", "decoder")}
    table = config.merge(reversal.model(family, width=16), config.merge(sides, changes))
    settings = config.build({"model": table}, where="test").model
    return build_model(settings, source_size=100, target_size=vocabulary, target_of_source=[*range(100)]).train()


def batch_of(lengths: list[int], *, vocabulary: int = 300) -> Batch:
    """Sources and targets of these lengths, END included."""
    sources, targets = (
        [[*torch.randint(END + 1, size, (length - 1,)).tolist(), END] for length in lengths]
        for size in (100, vocabulary)
    )
    return Batch(tokens(sources), tokens(targets), torch.arange(len(lengths)))


def counted(model: Seq2Seq, batch: Batch) -> Counted:
    """What the trainer does with a batch whose like it has met: tables of positions are kept."""
    teacher_forced(model, batch, smoothing=0.1)
    model.zero_grad()
    optimizer = new_optimizer(model, beta2=0.98, weight_decay=0.01)
    with Counted() as found:
        loss = teacher_forced(model, batch, smoothing=0.1)
        (loss.loss_nats / loss.count).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_made_for_real_target_positions_alone_and_once(family: str) -> None:
    batch = batch_of([9, 7, 4, 1])
    assert batch.target is not None
    assert batch.target.count == 21 < batch.target.id_BL.numel()
    assert counted(model_of(family), batch).rows(300) == 21


@pytest.mark.parametrize("copies", [False, True])
def test_no_gradients_are_made_where_nobody_asks_for_them(copies: bool) -> None:
    model, batch = model_of("lstm", copy_source=copies), batch_of([9, 7, 4, 1])
    width = model.decoder.output_width  # type: ignore[union-attr]
    with torch.no_grad(), Counted() as found:
        loss = teacher_forced(model.eval(), batch, smoothing=0.1)
    products = [shape for name, shape, _ in found.seen if name in ("addmm", "addmm_", "mm")]
    assert (21, 300) in products  # the logits
    assert (300, width) not in products  # what the output layer would learn
    with torch.inference_mode():
        torch.testing.assert_close(teacher_forced(model, batch, smoothing=0.1).loss_nats, loss.loss_nats)


@pytest.mark.parametrize("copies", [False, True])
def test_no_tensor_is_large_where_targets_are_scored(copies: bool) -> None:
    vocabulary = 8_000
    model, batch = model_of("lstm", vocabulary=vocabulary, copy_source=copies).eval(), batch_of([20] * 120)
    assert batch.target is not None
    assert batch.target.count * vocabulary * 8 > 4 * LARGE_BYTES
    engine = TorchEngine((model, model), torch.device("cpu"))
    sources, targets = (side.id_BL.tolist() for side in (batch.source, batch.target))  # type: ignore[union-attr]
    with Counted() as found:
        log_probs = engine.log_prob(sources, targets)
    assert log_probs == pytest.approx([-20 * math.log(vocabulary)] * 120, rel=0.15)
    assert max(size for _, _, size in found.seen) < LARGE_BYTES


@pytest.mark.parametrize("family", FAMILIES)
def test_an_update_of_a_large_batch_is_as_many_operators_as_that_of_a_small_one(family: str) -> None:
    model = model_of(family)
    small, large = (counted(model, batch_of([6, 5, 3] * times)).calls for times in (1, 20))
    assert 0 < small == large


def test_an_update_of_long_targets_is_as_many_operators_as_that_of_short_ones() -> None:
    for family in FAMILIES:
        model = model_of(family)
        short, long = (counted(model, batch_of([length, length - 1])).calls for length in (4, 64))
        assert 0 < short == long, family


@pytest.mark.parametrize("family", FAMILIES)
def test_no_tensor_is_large_however_large_the_vocabulary(family: str) -> None:
    batch = batch_of([16] * 128, vocabulary=64_000)  # the logits of this batch would be 524 MB
    assert batch.target is not None
    assert batch.target.count == 2048
    large = {(name, shape) for name, shape, size in counted(model_of(family, vocabulary=64_000), batch).seen
             if size > LARGE_BYTES}  # fmt: skip
    assert not large


def test_the_scores_of_long_self_attention_are_never_kept() -> None:
    found = counted(model_of("transformer"), batch_of([400, 390]))
    assert not [name for name, shape, _ in found.seen if name == "_softmax" and shape[2:] == (400, 400)]


@pytest.mark.parametrize(
    ("family", "changes", "lengths", "vocabulary"),
    [
        ("transformer", {side: {"attention_dropout": 0.1} for side in ("encoder", "decoder")}, [1500, 1499], 300),
        ("lstm", {"decoder": {"attention": "additive"}}, [128] * 64, 300),  # 67 MB if all scores were made at once
        ("lstm", {"copy_source": True}, [16] * 32, 64_000),  # 131 MB if all logits were
    ],
)
def test_no_tensor_is_large_where_scores_are_many(
    family: str, changes: dict[str, Any], lengths: list[int], vocabulary: int
) -> None:
    model, batch = model_of(family, vocabulary=vocabulary, **changes), batch_of(lengths, vocabulary=vocabulary)
    assert not {(name, shape) for name, shape, size in counted(model, batch).seen if size > LARGE_BYTES}
