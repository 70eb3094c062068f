"""From settings to a trained model folder: the composition root, to be read top to bottom.

What differs between kinds of data is a `Task`; the rest of a run is here.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from seqsmith import config, runtime
from seqsmith.cli.display import Display
from seqsmith.cli.kind import kind_of, with_kind
from seqsmith.cli.lock import run_lock
from seqsmith.cli.program import command
from seqsmith.cli.series_task import open_series_task
from seqsmith.cli.task import Task
from seqsmith.cli.text_task import open_text_task
from seqsmith.cli.vector_task import open_vector_task
from seqsmith.cli.write import replacing
from seqsmith.data.files import suffix
from seqsmith.errors import UserError
from seqsmith.train.checkpoint import latest_checkpoint, tensors_of
from seqsmith.train.journal import Event, Journal
from seqsmith.train.loop import Trainer
from seqsmith.train.ranks import Ranks, joined
from seqsmith.train.tensorboard import TensorBoard, check_installed

Say = Callable[[str], None]
Tell = Callable[[Event], None]


def train(table: Mapping[str, Any], run: Path, *, resume: bool, quiet: bool = False) -> int:
    """Train by these settings in the run folder, or go on by its own; returns the exit code. Raises UserError."""
    runtime.keep_memory()
    with joined() as ranks:
        if not ranks.leads:
            return _follow(run, ranks, resume=resume)
        display = Display(quiet=quiet)
        with run_lock(run):
            _check_run_folder(run, resume=resume)
            table = config.read_table(run / "config.toml") if resume else _shared(table, ranks, display.say)
            return _lead(table, run, ranks, display, resume=resume)


def _lead(table: Mapping[str, Any], run: Path, ranks: Ranks, display: Display, *, resume: bool) -> int:
    """Settle everything, write it down, and train with those who follow."""
    task = _with_precision(_open_task(table, run, ranks, resume=resume, say=display.say), display.say)
    if not resume:
        with replacing(run / "config.toml") as file:
            file.write(config.dump(task.settings))
    ranks.wait()
    with _telling(task.settings, run, display) as tell:
        return _fit(task, run, ranks, tell, display, resume=resume)


def _follow(run: Path, ranks: Ranks, *, resume: bool) -> int:
    """Wait for what the leader wrote down, then train with it in silence."""
    ranks.wait()
    display = Display(quiet=True)
    task = _open_task(config.read_table(run / "config.toml"), run, ranks, resume=True, say=display.say)
    return _fit(task, run, ranks, lambda _event: None, display, resume=resume)


def _shared(table: Mapping[str, Any], ranks: Ranks, say: Say) -> Mapping[str, Any]:
    """With a batch of each update for every process, where the user did not say how many batches an update has."""
    if ranks.size == 1 or "accumulate" in table.get("train", {}):
        return table
    say(f"{ranks.size} processes train together: train.accumulate = {ranks.size}, a batch of each update for each.")
    return config.merge(table, {"train": {"accumulate": ranks.size}})


def _open_task(table: Mapping[str, Any], run: Path, ranks: Ranks, *, resume: bool, say: Say) -> Task:
    """Read the data and make the model. What is missing on this machine is told before the long work."""
    settings = config.draft({"train": table.get("train", {})}, where="settings").train
    device = runtime.choose_device(settings.device)
    ranks.use(device)
    if settings.tensorboard:
        check_installed()
    runtime.use_threads(settings.threads)
    table = table if resume else with_kind(table, say)
    if kind_of(table) != "series":
        return open_text_task(table, run, device, resume=resume, say=say)
    if suffix(str(table["data"]["train"][0]["path"])) == ".npz":
        return open_vector_task(table, device, resume=resume, say=say)
    return open_series_task(table, device, resume=resume, say=say)


def _fit(task: Task, run: Path, ranks: Ranks, tell: Tell, display: Display, *, resume: bool) -> int:
    """Train and let the leader make the model folder, or stop when a signal says so; returns the exit code."""
    with runtime.interruptible() as interrupted:
        trainer = _trainer(task, run, tell, interrupted, ranks)
        if resume:
            _restore(trainer, display.say)
        ranks.spread(tensors_of(task.model).values())
        facts = {**runtime.environment(), "processes": ranks.size}
        tell({"event": "start", "settings": task.settings.model_dump(mode="json"), **facts})
        with display.progress(trainer.total_updates, trainer.progress.update):
            reason = trainer.run()
    if not reason.startswith("signal"):
        try:
            if ranks.leads:
                task.finish(trainer, run, display)
            return 0
        except KeyboardInterrupt:  # all updates are saved by now
            reason = f"signal {int(signal.SIGINT)}"
    display.say(f"Stopped and saved. Go on with: {command('train', '--resume', '--out', run)}")
    return 128 + int(reason.split()[1])


@contextmanager
def _telling(settings: config.Settings, run: Path, display: Display) -> Iterator[Tell]:
    """Within, what is told goes to the journal, to whoever looks, and to TensorBoard if that is wanted."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(closing(Journal(run / "journal.jsonl"))).write, display.show]
        if settings.train.tensorboard:
            listeners.append(stack.enter_context(closing(TensorBoard(run / "tensorboard"))).write)

        def tell(event: Event) -> None:
            for listener in listeners:
                listener(event)

        yield tell


