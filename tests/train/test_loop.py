"""The training loop on a model that is small but whole: encoder, decoder, teacher forcing, a real optimizer."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import reversal
from seqsmith import config, runtime
from seqsmith.batch import Batch, tokens
from seqsmith.errors import Diverged
from seqsmith.folder import check_folder
from seqsmith.model.build import build_model
from seqsmith.objective.teacher import teacher_forced
from seqsmith.objective.token import Loss
from seqsmith.special import END
from seqsmith.tensors import tensors_of
from seqsmith.train.checkpoint import Checkpoint, latest_checkpoint, place_of, updates_in
from seqsmith.train.journal import Event
from seqsmith.train.loop import Trainer, Validation
from seqsmith.train.optimizer import optimizer_tensors

VOCABULARY = 12
PAIRS = 20


def batch_of(examples: Sequence[int]) -> Batch:
    """Examples whose ids and lengths depend on their number alone."""
    sides = []
    for side in (1, 2):
        chances = [np.random.default_rng([example, side]) for example in examples]
        sides.append([[*chance.integers(4, VOCABULARY, chance.integers(1, 7)), END] for chance in chances])
    return Batch(tokens(sides[0]), tokens(sides[1]), torch.tensor(examples))


def epoch_of(epoch: int, *, size: int = 3) -> list[Batch]:
    order = np.random.default_rng([7, epoch]).permutation(PAIRS).tolist()
    return [batch_of(order[start : start + size]) for start in range(0, PAIRS, size)]


def new_trainer(folder: Path, *, kind: str = "lstm", weights: int = 1, dropout: float = 0.0, **changes: Any) -> Trainer:
    """A trainer of a new model; `weights` seeds its random ones. Changes are its fields, or settings of [train]."""
    torch.manual_seed(weights)
    side = {"dropout": dropout}
    model = build_model(
        config.build({"model": reversal.model(kind, encoder=side, decoder=side)}, where="test").model,
        source_size=VOCABULARY,
        target_size=VOCABULARY,
    )

    def loss(batch: Batch, own_words: float) -> Loss:
        return teacher_forced(model, batch, smoothing=0.1, own_words=own_words)

    def validate() -> Validation:
        with torch.inference_mode():
            found = loss(batch_of(range(8)), 0.0)
        nats = float(found.loss_nats) / found.count
        return Validation((-round(nats, 1), 0.0), {"name": "loss", "value": nats})  # coarse, so that it stands still

    fields: dict[str, Any] = {
        "model": model,
        "loss": loss,
        "batches": epoch_of,
        "validate": validate,
        "seed": 5,
        "total_updates": 20,
        "device": torch.device("cpu"),
        "precision": "fp32",
        "folder": folder,
        "data_digest": "digest",
        "tell": lambda _event: None,
    }
    fields |= {name: changes.pop(name) for name in fields.keys() & changes.keys()}
    table = {"rate": 0.01, "schedule": "constant", "validate_every": 1000, **changes}
    return Trainer(settings=config.build({"train": table}, where="test").train, **fields)


class Asked(runtime.Interrupt):
    """One that comes when a function says so, which is asked after every update."""

    def __init__(self, ask: Callable[[], int | None]):
        super().__init__()
        self.ask = ask

    def __call__(self) -> int | None:
        return self.number or self.ask()


def stop_at(trainer: Trainer, update: int) -> Trainer:
    trainer.interrupt = Asked(lambda: 15 if trainer.progress.update >= update else None)
    return trainer


def go_on(trainer: Trainer) -> Trainer:
    checkpoint = latest_checkpoint(trainer.folder, pytest.fail)
    assert checkpoint is not None
    trainer.restore(checkpoint)
    return trainer


def scripted(scores: Sequence[float]) -> Callable[[], Validation]:
    """Validations with these scores, one after another."""
    remaining = iter(scores)
    return lambda: Validation((next(remaining), 0.0), {})


def state(trainer: Trainer) -> dict[str, Any]:
    """All that a run has come to, without the time it took."""
    tensors = {**tensors_of(trainer.model), **optimizer_tensors(trainer.model, trainer.optimizer)}
    if trainer.average is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in trainer.average.tensors.items()}
    progress = {name: value for name, value in vars(trainer.progress).items() if name != "seconds"}
    return {**{name: tensor.tolist() for name, tensor in tensors.items()}, **progress}


def gradients(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: parameter.grad for name, parameter in trainer.model.named_parameters() if parameter.grad is not None}


# ------------------------------------------------------------------------------------------------ resuming

EVERYTHING: dict[str, Any] = {
    "dropout": 0.3,
    "ema": 0.9,
    "accumulate": 2,
    "scheduled_sampling": 0.5,
    "schedule": {"kind": "plateau", "warmup": 3, "patience": 1},
    "validate_every": 3,
    "average": 2,
    "total_updates": 16,
}


@pytest.fixture(scope="module", params=["lstm", "gru", "transformer"])
def undisturbed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Trainer]:
    trainer = new_trainer(tmp_path_factory.mktemp("undisturbed"), kind=request.param, **EVERYTHING)
    assert trainer.run() == "all updates done"
    assert trainer.progress.shrinks > 0  # or the plateau would prove nothing
    assert trainer.progress.epoch > 2
    return request.param, trainer


@pytest.mark.parametrize("stops", [(1,), (3,), (4,), (2, 5, 9, 15), (16,)], ids=str)
def test_resume_equals_never_stopped(tmp_path: Path, undisturbed: tuple[str, Trainer], stops: tuple[int, ...]) -> None:
    kind, expected = undisturbed
    for number, update in enumerate(stops):
        trainer = stop_at(new_trainer(tmp_path, kind=kind, weights=number + 1, **EVERYTHING), update)
        assert (trainer if number == 0 else go_on(trainer)).run() == "signal 15"
        assert trainer.progress.update == update
    trainer = go_on(new_trainer(tmp_path, kind=kind, weights=99, **EVERYTHING))
    assert trainer.run() == "all updates done"
    assert state(trainer) == state(expected)


def test_resume_from_the_checkpoint_before_a_damaged_one_equals_never_stopped(
    tmp_path: Path, undisturbed: tuple[str, Trainer]
) -> None:
    kind, expected = undisturbed
    assert stop_at(new_trainer(tmp_path, kind=kind, **EVERYTHING), 10).run() == "signal 15"
    newest = place_of(tmp_path, 10) / "weights.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1] + b"\xff")
    told: list[str] = []
    checkpoint = latest_checkpoint(tmp_path, told.append)
    assert checkpoint is not None
    assert checkpoint.progress.update == 9
    assert "weights.safetensors is not what was saved" in told[0]
    trainer = new_trainer(tmp_path, kind=kind, weights=99, **EVERYTHING)
    trainer.restore(checkpoint)
    trainer.run()
    assert state(trainer) == state(expected)


def test_a_finished_run_that_goes_on_changes_nothing(undisturbed: tuple[str, Trainer]) -> None:
    kind, expected = undisturbed
    trainer = go_on(new_trainer(expected.folder, kind=kind, weights=99, **EVERYTHING))
    assert trainer.run() == "all updates done"
    assert state(trainer) == state(expected)


def test_noise_depends_on_the_seed(tmp_path: Path) -> None:
    one, again, other = (
        new_trainer(tmp_path / name, dropout=0.3, seed=seed, total_updates=2)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    for trainer in (one, again, other):
        trainer.run()
    assert state(one) == state(again) != state(other)


# ------------------------------------------------------------------------------------------------ accumulation


@pytest.mark.parametrize("kind", ["lstm", "gru", "transformer"])
def test_accumulating_batches_gives_the_gradient_of_one_batch_of_all(tmp_path: Path, kind: str) -> None:
    batches = [batch_of(examples) for examples in ((0, 1, 2), (3,), (4, 5, 6, 7, 8))]
    found = []
    for name, epoch in (("many", batches), ("one", [batch_of(range(9))])):
        trainer = new_trainer(
            tmp_path / name,
            kind=kind,
            batches=lambda _, epoch=epoch: epoch,
            accumulate=len(epoch),
            total_updates=1,
            clip=1e9,
        )
        trainer.model.double()
        trainer.run()
        found.append(gradients(trainer))
    assert found[0].keys() == found[1].keys() == dict(trainer.model.named_parameters()).keys()
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name], rtol=1e-10, atol=1e-13)


def test_the_last_update_of_an_epoch_takes_what_is_left(tmp_path: Path) -> None:
    seen: list[int] = []
    trainer = new_trainer(tmp_path, accumulate=3, total_updates=6)
    inner = trainer.loss
    trainer.loss = lambda batch, share: seen.extend(batch.example_B.tolist()) or inner(batch, share)  # type: ignore[func-returns-value]
    trainer.run()
    assert trainer.progress.epoch == 2  # 7 batches are 3 updates
    assert sorted(seen) == sorted([*range(PAIRS), *range(PAIRS)])


def test_an_epoch_without_a_batch_is_passed_over(tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path, batches=lambda epoch: epoch_of(epoch) if epoch == 2 else [], total_updates=7)
    assert trainer.run() == "all updates done"
    assert trainer.progress.epoch == 3


def test_clipping_bounds_the_norm_of_the_gradient(tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path, clip=0.001, total_updates=1)
    trainer.run()
    norm = torch.linalg.vector_norm(torch.stack([gradient.norm() for gradient in gradients(trainer).values()]))
    assert float(norm) == pytest.approx(0.001, rel=1e-3)


# ------------------------------------------------------------------------------------------------ not finite


def spoilt(trainer: Trainer, updates: Sequence[int], factor: float = float("nan")) -> Trainer:
    """The trainer with a loss that is no number at some updates, the first being 0."""
    inner = trainer.loss

    def loss(batch: Batch, share: float) -> Loss:
        found = inner(batch, share)
        bad = trainer.progress.update in updates
        return Loss(found.loss_nats * factor, found.truth_nats, found.count) if bad else found

    trainer.loss = loss
    return trainer


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_an_update_without_a_finite_gradient_changes_no_weight_and_is_counted(tmp_path: Path, factor: float) -> None:
    told: list[Event] = []
    trainer = spoilt(new_trainer(tmp_path, ema=0.9, total_updates=10, tell=told.append), [2, 3, 6], factor)
    seen: list[dict[str, Any]] = []
    trainer.interrupt = Asked(lambda: seen.append(state(trainer)))  # type: ignore[func-returns-value]
    trainer.run()
    unchanged = [
        update
        for update, (before, after) in enumerate(itertools.pairwise(seen))
        if all(before[name] == after[name] for name in before if "." in name)  # the tensors
    ]
    assert unchanged == [2, 3, 6]
    assert trainer.progress.skipped == 3
    assert trainer.progress.skipped_in_a_row == 0
    skips = [event for event in told if event["event"] == "skip"]
    assert [(skip["update"], skip["why"]) for skip in skips] == [
        (update, "the gradient is not finite") for update in (3, 4, 7)
    ]


def test_twenty_updates_in_a_row_without_a_finite_gradient_are_the_end(tmp_path: Path) -> None:
    trainer = spoilt(new_trainer(tmp_path, total_updates=100), range(5, 100))
    with pytest.raises(Diverged) as error:
        trainer.run()
    assert str(error.value) == (
        "training diverged: 20 updates in a row had no finite gradient (update 25). Lower train.rate (now 0.01)."
    )
    assert all(parameter.isfinite().all() for parameter in trainer.model.parameters())


def test_a_run_that_diverges_before_its_only_validation_tells_its_end(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    trainer = new_trainer(tmp_path, total_updates=100, minutes=1e-9, tell=told.append)
    with torch.no_grad():
        next(trainer.model.parameters()).fill_(math.nan)
    with pytest.raises(Diverged) as error:
        trainer.run()
    assert told[-1] == {"event": "end", "reason": str(error.value), "update": 1}


def test_nineteen_are_not(tmp_path: Path) -> None:
    trainer = spoilt(new_trainer(tmp_path, total_updates=60), [*range(19), *range(20, 39), *range(40, 59)])
    assert trainer.run() == "all updates done"
    assert trainer.progress.skipped == 57


def test_a_pause_does_not_hide_that_training_diverges(tmp_path: Path) -> None:
    assert stop_at(spoilt(new_trainer(tmp_path, total_updates=100), range(100)), 12).run() == "signal 15"
    with pytest.raises(Diverged, match=r"\(update 20\)"):
        go_on(spoilt(new_trainer(tmp_path, total_updates=100), range(100))).run()


# ------------------------------------------------------------------------------------------------ ends


def test_training_ends_after_its_updates(tmp_path: Path) -> None:
    told: list[Event] = []
    trainer = new_trainer(tmp_path, total_updates=9, tell=told.append)
    assert trainer.run() == "all updates done"
    assert trainer.progress.update == 9
    assert told[-1]["event"] == "end"
    assert told[-1]["update"] == 9


def test_training_ends_when_the_score_gets_no_better(tmp_path: Path) -> None:
    scores = [1.0, 3.0, 2.0, 3.0, 2.0, 9.0]
    trainer = new_trainer(tmp_path, validate=scripted(scores), validate_every=2, early_stop=3, total_updates=100)
    assert trainer.run() == "no better score in 3 validations"
    assert trainer.progress.update == 10
    assert trainer.progress.best[0][0][0] == 3.0


def test_early_stop_0_never_stops(tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path, validate=scripted([2.0] + [1.0] * 99), validate_every=1, early_stop=0)
    assert trainer.run() == "all updates done"


def test_training_ends_when_its_minutes_are_over(tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path, minutes=1e-6)
    assert trainer.run() == "1e-06 minutes are over"
    assert trainer.progress.update == 1


def test_minutes_count_over_all_parts_of_a_run(tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path, minutes=2.0)
    trainer.progress.seconds = 120.0
    assert trainer.run() == "2 minutes are over"
    assert trainer.progress.update == 0


# ------------------------------------------------------------------------------------------------ validation


def test_validations_come_as_often_as_wanted_and_at_the_end(tmp_path: Path) -> None:
    told: list[Event] = []
    new_trainer(tmp_path, validate_every=4, total_updates=10, tell=told.append).run()
    assert [event["update"] for event in told if event["event"] == "validation"] == [4, 8, 10]


def test_every_update_is_reported_before_it_is_validated(tmp_path: Path) -> None:
    told: list[Event] = []
    new_trainer(tmp_path, validate_every=4, total_updates=8, tell=told.append).run()
    kinds = [event["event"] for event in told if event["event"] in ("update", "validation")]
    assert kinds[-2:] == ["update", "validation"]
    update = next(event for event in told if event["event"] == "update")
    assert update.keys() >= {"loss", "nats_per_token", "gradient_norm", "tokens_per_second", "rate", "epoch"}
    assert update["nats_per_token"] == pytest.approx(np.log(VOCABULARY), rel=0.2)


def test_the_averaged_weights_are_scored_and_the_trained_ones_go_on(tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path, ema=0.9, total_updates=5)
    trainer.run()
    assert trainer.average is not None
    trained = {name: parameter.tolist() for name, parameter in trainer.model.named_parameters()}
    averaged = {name: tensor.tolist() for name, tensor in trainer.average.tensors.items()}
    with trainer.evaluated():
        assert {name: parameter.tolist() for name, parameter in trainer.model.named_parameters()} == averaged
        assert not trainer.model.training
    assert {name: parameter.tolist() for name, parameter in trainer.model.named_parameters()} == trained != averaged
    assert trainer.model.training


def test_the_trained_weights_come_back_when_a_validation_fails(tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path, ema=0.9, total_updates=5)
    trainer.run()
    trained = {name: parameter.tolist() for name, parameter in trainer.model.named_parameters()}
    with pytest.raises(KeyboardInterrupt), trainer.evaluated():
        raise KeyboardInterrupt
    assert {name: parameter.tolist() for name, parameter in trainer.model.named_parameters()} == trained


@pytest.mark.parametrize("average", [0, 1, 3])
def test_the_best_checkpoints_and_the_last_are_always_there(tmp_path: Path, average: int) -> None:
    scores = [5.0, 1.0, 7.0, 7.0, 2.0, 6.0, 3.0, 0.0, 8.0, 4.0]
    trainer = new_trainer(
        tmp_path, validate=scripted(scores), validate_every=1, average=average, early_stop=0, total_updates=10
    )
    told: list[Event] = []

    def look(event: Event) -> None:
        told.append(event)
        if event["event"] == "validation":
            seen = scores[: event["update"]]
            best = sorted(zip(seen, range(1, 11), strict=False), reverse=True)[: max(1, average)]
            assert [(score[0], update) for score, update in trainer.progress.best] == best
            assert event["best"] == (seen[-1] > max(seen[:-1], default=-1.0))
        elif event["event"] == "checkpoint" and event["update"] > 1:  # of before it: pruning comes after
            newest = {event["update"], event["update"] - 1}
            assert set(updates_in(tmp_path)) >= newest | {update for _, update in trainer.progress.best}

    trainer.tell = look
    trainer.run()
    best = sorted(zip(scores, range(1, 11), strict=True), reverse=True)[: max(1, average)]
    assert set(updates_in(tmp_path)) == {10, 9} | {update for _, update in best}
    assert all(check_folder(place_of(tmp_path, update)) is None for update in updates_in(tmp_path))


def test_a_plateau_shrinks_the_rate_after_its_patience(tmp_path: Path) -> None:
    schedule = {"kind": "plateau", "factor": 0.5, "patience": 2}
    scores = [1.0, 2.0, 2.0, 1.0, 1.0, 1.0, 3.0, 1.0, 1.0]
    told: list[Event] = []
    trainer = new_trainer(
        tmp_path,
        validate=scripted(scores),
        validate_every=1,
        schedule=schedule,
        early_stop=0,
        total_updates=9,
        tell=told.append,
    )
    trainer.run()
    rates = [event["rate"] for event in told if event["event"] == "update"]
    # worse, worse: halved after the 4th; again after the 6th; a better one starts the count anew; again after the 9th
    assert rates == [0.01, 0.01, 0.01, 0.01, 0.005, 0.005, 0.0025, 0.0025, 0.0025]
    assert trainer.progress.shrinks == 3


def test_a_stopped_run_saves_what_it_has(tmp_path: Path) -> None:
    trainer = stop_at(new_trainer(tmp_path), 0)
    assert trainer.run() == "signal 15"
    checkpoint = latest_checkpoint(tmp_path, pytest.fail)
    assert isinstance(checkpoint, Checkpoint)
    assert checkpoint.progress.update == 0
    assert checkpoint.data_digest == "digest"


def test_bf16_trains_too_and_leaves_the_weights_in_fp32(tmp_path: Path) -> None:
    trainer = new_trainer(tmp_path, precision="bf16", total_updates=40, rate=0.02)
    before = trainer.validate().report["value"]
    trainer.run()
    assert trainer.validate().report["value"] < before
    assert trainer.progress.skipped == 0
    assert {parameter.dtype for parameter in trainer.model.parameters()} == {torch.float32}


def test_a_signal_ends_a_validation_at_once_and_whoever_resumes_does_it(tmp_path: Path) -> None:
    changes = {"validate_every": 5, "schedule": {"kind": "plateau", "patience": 1}, "average": 2}
    whole = new_trainer(tmp_path / "whole", **changes, validate=scripted([3.0, 1.0, 2.0, 4.0]))
    whole.run()

    def signalled() -> Validation:
        trainer.interrupt.note(15)
        raise AssertionError("the validation goes on")

    scores = iter([3.0, 2.0, 4.0])
    trainer = new_trainer(tmp_path / "cut", **changes)
    trainer.validate = lambda: Validation((next(scores), 0.0), {}) if trainer.progress.update == 5 else signalled()
    assert trainer.run() == "signal 15"
    assert (trainer.progress.update, trainer.progress.unvalidated) == (10, True)
    again = go_on(new_trainer(tmp_path / "cut", **changes, validate=scripted([1.0, 2.0, 4.0])))
    again.run()
    assert state(again) == state(whole)
    trainer = new_trainer(tmp_path / "last", **changes, total_updates=5, validate=signalled)
    assert trainer.run() == "signal 15"
    again = go_on(new_trainer(tmp_path / "last", **changes, total_updates=5, validate=scripted([1.0])))
    assert again.run() == "all updates done"
    assert again.progress.best == [((1.0, 0.0), 5)]
