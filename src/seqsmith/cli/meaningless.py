"""Settings that a kind of source has no use for: they are refused, not ignored."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from seqsmith import config
from seqsmith.errors import UserError

_WHY = {"text": "sources are text", "speech": "sources are recordings", "series": "answers are numbers"}
_MEANINGLESS = {
    "text": ("model.subsample", "model.ctc", "search.ctc", "series"),
    "speech": ("series", "joint_vocabulary", "data.features"),
    "series": (
        *("model.embedding", "model.share_embeddings", "model.copy_source", "model.coverage"),
        *("model.subsample", "model.ctc", "train.label_smoothing", "train.r_drop"),
        *("joint_vocabulary", "target", "search", "data.source", "data.target", "data.features"),
        *("data.features_separator", "data.audio_folder", "data.dev_pairs"),
        *("data.longest_source", "data.longest_target"),
    ),
}


_OF_VECTORS = {"patch", "loss", "decoding", "rollouts", "samples", "dev_share"}  # of series: all that pairs have


def refuse_meaningless_for_vectors(settings: config.Settings) -> None:
    """The same, for pairs of vector sequences, which have no columns, no time and no windows."""
    refuse_meaningless(settings)
    said = settings.model_dump(exclude_defaults=True).get("series") or {}
    for name in said:
        if name not in _OF_VECTORS:
            raise UserError(f"series.{name}: means nothing where a file has pairs of vector sequences. Leave it out.")


def refuse_meaningless(settings: config.Settings) -> None:
    """Raise UserError for the first that was set."""
    kind = settings.source.kind
    if any(corpus.weight != 1.0 for corpus in settings.data.dev):
        raise UserError("data.dev: pairs that only are scored have no weight. Leave it out.")
    taken: dict[config.Column, str] = {}
    for role in ("source", "target", "features"):
        column = getattr(settings.data, role)
        if column is not None and (other := taken.setdefault(column, role)) != role:
            raise UserError(f"data.{role}: found the column {column!r}, which is that of data.{other}. Name another.")
    if kind == "series" and settings.train.score is not None:
        raise UserError(f"train.score: found {settings.train.score!r}; models of numbers are chosen by their own loss.")
    if kind == "series" and settings.train.start_from is not None:
        raise UserError("train.start_from: models of numbers cannot be fine-tuned yet. Train on all data at once.")
    if settings.series is not None:
        _check_fed(settings.series, settings.train)
    if settings.model.ctc == 1.0 and settings.search.ctc not in (None, 1.0):
        raise UserError("search.ctc: where model.ctc = 1, only the CTC head is trained. Leave search.ctc out.")
    if settings.model.ctc == 0.0 and settings.search.ctc:
        raise UserError("search.ctc: where model.ctc = 0, there is no CTC head. Leave search.ctc out.")
    if settings.search.sample:
        raise UserError("search.sample: training scores the best answers, it draws none. Give it to predict instead.")
    said = settings.model_dump(exclude_defaults=True)
    for place in _MEANINGLESS[kind]:
        found: Any = said
        for name in place.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        if found:
            whole = f"{place}.{next(iter(found))}" if isinstance(found, dict) else place
            raise UserError(f"{whole}: means nothing where {_WHY[kind]}. Leave it out.")


def _check_fed(series: config.Series, train: config.Train) -> None:
    """Raise UserError where a model of numbers is to be fed its own answers, and is fed none."""
    if series.decoding == "direct" and train.scheduled_sampling:
        raise UserError("train.scheduled_sampling: where series.decoding = 'direct', nothing is fed. Leave it out.")
    if series.rollouts and train.scheduled_sampling:
        raise UserError(
            "train.scheduled_sampling: with series.rollouts all that is fed is the model's own. Leave it out."
        )
    if (series.rollouts or train.scheduled_sampling) and (series.patch or 0) >= (series.horizon or math.inf):
        name = "series.rollouts" if series.rollouts else "train.scheduled_sampling"
        raise UserError(
            f"{name}: a horizon of {series.horizon:,} is one step of the model where series.patch = {series.patch:,}, "
            "and it is fed nothing of its own. Take a smaller patch."
        )


def settled(table: Mapping[str, Any]) -> config.Settings:
    """The settings when every choice is made. Raises UserError for heads where the attention has none."""
    settings = config.build(table, where="settings")
    decoder = settings.model.decoder
    recurrent = decoder if isinstance(decoder, config.RecurrentDecoder) else config.RecurrentDecoder()
    if recurrent.attention != "multihead" and recurrent.heads != config.RecurrentDecoder().heads:
        raise UserError(
            f"model.decoder.heads: means nothing with attention = {recurrent.attention!r}. "
            "Set model.decoder.attention=multihead as well, or leave it out."
        )
    return settings
