"""Training on from a model folder: the old weights move into a model whose vocabularies may have grown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from seqsmith import config
from seqsmith.bundle import Bundle
from seqsmith.errors import UserError
from seqsmith.featurise import Featuriser
from seqsmith.model.seq2seq import Seq2Seq
from seqsmith.special import UNKNOWN
from seqsmith.tensors import tensors_of

_RATE = 0.0005  # gentler than from nothing
_SPOKEN = ("target_inlet.embedding", "outlet.weight", "outlet.bias", "outlet.vocabulary.", "ctc.")
"""Weights with a row for each id of the target."""


def inherited_settings(table: Mapping[str, Any], model: Bundle) -> dict[str, Any]:
    """What the user says now over the older model's architecture and way of cutting text.

    Raises UserError where the user wants text cut in another way, since the vocabularies are the older model's, and
    where the older model takes features and the data has none.
    """
    older = model.settings
    if model.featuriser.takes_features and table.get("data", {}).get("features") is None:
        raise UserError(
            "train.start_from: that model takes a column of features, and none of this data is named: add "
            "--set data.features=..."
        )
    keep = older.model_dump(mode="json", exclude_none=True, include={"source", "target", "joint_vocabulary", "model"})
    fallback = {"train": {"rate": _RATE}, "data": {"features_separator": older.data.features_separator}}
    merged = config.merge(config.merge(keep, fallback), table)
    for name in ("source", "target", "joint_vocabulary"):
        if merged.get(name) != keep.get(name):
            raise UserError(
                f"train.start_from: {name} is set otherwise than in that model, whose vocabulary is taken over: "
                f"leave the settings of {name} out."
            )
    family, had = merged["model"].get("family"), keep["model"].get("family")
    if family != had:
        raise UserError(f"train.start_from: found model.family={family}, that model has {had}: leave model.family out.")
    return merged


@torch.no_grad()
def inherit(model: Seq2Seq, featuriser: Featuriser, older: Bundle) -> None:
    """Copy every weight; rows of embeddings and outputs move to the new ids of their symbols, new ones stay random.

    Raises UserError where the settings ask for another architecture than the older model has.
    """
    source_rows = torch.tensor(_source_rows(featuriser, older.featuriser), dtype=torch.int64)
    target_rows = torch.tensor(featuriser.target.inherited(older.featuriser.target))
    own, old = tensors_of(model), tensors_of(older.model)
    one = "target_inlet.embedding.weight" not in own  # a joint vocabulary with one embedding, the source's
    spoken_rows = source_rows if one else target_rows
    if own.keys() != old.keys():
        other = sorted(own.keys() ^ old.keys())[0]
        raise UserError(
            f"train.start_from: that model is built otherwise ({other}): leave the model settings as they were."
        )
    for name, tensor in own.items():
        if name.startswith("source_inlet.embedding"):
            _copy_rows(tensor, old[name], source_rows)
        elif name.startswith(_SPOKEN):
            _copy_rows(tensor, old[name], spoken_rows)
        elif name.endswith("target_of_source_V"):
            continue  # made from the new vocabularies
        elif tensor.shape == old[name].shape:
            tensor.copy_(old[name])
        else:
            raise UserError(
                f"train.start_from: that model's {name} has shape {tuple(old[name].shape)}, these settings ask for "
                f"{tuple(tensor.shape)}: leave the model settings as they were."
            )


def _source_rows(featuriser: Featuriser, older: Featuriser) -> list[int]:
    """For each source id the older one; recordings have none, but must be analysed in the same way."""
    if featuriser.channels is None and older.channels is None:
        return featuriser.text_source.inherited(older.text_source)
    if featuriser.channels != older.channels:
        raise UserError("train.start_from: that model takes another kind of source. Start from one of the same kind.")
    return []


def _copy_rows(new: Tensor, old: Tensor, rows: Tensor) -> None:
    """new[i] becomes old[rows[i]]; rows of UNKNOWN that are not UNKNOWN themselves are new symbols and stay."""
    if new.shape[1:] != old.shape[1:]:
        raise UserError(
            f"train.start_from: that model's embeddings are {tuple(old.shape[1:])} wide, these settings ask for "
            f"{tuple(new.shape[1:])}: leave the model settings as they were."
        )
    index = torch.arange(len(rows))
    known = (rows != UNKNOWN) | (index == UNKNOWN)
    new[index[known]] = old[rows[known]]
