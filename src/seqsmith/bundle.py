"""The model folder: everything that answering needs, in files that carry no code, each with its SHA-256."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from seqsmith import config
from seqsmith.errors import UserError
from seqsmith.featurise import Featuriser
from seqsmith.folder import FORMAT, check_folder, write_folder
from seqsmith.model.build import build_model
from seqsmith.model.seq2seq import Seq2Seq
from seqsmith.train.checkpoint import load_tensors, save_tensors, tensors_of


@dataclass(frozen=True)
class Bundle:
    """A model with what it was made by."""

    settings: config.Settings
    featuriser: Featuriser
    model: Seq2Seq

    def save(self, folder: Path, *, card: str) -> None:
        """Write the folder, whole or not at all; `card` is its README.md."""

        def fill(temporary: Path) -> None:
            (temporary / "config.toml").write_text(config.dump(self.settings), encoding="utf-8")
            (temporary / "README.md").write_text(card, encoding="utf-8")
            self.featuriser.save(temporary)
            save_tensors(tensors_of(self.model), temporary / "model.safetensors")

        write_folder(folder, fill)


def new_model(settings: config.Settings, featuriser: Featuriser) -> Seq2Seq:
    """A model with random weights for these vocabularies.

    Where all embeddings are one, the target's has rows for the source's features too, which are never said.
    """
    one = settings.joint_vocabulary and settings.model.share_embeddings == "all"
    return build_model(
        settings.model,
        source_size=featuriser.source.size,
        target_size=featuriser.source.size if one else featuriser.target.size,
        target_of_source=featuriser.target_of_source() if settings.model.copy_source else None,
    )


def open_bundle(folder: Path) -> Bundle:
    """Read a model folder. Raises UserError when there is none, when it is damaged, or when it is newer than this."""
    _check(folder)
    settings = config.build(config.read_table(folder / "config.toml"), where=str(folder / "config.toml"))
    featuriser = Featuriser.open(folder, settings)
    model = new_model(settings, featuriser)
    try:
        tensors = load_file(folder / "model.safetensors")
    except SafetensorError as error:
        raise UserError(f"{folder / 'model.safetensors'}: not a file of weights: {error}.") from None
    load_tensors(model, tensors, where=str(folder / "model.safetensors"))
    return Bundle(settings, featuriser, model.eval())


def _check(folder: Path) -> None:
    if not folder.exists():
        raise UserError(f"{folder}: no such model folder.")
    if not (folder / "MANIFEST.json").is_file():
        inner = folder / "model"
        hint = f" Did you mean {inner}?" if (inner / "MANIFEST.json").is_file() else ""
        raise UserError(f"{folder}: not a model folder: it has no MANIFEST.json.{hint}")
    try:
        found = int(json.loads((folder / "MANIFEST.json").read_text(encoding="utf-8"))["format"])
    except (ValueError, KeyError, TypeError, OSError):
        raise UserError(f"{folder}: damaged: MANIFEST.json cannot be read. Copy or train the model again.") from None
    if found > FORMAT:
        raise UserError(
            f"{folder}: written in format {found} by a newer seqsmith; this one reads up to {FORMAT}. Update seqsmith."
        )
    wrong = check_folder(folder)
    if wrong is not None:
        raise UserError(f"{folder}: damaged: {wrong}. Copy or train the model again.")
    if not (folder / "model.safetensors").is_file():
        raise UserError(f"{folder}: not a model folder: it has no model.safetensors.")
