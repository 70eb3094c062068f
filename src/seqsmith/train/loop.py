"""The training loop: teacher-forced backpropagation through time over planned batches, until something says stop.

What comes next depends on the data's digest, the settings and the integers of `Progress` alone: batches are planned
from (seed, epoch), and the noise of a batch is seeded by (seed, update, its place in the update). So a resumed run is
the run that never stopped, and it does not matter which of several processes computes a batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from seqsmith import config, runtime
from seqsmith.errors import Diverged
from seqsmith.objective.token import Loss
from seqsmith.tensors import load_tensors, tensors_of
from seqsmith.train.checkpoint import Checkpoint, Progress, place_of, prune, save_checkpoint
from seqsmith.train.journal import Event
from seqsmith.train.optimizer import MovingAverage, new_optimizer, optimizer_tensors, restore_optimizer
from seqsmith.train.ranks import Rank
from seqsmith.train.schedule import learning_rate

_MOST_SKIPPED = 20  # updates in a row whose gradient is not finite: then the run has diverged
_TELL_EVERY_SECONDS = 0.5


class Batches(Protocol):
    """The batches of an epoch, planned before it begins. Each has a target with a count, and moves `to` a device."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Any: ...


@dataclass(frozen=True)
class Validation:
    """What a validation found; `score` is what tells the best checkpoint, larger being better, the second number
    deciding between equal first ones."""

    score: tuple[float, float]
    report: Event


