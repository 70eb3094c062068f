"""Pairs whose target is text: the task of translating, transcribing, inflecting."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from seqsmith import config, runtime
from seqsmith.batch import Batch
from seqsmith.batches import TrainingBatches, planned_lengths
from seqsmith.bundle import Bundle, new_model, open_bundle
from seqsmith.cli.card import describe
from seqsmith.cli.display import Display
from seqsmith.cli.finetune import inherit, inherited_settings
from seqsmith.cli.finish import finish
from seqsmith.cli.meaningless import refuse_meaningless
from seqsmith.cli.prepare import (
    Pairs,
    Prepared,
    encode_pairs,
    grow_codecs,
    learn_codecs,
    places,
    read_pairs,
    resolve,
    tell_impossible,
    with_answer_length,
)
from seqsmith.cli.program import Say
from seqsmith.cli.validate import Validator
from seqsmith.data.files import explained
from seqsmith.data.plan import plan_epoch
from seqsmith.data.prepare import Encoded
from seqsmith.errors import UserError
from seqsmith.featurise import Featuriser
from seqsmith.folder import check_folder, write_folder
from seqsmith.model.seq2seq import Seq2Seq
from seqsmith.model_folder import ModelFolder
from seqsmith.objective.teacher import teacher_forced
from seqsmith.objective.token import Loss
from seqsmith.speech.names import telling_where
from seqsmith.train.checkpoint import updates_in
from seqsmith.train.loop import Trainer, Validation


@dataclass(frozen=True)
class TextTask:
    """A `Task`: encoded pairs, and a model that is scored by its answers to dev."""

    prepared: Prepared
    validator: Validator
    _batches: dict[int, TrainingBatches] = field(default_factory=dict, init=False, repr=False)  # of the last epoch

    @property
    def settings(self) -> config.Settings:
        return self.prepared.settings

    @property
    def model(self) -> Seq2Seq:
        return self.validator.model

    @property
    def device(self) -> torch.device:
        return self.validator.device

    @property
    def data_digest(self) -> str:
        return self.prepared.train.digest

    def with_settings(self, settings: config.Settings) -> Self:
        prepared = replace(self.prepared, settings=settings)
        return replace(self, prepared=prepared, validator=replace(self.validator, prepared=prepared))

    def loss(self, batch: Batch, own_share: float) -> Loss:
        model = self.settings.model
        return teacher_forced(
            self.model,
            batch,
            smoothing=self.settings.train.label_smoothing or 0.0,
            own_words=own_share,
            coverage=model.coverage,
            ctc=model.ctc or 0.0,
            r_drop=self.settings.train.r_drop,
        )

    def batches(self, epoch: int) -> TrainingBatches:
        if epoch not in self._batches:
            self._batches.clear()  # two plans of many pairs would be too much
            self._batches[epoch] = _batches(self.prepared, epoch)
        return self._batches[epoch]

    def validate(self) -> Validation:
        return self.validator.validate()

    def finish(self, trainer: Trainer, run: Path, display: Display) -> None:
        finish(self.prepared, trainer, self.validator, run, display)


def open_text_task(table: Mapping[str, Any], run: Path, device: torch.device, *, resume: bool, say: Say) -> TextTask:
    """Data, vocabularies, settings and a new model: made from the user's settings, or as the run folder has them."""
    section = table.get("train")
    start_from = section.get("start_from") if isinstance(section, Mapping) else None
    begun = bool(updates_in(run / "checkpoints"))
    older = open_bundle(Path(start_from)) if isinstance(start_from, str) and not begun else None
    if older is not None and not resume:
        table = inherited_settings(table, older)
    draft = config.draft(table, where="settings")
    refuse_meaningless(draft)
    if draft.search.language_model is not None:  # not only when the first validation wants it
        _check_language_model(draft.search.language_model)
    pairs = read_pairs(draft, say=say)
    with telling_where(places(pairs)) if draft.source.kind == "speech" else nullcontext():
        settings = draft if resume else resolve(table, pairs, say)
        featuriser = _featuriser(settings, pairs, run, older, resume=resume)
        if settings.model.one_table and not resume:
            _check_one_vocabulary(settings.model.share_embeddings, featuriser)
        train, dev = encode_pairs(settings, pairs, featuriser, say)
    tell_impossible(settings, train, say)
    settings = with_answer_length(settings, train)
    prepared = Prepared(settings, pairs, featuriser.settled(settings), train, dev)
    if not len(_batches(prepared, 0)):
        raise UserError("data.train: the weights of the corpora leave no pair to train on: raise a weight.")
    runtime.seed_everything(settings.seed)
    model = new_model(prepared.settings, featuriser)
    if older is not None:
        inherit(model, featuriser, older)
        say(f"Starts from the weights of {start_from}{_new_symbols(featuriser, older.featuriser)}.")
    say(f"Model: {describe(settings.model)}, {runtime.parameter_count(model):,} parameters.")
    return TextTask(prepared, Validator(prepared, model.to(device), device))


def _check_one_vocabulary(shared: str | None, featuriser: Featuriser) -> None:
    """Raise UserError where an id is not the same symbol on both sides; other sizes are told with the model."""
    if featuriser.channels is None and featuriser.text_source.size == featuriser.target.size:
        source, target = (side.pieces(range(side.size)) for side in (featuriser.text_source, featuriser.target))
        if source != target:
            raise UserError(
                f"model.share_embeddings: '{shared}' needs one vocabulary, found other symbols on either side. "
                "Set joint_vocabulary = true, or share only 'target'."
            )


def _new_symbols(featuriser: Featuriser, older: Featuriser) -> str:
    new = [f"{featuriser.target.size - older.target.size:,} target symbols"]
    if featuriser.channels is None:
        new.insert(0, f"{featuriser.text_source.size - older.text_source.size:,} source")
    return f"; new to it: {' and '.join(new)}"


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
    return featuriser.copying(settings)


def _batches(prepared: Prepared, epoch: int) -> TrainingBatches:
    """The batches of an epoch: a pure function of the data, the settings and the epoch."""
    settings = prepared.settings
    train = prepared.train
    assert settings.train.batch_tokens is not None
    sides = planned_lengths(train, prepared.featuriser, settings, epoch)
    plan = plan_epoch(
        # what is padded costs most on the target's side of text, and on the side of the many frames of speech
        *(sides if isinstance(settings.source, config.TextSource) else sides[::-1]),
        batch_tokens=settings.train.batch_tokens,
        seed=settings.seed,
        epoch=epoch,
        weight=_weights(train, settings.data),
    )
    return TrainingBatches(train, plan, prepared.featuriser, settings, epoch)


def _weights(train: Encoded, data: config.Data) -> NDArray[np.float32] | None:
    weights = np.array([corpus.weight for corpus in data.train], np.float32)
    return None if (weights == 1.0).all() else weights[train.corpus]


def _check_language_model(path: str) -> None:
    """Raise UserError where there is neither a model folder nor a file that can be read."""
    if Path(path).is_dir():
        ModelFolder.open(Path(path))
    else:
        with explained(path), open(path, "rb"):
            pass
