"""A model folder as it lies on the disk: found whole, its settings and vocabularies read, its weights not yet."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from seqsmith import config
from seqsmith.errors import UserError
from seqsmith.featurise import Featuriser
from seqsmith.folder import FORMAT, MANIFEST, check_folder, forbidden

WEIGHTS = "model.safetensors"
SAMPLE = "selfcheck.jsonl"
SHORTLIST = "shortlist.safetensors"
SERIES = "series.json"
VECTORS = "vectors.json"


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
        if is_series_model(path) or is_vector_model(path):
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


def is_series_model(folder: Path) -> bool:
    """Whether the model in a folder forecasts series; any other one writes text."""
    return (folder / SERIES).is_file()


def is_speech_model(folder: Path) -> bool:
    """Whether the model in a folder hears recordings. Else it is left to be opened, which says what is wrong."""
    path = folder / "config.toml"
    if is_series_model(folder) or not path.is_file():
        return False
    try:
        return isinstance(config.read(path).source, config.SpeechSource)
    except UserError:
        return False


def is_vector_model(folder: Path) -> bool:
    """Whether the model in a folder maps sequences of vectors."""
    return (folder / VECTORS).is_file()


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