@dataclass
class Trainer:
    """All that a run works with. Functions stand for what training must not know: models, search, scores."""

    model: nn.Module
    loss: Callable[[Any, float], Loss]  # of a batch and the share of own words to feed back (scheduled sampling)
    batches: Callable[[int], Batches]  # of an epoch
    validate: Callable[[], Validation]  # of the model as it is
    settings: config.Train
    seed: int
    total_updates: int
    device: torch.device
    precision: runtime.Precision
    folder: Path  # of the checkpoints
    data_digest: str
    tell: Callable[[Event], None]
    interrupt: runtime.Interrupt = field(default_factory=runtime.Interrupt)
    rank: Rank = field(default_factory=Rank)  # among the processes that train together
    progress: Progress = field(default_factory=Progress)
    optimizer: torch.optim.AdamW = field(init=False)
    average: MovingAverage | None = field(init=False)
    _meter: Meter = field(init=False)

    def __post_init__(self) -> None:
        settings = self.settings
        self.optimizer = new_optimizer(self.model, beta2=settings.beta2, weight_decay=settings.weight_decay)
        self.average = MovingAverage(self.model, settings.ema) if settings.ema else None
        self._meter = Meter()

    # -------------------------------------------------------------------------------------- the run

    def run(self) -> str:
        """Train until an end is reached; returns its reason. The newest checkpoint holds the state at the end."""
        try:
            return self._run()
        except Diverged as error:
            self.tell({"event": "end", "reason": str(error), "update": self.progress.update})
            raise

    def _run(self) -> str:
        began = perf_counter() - self.progress.seconds
        self.model.train()
        if self.progress.unvalidated:
            self.validate_now()
        reason = self._ended()
        while reason is None:
            reason = self._epoch(self.batches(self.progress.epoch), began)
        self.progress.seconds = perf_counter() - began
        if not self.progress.best and not reason.startswith("signal"):
            self.validate_now()
            reason = self._ended() or reason
        if not place_of(self.folder, self.progress.update).exists():
            self._save()
        self.tell({"event": "end", "reason": reason, "update": self.progress.update, "seconds": self.progress.seconds})
        return reason

    def _epoch(self, batches: Batches, began: float) -> str | None:
        """The rest of an epoch; returns why the run ends, if it does."""
        progress, settings = self.progress, self.settings
        assert settings.validate_every is not None
        while progress.batch < len(batches):
            group = range(progress.batch, min(progress.batch + settings.accumulate, len(batches)))
            self._update(batches, group)
            progress.batch = group.stop
            progress.seconds = perf_counter() - began
            if progress.batch == len(batches):
                progress.epoch, progress.batch = progress.epoch + 1, 0
            due = progress.update % settings.validate_every == 0 or progress.update == self.total_updates
            if self._meter.tokens and (due or self._meter.seconds > _TELL_EVERY_SECONDS):
                self._tell_update()
            if due:
                self.validate_now()
            reason = self._ended()
            if reason is not None or progress.batch == 0:
                return reason
        progress.epoch, progress.batch = progress.epoch + 1, 0  # small weights can leave an epoch without a batch
        return None

    def _ended(self) -> str | None:
        progress, settings = self.progress, self.settings
        number, seconds = self.rank.max_over_all(self.interrupt() or 0, progress.seconds)
        if number:
            return f"signal {number:.0f}"
        if progress.update >= self.total_updates:
            return "all updates done"
        if settings.early_stop and progress.stale >= settings.early_stop:
            return f"no better score in {progress.stale} validations"
        if settings.minutes is not None and seconds >= settings.minutes * 60:
            return f"{settings.minutes:g} minutes are over"
        return None

    # -------------------------------------------------------------------------------------- one update

    def _update(self, batches: Batches, group: range) -> None:
        """One step of the optimizer on the mean loss over all target positions of a group of batches."""
        began = perf_counter()
        progress = self.progress
        own = {index: batches[index] for index in self.rank.share(group)}
        count = int(self.rank.sum_over_all(sum(batch.target.count for batch in own.values())))
        share = self.settings.scheduled_sampling * progress.update / self.total_updates
        self.optimizer.zero_grad(set_to_none=True)
        nats = torch.zeros(2, device=self.device)  # of the loss, and of the truth
        for index, batch in own.items():
            runtime.seed_batch(self.seed, progress.update, index - group.start)
            with runtime.precision_context(self.precision, self.device):
                loss = self.loss(batch.to(self.device), share)
            (loss.loss_nats / count).backward()  # type: ignore[no-untyped-call]
            nats += torch.stack([loss.loss_nats.detach(), loss.truth_nats])
        parameters = list(self.model.parameters())
        nats = self.rank.sum_gradients(parameters, nats)
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.settings.clip)
        loss_nats, truth_nats, size = torch.stack([*nats, norm]).tolist()  # all that is read of an update: a GPU waits
        progress.update += 1
        if math.isfinite(size):
            self._step()
            progress.skipped_in_a_row = 0
            self._meter.add(loss_nats, truth_nats, size, tokens=count, seconds=perf_counter() - began)
        else:
            self._skip()

    def _step(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        self.optimizer.step()
        if self.average is not None:
            self.average.follow(self.model, self.progress.update)

    def _skip(self) -> None:
        self.progress.skipped += 1
        self.progress.skipped_in_a_row += 1
        self.tell({"event": "skip", "update": self.progress.update, "why": "the gradient is not finite"})
        if self.progress.skipped_in_a_row >= _MOST_SKIPPED:
            raise self._diverged(
                f"{_MOST_SKIPPED} updates in a row had no finite gradient (update {self.progress.update})"
            )

    def _diverged(self, what: str) -> Diverged:
        remedy = f"Lower train.rate (now {self.settings.rate:g})"
        remedy += " or use train.precision=fp32" if self.precision != "fp32" else ""
        return Diverged(f"training diverged: {what}. {remedy}.")

    def rate(self) -> float:
        """The learning rate of the present update."""
        assert self.settings.rate is not None
        assert self.settings.schedule is not None
        return learning_rate(
            self.progress.update,
            peak=self.settings.rate,
            schedule=self.settings.schedule,
            total_updates=self.total_updates,
            shrinks=self.progress.shrinks,
        )

    def _tell_update(self) -> None:
        """Tell what happened since the last time."""
        progress, meter = self.progress, self._meter
        self._meter = Meter()
        self.tell(
            {
                "event": "update",
                "update": progress.update,
                "epoch": progress.epoch,
                "rate": self.rate(),
                "seconds": progress.seconds,
                **meter.read(),
            }
        )

    # -------------------------------------------------------------------------------------- validation

    def validate_now(self) -> None:
        """Score the model as it is, remember the best, save; a signal ends it at once, to be done by whoever resumes.

        Raises Diverged where the model gives no numbers any more.
        """
        progress = self.progress
        began = perf_counter()
        validation = self._validation() if self.rank.leads else Validation((0.0, 0.0), {})
        first, second, done = self.rank.broadcast(*(validation.score if validation else (0.0, 0.0)), bool(validation))
        progress.unvalidated = not done
        if validation is None or not done:
            return
        validation = replace(validation, score=(first, second))
        better = not progress.best or validation.score > progress.best[0][0]
        progress.stale = 0 if better else progress.stale + 1
        self._shrink(better)
        keep = max(1, self.settings.average or 1)
        progress.best = sorted([*progress.best, (validation.score, progress.update)], reverse=True)[:keep]
        self.tell(
            {
                "event": "validation",
                "update": progress.update,
                "epoch": progress.epoch,
                "best": better,
                "validation_seconds": perf_counter() - began,
                **validation.report,
            }
        )
        self._save()

    def _validation(self) -> Validation | None:
        """Of the model as it is; None where a signal came."""
        with self.evaluated():
            try:
                with self.interrupt.at_once():
                    validation = self.validate()
            except runtime.Interrupted:
                return None
            except FloatingPointError as error:
                update = self.progress.update
                raise self._diverged(f"at the validation of update {update}, {error}") from None
        if any(map(math.isnan, validation.score)):
            raise self._diverged(f"at the validation of update {self.progress.update}, the score is not a number")
        return validation

    def _shrink(self, better: bool) -> None:
        schedule, progress = self.settings.schedule, self.progress
        progress.since_shrink = 0 if better else progress.since_shrink + 1
        if isinstance(schedule, config.Plateau) and progress.since_shrink >= schedule.patience:
            progress.shrinks, progress.since_shrink = progress.shrinks + 1, 0

    @contextmanager
    def evaluated(self) -> Iterator[None]:
        """Within, the model is as it will be used: in evaluation mode, with averaged weights where there are any."""
        trained: dict[str, Tensor] = {}
        if self.average is not None:
            own = dict(self.model.named_parameters())
            trained = {name: parameter.detach().clone() for name, parameter in own.items()}
            _copy(self.average.tensors, own)
        self.model.eval()
        try:
            yield
        finally:
            self.model.train()
            _copy(trained, dict(self.model.named_parameters()))

    # -------------------------------------------------------------------------------------- state

    def _save(self) -> None:
        if not self.rank.leads:
            return
        checkpoint = Checkpoint(
            tensors_of(self.model),
            optimizer_tensors(self.model, self.optimizer),
            self.average.tensors if self.average else {},
            self.progress,
            self.data_digest,
        )
        save_checkpoint(self.folder, checkpoint)
        self.tell({"event": "checkpoint", "update": self.progress.update})
        prune(self.folder, keep=[update for _, update in self.progress.best])

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of the same settings and data."""
        load_tensors(self.model, checkpoint.weights, where="checkpoint")
        restore_optimizer(self.model, self.optimizer, checkpoint.optimizer)
        if self.average is not None and checkpoint.average:
            _copy(checkpoint.average, self.average.tensors)
        self.progress = checkpoint.progress


@torch.no_grad()
def _copy(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    for name, tensor in source.items():
        target[name].copy_(tensor)


@dataclass
class Meter:
    """Sums between two reports."""

    updates: int = 0
    loss_nats: float = 0.0
    truth_nats: float = 0.0
    norms: float = 0.0  # of the gradients
    tokens: int = 0
    seconds: float = 0.0

    def add(self, loss_nats: float, truth_nats: float, norm: float, *, tokens: int, seconds: float) -> None:
        self.updates += 1
        self.loss_nats += loss_nats
        self.truth_nats += truth_nats
        self.norms += norm
        self.tokens += tokens
        self.seconds += seconds

    def read(self) -> Event:
        return {
            "loss": self.loss_nats / self.tokens,
            "nats_per_token": self.truth_nats / self.tokens,
            "gradient_norm": self.norms / self.updates,
            "tokens_per_second": self.tokens / self.seconds,
        }
