"""Language models for shallow fusion: n-grams of a file of texts, or a model folder."""

from __future__ import annotations

from pathlib import Path

import torch

from seqsmith import config
from seqsmith.bundle import load_bundle
from seqsmith.data.counts import Counts
from seqsmith.data.files import shown
from seqsmith.data.lines import read_lines
from seqsmith.engine.neural import NeuralLanguageModel
from seqsmith.engine.selfcheck import read_sample
from seqsmith.errors import UserError
from seqsmith.featurise import Featuriser, ids_in
from seqsmith.model_folder import ModelFolder
from seqsmith.search.language import LanguageModel
from seqsmith.search.ngram import NGrams
from seqsmith.special import END

_LEAST_KNOWN = 0.9  # of the target symbols


def open_language_model(path: str, featuriser: Featuriser, *, order: int, device: torch.device) -> LanguageModel:
    """What speaks of this featuriser's target ids. Raises UserError where the path holds nothing that can."""
    if Path(path).is_dir():
        return _neural(path, featuriser, device)
    blocks = read_lines(path, config.Data(), Counts())
    texts = [text for block in blocks for text in block.texts if text.strip()]
    ids = featuriser.targets({"target": texts})
    if not ids:
        raise UserError(f"search.language_model: {shown(path)} has no text to learn from: every line is empty.")
    return NGrams.learn(ids, order=order, size=featuriser.target.size, device=device)


def _neural(path: str, featuriser: Featuriser, device: torch.device) -> NeuralLanguageModel:
    where = f"search.language_model: {shown(path)}"
    folder = ModelFolder.open(Path(path))
    sources = sorted({pair.source for pair in read_sample(folder)})
    if len(sources) != 1:
        found = f"some are {sources[0]!r} and {sources[1]!r}" if sources else "none are kept with it"
        raise UserError(
            f"{where} is no language model: its sources must all be the same, and {found}. "
            "Train one on pairs whose source is a full stop and whose target is a text."
        )
    bundle = load_bundle(folder)
    own = ids_in(bundle.featuriser.target, featuriser.target.pieces(range(featuriser.target.size)))
    total, known = len(own) - END - 1, sum(number > END for number in own)
    if known < _LEAST_KNOWN * total:
        raise UserError(
            f"{where} knows {known:,} of the {total:,} symbols of this model's answers, expected {_LEAST_KNOWN:.0%}: "
            "it must be trained on texts like them, cut in the same way (target.tokeniser)."
        )
    source = bundle.featuriser.sources({"source": sources})[0]
    return NeuralLanguageModel(bundle.model.to(device), source, torch.tensor(own, device=device))