def _check_run_folder(run: Path, *, resume: bool) -> None:
    begun = (run / "config.toml").exists()
    if resume and not begun:
        raise UserError(f"{run}: nothing to resume: it has no config.toml. Start it without --resume.")
    if begun and not resume:
        raise UserError(f"{run}: holds a run already. Go on with --resume, or choose another --out.")
    (run / "checkpoints").mkdir(exist_ok=True)


# ------------------------------------------------------------------------------------------------ training


def _with_precision(task: Task, say: Say) -> Task:
    """Settle the precision by trying both on a batch of the data."""
    settings = task.settings
    if settings.train.precision != "auto":
        return task
    batch = task.batches(0)[0].to(task.device)

    def work() -> None:
        task.loss(batch, 0.0).loss_nats.backward()  # type: ignore[no-untyped-call]

    task.model.train()
    precision, gain = runtime.faster_precision(work, task.device)
    task.model.zero_grad(set_to_none=True)
    say(f"Precision: {precision}; bf16 runs at {gain:.2f} times the speed of fp32 on this machine and model.")
    train = settings.train.model_copy(update={"precision": precision})
    return task.with_settings(settings.model_copy(update={"train": train}))


def _trainer(task: Task, run: Path, tell: Tell, interrupted: Callable[[], int | None], ranks: Ranks) -> Trainer:
    settings = task.settings
    precision = settings.train.precision
    assert precision != "auto"
    return Trainer(
        model=task.model,
        loss=task.loss,
        batches=task.batches,
        validate=task.validate,
        settings=settings.train,
        seed=settings.seed,
        total_updates=_total_updates(task),
        device=task.device,
        precision=precision,
        folder=run / "checkpoints",
        data_digest=task.data_digest,
        tell=tell,
        interrupted=interrupted,
        ranks=ranks,
    )


def _total_updates(task: Task) -> int:
    """Where the run ends at the latest: at so many updates, or at the end of so many epochs."""
    settings = task.settings.train
    most = []
    if settings.updates is not None:
        most.append(settings.updates)
    if settings.epochs is not None:
        most.append(settings.epochs * -(-len(task.batches(0)) // settings.accumulate))
    return min(most)


def _restore(trainer: Trainer, say: Say) -> None:
    if not trainer.ranks.leads:
        trainer.ranks.wait()  # for the leader to set damaged checkpoints aside
    checkpoint = latest_checkpoint(trainer.folder, say)
    if trainer.ranks.leads:
        trainer.ranks.wait()
    if checkpoint is None:
        if trainer.settings.start_from and any(trainer.folder.glob(".corrupt-*")):
            raise UserError(
                f"{trainer.folder}: every checkpoint is damaged, so this run cannot go on. "
                "Start it again in another --out."
            )
        say("No checkpoint yet: starting from the beginning.")
        return
    if checkpoint.data_digest != trainer.data_digest:
        raise UserError(
            f"{trainer.folder.parent}: the data has changed since this run began, so it cannot go on as if it had not. "
            "Put the data back, or start a new run with --set train.start_from=... in another --out."
        )
    trainer.restore(checkpoint)
    say(f"Going on after update {trainer.progress.update:,}.")
