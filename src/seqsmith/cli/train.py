"""From settings to a trained model folder: the composition root, to be read top to bottom.

What differs between kinds of data is a `Task`; the rest of a run is here.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from seqsmith import config, native, runtime
from seqsmith.cli.display import Display
from seqsmith.cli.kind import kind_of, with_kind
from seqsmith.cli.lock import run_lock
from seqsmith.cli.program import Say, command
from seqsmith.cli.resume import check_settled
from seqsmith.cli.series_task import open_series_task
from seqsmith.cli.task import Task
from seqsmith.cli.text_task import open_text_task
from seqsmith.cli.vector_task import open_vector_task
from seqsmith.cli.write import replacing
from seqsmith.data.files import suffix
from seqsmith.errors import Diverged, UserError
from seqsmith.folder import NotWritten
from seqsmith.tensors import tensors_of
from seqsmith.train.checkpoint import latest_checkpoint, updates_in
from seqsmith.train.journal import Event, Journal
from seqsmith.train.loop import Trainer
from seqsmith.train.ranks import Rank, check_resources, joined
from seqsmith.train.tensorboard import TensorBoard, check_installed

Tell = Callable[[Event], None]
_TRIED = 4  # batches, on which precision and threads are tried
_WRITTEN = ("checkpoints", "journal.jsonl", "model", "tensorboard", "vocabulary")
"""What a run writes beside its settings."""


def train(table: Mapping[str, Any], run: Path, *, resume: bool, quiet: bool = False) -> int:
    """Train by these settings in the run folder, or go on by its own; returns the exit code. Raises UserError."""
    runtime.use_large_pages()
    with joined() as rank:
        if not rank.leads:
            return _follow(run, rank, resume=resume)
        display = Display(quiet=quiet)
        try:
            with run_lock(run):
                _check_run_folder(run, resume=resume)
                if resume:
                    table = config.read_table(run / "config.toml")
                    _check_folder_of_paths(table, run)
                    check_settled(run)
                    return _lead(table, run, rank, display, resume=True)
                with _unbegun_again(run):
                    return _lead(_shared(table, rank, display.say), run, rank, display, resume=False)
        except NotWritten as error:
            raise UserError(f"{error} {_what_is_left(run)}") from error
        except KeyboardInterrupt:  # outside the loop, where signals are noted and all is saved
            display.say(f"Stopped. {_what_is_left(run)}")
            return 128 + signal.SIGINT


def _what_is_left(run: Path) -> str:
    if not (run / "config.toml").exists():
        return "Nothing was begun: start again with the same command."
    return f"What was saved before is untouched. Go on with: {command('train', '--resume', '--out', run)}"


def _lead(table: Mapping[str, Any], run: Path, rank: Rank, display: Display, *, resume: bool) -> int:
    """Settle everything, write it down, and train with those who follow."""
    task = _open_task(table, run, rank, resume=resume, say=display.say)
    runtime.keep_memory()  # not before: what reading took is free again
    task = _with_kernels(task, display.say)
    if rank.size == 1 and not resume:  # the last bits depend on the threads: a run that goes on tries no others
        task = _with_threads(task, display.say)
    task = _with_precision(task, display.say)
    if rank.size > 1:
        _check_files(task.settings.data)
    if not resume:
        with replacing(run / "config.toml") as file:
            file.write(config.dump(task.settings))
    rank.wait()
    with _telling(task.settings, run, display) as tell:
        return _fit(task, run, rank, tell, display, resume=resume)


def _follow(run: Path, rank: Rank, *, resume: bool) -> int:
    """Wait for what the leader wrote down, then train with it in silence."""
    try:
        rank.wait()
    except UserError:  # the leader is gone, and says why
        return 2
    display = Display(quiet=True)
    task = _open_task(config.read_table(run / "config.toml"), run, rank, resume=True, say=display.say)
    runtime.keep_memory()
    native.use(task.settings.train.kernels == "compiled")
    try:
        return _fit(task, run, rank, lambda _event: None, display, resume=resume)
    except Diverged:
        return 3  # the leader says why


def _shared(table: Mapping[str, Any], rank: Rank, say: Say) -> Mapping[str, Any]:
    """With a batch of each update for every process, where the user did not say how many batches an update has."""
    section = table.get("train", {})
    if rank.size == 1 or not isinstance(section, Mapping) or "accumulate" in section:
        return table
    say(f"{rank.size} processes train together: train.accumulate = {rank.size}, a batch of each update for each.")
    return config.merge(table, {"train": {"accumulate": rank.size}})


def _open_task(table: Mapping[str, Any], run: Path, rank: Rank, *, resume: bool, say: Say) -> Task:
    """Read the data and make the model. What is missing on this machine is told before the long work."""
    settings = config.draft({"train": table.get("train", {})}, where="settings").train
    device = runtime.choose_device(settings.device)
    check_resources(rank, accumulate=settings.accumulate, device=device)
    if settings.tensorboard:
        check_installed()
    runtime.use_threads(settings.threads)
    table = table if resume else with_kind(table, say)
    if kind_of(table) != "series":
        return open_text_task(table, run, device, resume=resume, say=say)
    if suffix(str(table["data"]["train"][0]["path"])) == ".npz":
        return open_vector_task(table, device, resume=resume, say=say)
    return open_series_task(table, device, resume=resume, say=say)


def _fit(task: Task, run: Path, rank: Rank, tell: Tell, display: Display, *, resume: bool) -> int:
    """Train and let the leader make the model folder, or stop when a signal says so; returns the exit code."""
    with runtime.interruptible() as interrupt:
        trainer = _trainer(task, run, tell, interrupt, rank)
        _check_same_data(task.data_digest, rank)
        if resume:
            with rank.after_leader():  # who sets damaged checkpoints aside
                _restore(trainer, display.say)
        rank.broadcast_tensors(tensors_of(task.model).values())
        facts = {**runtime.environment(), "processes": rank.size}
        tell({"event": "start", "settings": task.settings.model_dump(mode="json"), **facts})
        with display.progress(trainer.total_updates, trainer.progress.update):
            reason = trainer.run()
    if not reason.startswith("signal"):
        try:
            if rank.leads:
                task.finish(trainer, run, display)
            return 0
        except KeyboardInterrupt:  # all updates are saved by now
            reason = f"signal {int(signal.SIGINT)}"
    again = command("train", "--resume", "--out", run)
    display.say(f"Stopped and saved. Go on with: {again}{' under torchrun, as before' if rank.size > 1 else ''}")
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
    found = [name for name in _WRITTEN if (run / name).exists()]
    if found and not resume:
        raise UserError(f"{run}: holds {found[0]} already, which the run would write over. Choose another --out.")
    checkpoints = run / "checkpoints"
    checkpoints.mkdir(exist_ok=True)
    for left_behind in checkpoints.glob(".tmp-*"):  # by a process that was killed while it saved
        shutil.rmtree(left_behind, ignore_errors=True)


def _check_folder_of_paths(table: Mapping[str, Any], run: Path) -> None:
    """Raise UserError where the data is not seen from here, but from the folder in which the run was begun."""
    data = config.draft({"data": table.get("data", {})}, where=str(run / "config.toml")).data
    for corpus in (*data.train, *data.dev):
        for path in filter(None, (corpus.path, corpus.target)):
            if path != "-" and not Path(path).is_absolute() and not Path(path).exists():
                raise UserError(
                    f"{run}: its data, {path}, is not in this folder. Paths of a run begin where it was begun: "
                    "go on from there, or put the data back."
                )


@contextmanager
def _unbegun_again(run: Path) -> Iterator[None]:
    """What ends a run before anything is saved must not keep the corrected command out of the folder."""
    try:
        yield
    except (UserError, MemoryError, RuntimeError, KeyboardInterrupt):  # the third is torch's, where memory is short
        if not updates_in(run / "checkpoints"):
            for name in ("config.toml", *_WRITTEN):
                place = run / name
                shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
        raise


# ------------------------------------------------------------------------------------------------ training


def _with_kernels(task: Task, say: Say) -> Task:
    """Take the compiled kernels if they are wanted and can be had. Raises UserError if they must be and cannot."""
    settings = task.settings
    wanted = settings.train.kernels
    taken = native.use(wanted != "torch" and task.device.type == "cpu")
    if wanted == "compiled" and not taken:
        raise UserError(
            "train.kernels: found 'compiled', but they cannot be compiled here. Install a C compiler (gcc) for this "
            "CPU, or take 'torch', with which training is slower."
        )
    if wanted == "auto" and task.device.type == "cpu":
        say(
            "Kernels: compiled for this machine."
            if taken
            else "Kernels: torch's alone; with a C compiler (gcc) on this machine, training would be faster."
        )
    train = settings.train.model_copy(update={"kernels": "compiled" if taken else "torch"})
    return task.with_settings(settings.model_copy(update={"train": train}))


def _with_precision(task: Task, say: Say) -> Task:
    """Settle the precision by trying both on some batches of the data."""
    settings = task.settings
    if settings.train.precision != "auto":
        return task
    with _trying(task) as work:
        precision, gain = runtime.faster_precision(work, task.device)
    say(f"Precision: {precision}; bf16 runs at {gain:.2f} times the speed of fp32 on this machine and model.")
    train = settings.train.model_copy(update={"precision": precision})
    return task.with_settings(settings.model_copy(update={"train": train}))


def _with_threads(task: Task, say: Say) -> Task:
    """Settle the number of threads by trying fewer, where nobody said how many."""
    settings, most = task.settings, runtime.threads(None)
    if task.device.type != "cpu" or settings.train.threads:
        return task
    precision = settings.train.precision
    with _trying(task) as work, runtime.precision_context("fp32" if precision == "auto" else precision, task.device):
        threads = runtime.fastest_threads(work)
    if threads == most:
        return task
    say(
        f"Threads: {threads} of {most}: more are slower, for this model is small or this machine has other work. "
        "Set train.threads to choose yourself, also before --resume."
    )
    train = settings.train.model_copy(update={"threads": threads})
    return task.with_settings(settings.model_copy(update={"train": train}))


@contextmanager
def _trying(task: Task) -> Iterator[Callable[[int], None]]:
    """Within, a training step without its update can be done, on the batch of a number."""
    planned = task.batches(0)
    batches = [planned[number] for number in range(min(len(planned), _TRIED))]  # to make them is not what is timed

    def work(number: int) -> None:
        batch = batches[number % len(batches)].to(task.device)
        task.loss(batch, 0.0).loss_nats.backward()  # type: ignore[no-untyped-call]

    task.model.train()
    yield work
    task.model.zero_grad(set_to_none=True)


def _check_files(data: config.Data) -> None:
    """Raises UserError for data that can be read only once, as every process reads it."""
    for corpus in (*data.train, *data.dev):
        for path in filter(None, (corpus.path, corpus.target)):
            if not Path(path).is_file():
                raise UserError(
                    f"{path}: every process reads the data, and this can be read only once. Put it into a file."
                )


def _check_same_data(digest: str, rank: Rank) -> None:
    own = float(int(digest[:12], 16))
    if rank.broadcast(own)[0] != own:
        raise UserError(
            f"process {rank.number} found other data than process 0. Give every process the same files, unchanged."
        )


def _trainer(task: Task, run: Path, tell: Tell, interrupt: runtime.Interrupt, rank: Rank) -> Trainer:
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
        interrupt=interrupt,
        rank=rank,
    )


def _total_updates(task: Task) -> int:
    """Where the run ends at the latest: after so many updates, or so many epochs of as many batches as the first.

    An epoch may have a batch more or less, as weights draw examples and tempos their lengths.
    """
    settings = task.settings.train
    most = []
    if settings.updates is not None:
        most.append(settings.updates)
    if settings.epochs is not None:
        most.append(settings.epochs * -(-len(task.batches(0)) // settings.accumulate))
    return min(most)


def _restore(trainer: Trainer, say: Say) -> None:
    checkpoint = latest_checkpoint(trainer.folder, say)
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
            f"{trainer.folder.parent}: the data, or how it is read ([data] in config.toml), has changed since this run "
            "began, so it cannot go on as if it had not. Put it back, or start a new run with --set "
            "train.start_from=... in another --out."
        )
    trainer.restore(checkpoint)
    say(f"Going on after update {trainer.progress.update:,}.")
