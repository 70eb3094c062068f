"""From settings to a trained model folder: the composition root, to be read top to bottom."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seqsmith import config, runtime
from seqsmith.batch import Batch
from seqsmith.bundle import Bundle, new_model, open_bundle
from seqsmith.cli.card import describe
from seqsmith.cli.display import Display
from seqsmith.cli.finetune import inherit, inherited_settings
from seqsmith.cli.finish import finish
from seqsmith.cli.lock import run_lock
from seqsmith.cli.prepare import (
    Pairs,
    Prepared,
    encode_pairs,
    grow_codecs,
    learn_codecs,
    read_pairs,
    resolve,
    with_answer_length,
)
from seqsmith.cli.program import command
from seqsmith.cli.validate import Validator
from seqsmith.cli.write import replacing
from seqsmith.data.plan import plan_epoch
from seqsmith.data.prepare import Encoded
from seqsmith.errors import UserError
from seqsmith.featurise import Featuriser, TrainingBatches
from seqsmith.folder import check_folder, write_folder
from seqsmith.model.seq2seq import Seq2Seq
from seqsmith.objective.teacher import teacher_forced
from seqsmith.objective.token import Loss
from seqsmith.train.checkpoint import latest_checkpoint
from seqsmith.train.journal import Event, Journal
from seqsmith.train.loop import Trainer
from seqsmith.train.tensorboard import TensorBoard, check_installed

Say = Callable[[str], None]
Tell = Callable[[Event], None]


def train(table: Mapping[str, Any], run: Path, *, resume: bool, quiet: bool = False) -> int:
    """Train by these settings in the run folder, or go on by its own; returns the exit code. Raises UserError."""
    runtime.keep_memory()
    display = Display(quiet=quiet)
    with run_lock(run):
        _check_run_folder(run, resume=resume)
        table = config.read_table(run / "config.toml") if resume else table
        return _train(table, run, resume=resume, display=display)


def _train(table: Mapping[str, Any], run: Path, *, resume: bool, display: Display) -> int:
    prepared, model = _prepare(table, run, resume=resume, say=display.say)
    device = runtime.choose_device(prepared.settings.train.device)
    model.to(device)
    prepared = _with_precision(prepared, model, device, display.say)
    if not resume:
        with replacing(run / "config.toml") as file:
            file.write(config.dump(prepared.settings))
    validator = Validator(prepared, model, device)
    with _telling(prepared.settings, run, display) as tell:
        return _fit(prepared, validator, run, tell, display, resume=resume)


def _fit(prepared: Prepared, validator: Validator, run: Path, tell: Tell, display: Display, *, resume: bool) -> int:
    """Train and make the model folder, or stop when a signal says so; returns the exit code."""
    with runtime.interruptible() as interrupted:
        trainer = _trainer(prepared, validator, run, tell, interrupted)
        if resume:
            _restore(trainer, display.say)
        tell({"event": "start", "settings": prepared.settings.model_dump(mode="json"), **runtime.environment()})
        with display.progress(trainer.total_updates, trainer.progress.update):
            reason = trainer.run()
    if not reason.startswith("signal"):
        try:
            finish(prepared, trainer, validator, run, display)
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


# ------------------------------------------------------------------------------------------------ data and model


def _prepare(table: Mapping[str, Any], run: Path, *, resume: bool, say: Say) -> tuple[Prepared, Seq2Seq]:
    """Data, vocabularies, settings and a new model: made from the user's settings, or as the run folder has them."""
    section = table.get("train")
    start_from = section.get("start_from") if isinstance(section, Mapping) else None
    begun = any((run / "checkpoints").glob("step-*"))
    older = open_bundle(Path(start_from)) if isinstance(start_from, str) and not begun else None
    if older is not None and not resume:
        table = inherited_settings(table, older.settings)
    draft = config.draft(table, where="settings")
    runtime.choose_device(draft.train.device)  # what is missing on this machine is told before the long work
    if draft.train.tensorboard:
        check_installed()
    runtime.use_threads(draft.train.threads)
    pairs = read_pairs(draft.data, seed=draft.seed, say=say)
    settings = draft if resume else resolve(table, pairs, say)
    featuriser = _featuriser(settings, pairs, run, older, resume=resume)
    train, dev = encode_pairs(settings, pairs, featuriser, say)
    prepared = Prepared(with_answer_length(settings, train), pairs, featuriser, train, dev)
    if not len(_batches(prepared, 0)):
        raise UserError("data.train: the weights of the corpora leave no pair to train on: raise a weight.")
    runtime.seed_everything(settings.seed)
    model = new_model(prepared.settings, featuriser)
    if older is not None:
        inherit(model, featuriser, older)
    say(f"Model: {describe(settings.model)}, {runtime.parameter_count(model):,} parameters.")
    return prepared, model


