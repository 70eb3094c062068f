"""The model folder: everything that answering needs, in files that carry no code, each with its SHA-256."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from seqsmith import config
from seqsmith.featurise import Featuriser
from seqsmith.folder import CARD, write_folder
from seqsmith.model.build import build_model
from seqsmith.model.seq2seq import Seq2Seq
from seqsmith.model_folder import WEIGHTS, ModelFolder
from seqsmith.tensors import load_tensors, read_tensors, save_tensors, tensors_of


@dataclass(frozen=True)
class Bundle:
    """A model with what it was made by."""

    settings: config.Settings
    featuriser: Featuriser
    model: Seq2Seq

    def save(self, folder: Path, *, card: str, beside: Callable[[Path], None] = lambda _: None) -> None:
        """Write the folder, whole or not at all; `card` is its README.md, `beside` writes what else belongs there."""

        def fill(place: Path) -> None:
            self.featuriser.save(place)
            beside(place)

        write_model(folder, self.settings, self.model, card=card, fill=fill)


def write_model(
    folder: Path, settings: config.Settings, model: nn.Module, *, card: str, fill: Callable[[Path], None]
) -> None:
    """Write a model folder, whole or not at all: settings, weights, the card, and what `fill` puts beside them."""

    def everything(place: Path) -> None:
        (place / "config.toml").write_text(config.dump(settings), encoding="utf-8")
        (place / CARD).write_text(card, encoding="utf-8")
        save_tensors(tensors_of(model), place / WEIGHTS)
        fill(place)

    write_folder(folder, everything)


def new_model(settings: config.Settings, featuriser: Featuriser) -> Seq2Seq:
    """A model with random weights for these vocabularies."""
    copies = settings.model.copy_source and not featuriser.channels
    return build_model(
        settings.model,
        source_size=0 if featuriser.channels else featuriser.text_source.size,
        target_size=featuriser.target_size(settings),
        target_of_source=featuriser.target_of_source() if copies else None,
        channels=featuriser.channels,
    )


def open_bundle(folder: Path) -> Bundle:
    """Read a model folder. Raises UserError when there is none, when it is damaged, or when it is newer than this."""
    return load_bundle(ModelFolder.open(folder))


def load_bundle(opened: ModelFolder) -> Bundle:
    """The model of a folder that is open. Raises UserError where its weights are not those of its settings."""
    model = new_model(opened.settings, opened.featuriser)
    load_tensors(model, read_tensors(opened.weights), where=str(opened.weights))
    return Bundle(opened.settings, opened.featuriser, model.eval())
