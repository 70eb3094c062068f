"""A model folder as it lies on the disk: found whole, its settings and vocabularies read, its weights not yet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from seqsmith import config
from seqsmith.errors import UserError
from seqsmith.featurise import Featuriser
from seqsmith.folder import FORMAT, MANIFEST, check_folder, forbidden

WEIGHTS = "model.safetensors"
SAMPLE = "selfcheck.jsonl"
SHORTLIST = "shortlist.safetensors"
SERIES = "series.json"
VECTORS = "vectors.json"

Kind = Literal["text", "speech", "series", "vectors"]
"""What a model takes. From text and speech it makes text, from the others numbers."""


@dataclass(frozen=True)
class ModelFolder:
    """What a model was made by, without what computes."""

    path: Path
    settings: config.Settings
    featuriser: Featuriser

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises UserError when there is none, when it is damaged, or when it is newer than this."""
        check_model_folder(path)
        if kind_of_model(path) in ("series", "vectors"):
            raise UserError(f"{path}: its answers are numbers, not text. Use predict or evaluate, or seqsmith.load().")
        settings = config.read(path / "config.toml")
        return cls(path, settings, Featuriser.open(path, settings))

    @property
    def weights(self) -> Path:
        return self.path / WEIGHTS

    @property
    def shortlist(self) -> Path | None:
        """The likely target ids of each source id; None where the model carries none."""
        path = self.path / SHORTLIST
        return path if path.exists() else None

    def fingerprints(self) -> dict[str, Any]:
        """What the manifest says of each file."""
        files: dict[str, Any] = json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))["files"]
        return files


def kind_of_model(folder: Path) -> Kind:
    """Which kind the model in a folder is, before it is known to be whole. Raises UserError where nothing says it."""
    if (folder / SERIES).is_file():
        return "series"
    if (folder / VECTORS).is_file():
        return "vectors"
    try:
        source = config.read(folder / "config.toml").source
    except UserError:
        check_model_folder(folder)  # says more: what is missing or damaged
        raise
    return "speech" if isinstance(source, config.SpeechSource) else "text"


def kind_of_models(folders: Sequence[Path]) -> Kind:
    """The kind of all these models, which answer together. Raises UserError where one is not there or of another."""
    for folder in folders:
        check_exists(folder)
    first, *others = ((folder, kind_of_model(folder)) for folder in folders)
    for folder, kind in others:
        if kind != first[1]:
            raise UserError(
                f"{folder}: a model of {kind}, but {first[0]} is one of {first[1]}: they cannot answer together."
            )
    return first[1]


def check_exists(folder: Path) -> None:
    """Raise UserError where there is nothing, which is no model of any kind."""
    if not folder.exists():
        run = (folder.parent / "config.toml").is_file() and folder.name == "model"
        hint = f" The run in {folder.parent} makes it when it ends (train --resume goes on)." if run else ""
        raise UserError(f"{folder}: no such model folder.{hint}")


def check_model_folder(folder: Path) -> None:
    """Raise UserError unless this is a whole model folder that this version can read."""
    check_exists(folder)
    if not (folder / MANIFEST).is_file():
        inner = folder / "model"
        hint = f" Did you mean {inner}?" if (inner / MANIFEST).is_file() else ""
        raise UserError(f"{folder}: not a model folder: it has no {MANIFEST}.{hint}")
    try:
        found = int(json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["format"])
    except PermissionError as error:
        raise forbidden(error) from None
    except (ValueError, KeyError, TypeError, OSError):
        raise UserError(f"{folder}: damaged: {MANIFEST} cannot be read. Copy or train the model again.") from None
    if found > FORMAT:
        raise UserError(
            f"{folder}: written in format {found} by a newer seqsmith; this one reads up to {FORMAT}. Update seqsmith."
        )
    wrong = check_folder(folder)
    if wrong is not None:
        raise UserError(f"{folder}: damaged: {wrong}. Copy or train the model again.")
    if not (folder / WEIGHTS).is_file():
        raise UserError(f"{folder}: not a model folder: it has no {WEIGHTS}.")