def _featuriser(
    settings: config.Settings, pairs: Pairs, run: Path, older: Bundle | None, *, resume: bool
) -> Featuriser:
    folder = run / "vocabulary"
    if resume:
        wrong = check_folder(folder)
        if wrong is not None:
            raise UserError(f"{folder}: damaged: {wrong}. This run cannot go on: start it again in another --out.")
        return Featuriser.open(folder, settings)
    separator = settings.data.features_separator
    featuriser = learn_codecs(settings, pairs) if older is None else grow_codecs(older, pairs, separator=separator)
    write_folder(folder, featuriser.save)
    return featuriser


def _with_precision(prepared: Prepared, model: Seq2Seq, device: torch.device, say: Say) -> Prepared:
    """Settle the precision by trying both on a batch of the data."""
    settings = prepared.settings
    if settings.train.precision != "auto":
        return prepared
    batch = _batches(prepared, 0)[0].to(device)
    loss = _loss(model, settings)

    def work() -> None:
        loss(batch, 0.0).loss_nats.backward()  # type: ignore[no-untyped-call]

    model.train()
    precision, gain = runtime.faster_precision(work, device)
    model.zero_grad(set_to_none=True)
    say(f"Precision: {precision}; bf16 runs at {gain:.2f} times the speed of fp32 on this machine and model.")
    train = settings.train.model_copy(update={"precision": precision})
    return replace(prepared, settings=settings.model_copy(update={"train": train}))


# ------------------------------------------------------------------------------------------------ training


def _trainer(
    prepared: Prepared,
    validator: Validator,
    run: Path,
    tell: Tell,
    interrupted: Callable[[], int | None],
) -> Trainer:
    settings = prepared.settings
    precision = settings.train.precision
    assert precision != "auto"
    return Trainer(
        model=validator.model,
        loss=_loss(validator.model, settings),
        batches=lambda epoch: _batches(prepared, epoch),
        validate=validator.validate,
        settings=settings.train,
        seed=settings.seed,
        total_updates=_total_updates(prepared),
        device=validator.device,
        precision=precision,
        folder=run / "checkpoints",
        data_digest=prepared.train.digest,
        tell=tell,
        interrupted=interrupted,
    )


def _loss(model: Seq2Seq, settings: config.Settings) -> Callable[[Batch, float], Loss]:
    smoothing, coverage = settings.train.label_smoothing or 0.0, settings.model.coverage

    def loss(batch: Batch, own_words: float) -> Loss:
        return teacher_forced(model, batch, smoothing=smoothing, own_words=own_words, coverage=coverage)

    return loss


def _batches(prepared: Prepared, epoch: int) -> TrainingBatches:
    """The batches of an epoch: a pure function of the data, the settings and the epoch."""
    settings = prepared.settings
    train = prepared.train
    assert settings.train.batch_tokens is not None
    plan = plan_epoch(
        train.source.lengths,
        train.target.lengths,
        batch_tokens=settings.train.batch_tokens,
        seed=settings.seed,
        epoch=epoch,
        weight=_weights(train, settings.data),
    )
    return TrainingBatches(train, plan, prepared.featuriser, settings, epoch)


def _weights(train: Encoded, data: config.Data) -> NDArray[np.float32] | None:
    weights = np.array([corpus.weight for corpus in data.train], np.float32)
    return None if (weights == 1.0).all() else weights[train.corpus]


def _total_updates(prepared: Prepared) -> int:
    """Where the run ends at the latest: at so many updates, or at the end of so many epochs."""
    settings = prepared.settings.train
    most = []
    if settings.updates is not None:
        most.append(settings.updates)
    if settings.epochs is not None:
        most.append(settings.epochs * -(-len(_batches(prepared, 0)) // settings.accumulate))
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
            f"{trainer.folder.parent}: the data has changed since this run began, so it cannot go on as if it had not. "
            "Put the data back, or start a new run with --set train.start_from=... in another --out."
        )
    trainer.restore(checkpoint)
    say(f"Going on after update {trainer.progress.update:,}.")
