"""THE way to use a model: texts in, answers out, in the order and number of the inputs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from seqsmith import config, runtime
from seqsmith.batch import END, Batch, tokens
from seqsmith.bundle import open_bundle
from seqsmith.data.plan import sequential_plan
from seqsmith.engine.pytorch import TorchEngine
from seqsmith.errors import UserError
from seqsmith.featurise import Featuriser, Texts
from seqsmith.search.answer import Answer


@dataclass(frozen=True)
class Candidate:
    """One answer of an n-best list."""

    text: str
    score: float  # the search's: log-probability with its length penalty
    log_prob: float
    ended: bool  # False: the answer was cut at the longest length allowed


@dataclass(frozen=True)
class Prediction:
    """The answer to one input."""

    source: str
    nbest: tuple[Candidate, ...]  # best first
    cut_source: bool = False  # the source was longer than the model takes and lost its end
    unknown_share: float = 0.0  # of the source's tokens: never seen in training

    @property
    def text(self) -> str:
        return self.nbest[0].text

    @property
    def score(self) -> float:
        return self.nbest[0].score


@dataclass(frozen=True)
class Alignment:
    """Where the decoder looked: `weight_TS[t, s]` says how much of source piece s went into target piece t."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    weight_TS: NDArray[np.float32]


@dataclass(frozen=True)
class Predictor:
    """A model ready for use."""

    engine: TorchEngine
    featuriser: Featuriser
    settings: config.Settings

    @classmethod
    def open(cls, *folders: str | os.PathLike[str], device: str = "auto") -> Self:
        """Open a model folder, or several of the same vocabularies as an ensemble. Raises UserError."""
        if not folders:
            raise UserError("no model folder given.")
        if device not in ("auto", "cpu", "cuda"):
            raise UserError(f"device: found {device!r}, expected 'auto', 'cpu' or 'cuda'.")
        place = runtime.choose_device(device)  # type: ignore[arg-type]  # checked above
        bundles = [open_bundle(Path(folder)) for folder in folders]
        first = bundles[0]
        for folder, other in zip(folders, bundles, strict=True):
            if not first.featuriser.same_ids(other.featuriser):
                raise UserError(
                    f"{folder}: its vocabularies differ from those of {folders[0]}, so their answers cannot be "
                    "averaged. Train the models of an ensemble on the same data and settings, with other seeds."
                )
        models = tuple(bundle.model.to(place) for bundle in bundles)
        return cls(TorchEngine(models, place), first.featuriser, first.settings)

    def predict(
        self, texts: Sequence[str], *, features: Sequence[str] | None = None, **search: Any
    ) -> list[Prediction]:
        """Answer each text. Keywords are settings of `[search]`: beam, nbest, length_penalty, ...

        An empty text (or one of white space) is answered by an empty one. Raises UserError for an unknown setting.
        """
        self._check_features(texts, features)
        settings = self._search(search)
        sources = self._sources(texts, features)
        longest = self.settings.data.longest_source
        cut = [ids if len(ids) <= longest else [*ids[: longest - 1], END] for ids in sources]
        lengths = np.array([len(ids) for ids in cut], np.int64)
        predictions: list[Prediction | None] = [None] * len(texts)
        filled = np.array([index for index, text in enumerate(texts) if text.strip()], np.int64)
        plan = sequential_plan(lengths[filled], max(1, settings.batch_tokens // (settings.beam or 1)))
        for index in range(len(plan)):
            rows = filled[plan[index]]
            batch = Batch(tokens([cut[row] for row in rows]), None, torch.from_numpy(rows))
            for row, answers in zip(rows, self.engine.answer(batch, settings), strict=True):
                predictions[row] = Prediction(
                    texts[row],
                    tuple(self._candidate(answer) for answer in answers),
                    len(sources[row]) > longest,
                    self.featuriser.source.unknown_share(cut[row][:-1]),
                )
        empty = (Candidate("", 0.0, 0.0, True),)
        return [prediction or Prediction(text, empty) for text, prediction in zip(texts, predictions, strict=True)]

    def stream(
        self, rows: Iterable[tuple[str, str | None]], *, window: int = 1024, **search: Any
    ) -> Iterator[Prediction]:
        """Answer an endless input of (text, features) in order, holding `window` rows at a time."""
        iterator = iter(rows)
        while block := list(islice(iterator, window)):
            texts = [text for text, _ in block]
            columns = [column for _, column in block]
            features = None if all(column is None for column in columns) else [column or "" for column in columns]
            yield from self.predict(texts, features=features, **search)

    def score(
        self, sources: Sequence[str], targets: Sequence[str], *, features: Sequence[str] | None = None
    ) -> list[float]:
        """The log-probability of each target given its source, in nats, the end of the target included."""
        if len(sources) != len(targets):
            raise UserError(f"{len(sources)} sources, but {len(targets)} targets: each source needs one.")
        self._check_features(sources, features)
        source_ids = self._sources(sources, features)
        target_ids = self.featuriser.targets({"target": list(targets)})
        _check_lengths("source", source_ids, self.settings.data.longest_source)
        _check_lengths("target", target_ids, self.settings.data.longest_target)
        lengths = np.array([max(len(s), len(t)) for s, t in zip(source_ids, target_ids, strict=True)], np.int64)
        scores = np.zeros(len(sources))
        plan = sequential_plan(lengths, self.settings.search.batch_tokens)
        for index in range(len(plan)):
            rows = plan[index]
            scores[rows] = self.engine.log_prob(self._pairs(rows, source_ids, target_ids))
        return [float(score) for score in scores]

    def attention(self, source: str, target: str, *, features: str | None = None) -> Alignment:
        """Where the decoder looks in `source` while it writes `target`. Raises UserError where it has no attention."""
        decoder = self.settings.model.decoder
        if isinstance(decoder, config.RecurrentDecoder) and decoder.attention == "none":
            raise UserError("this model has no attention (model.decoder.attention = none), so there is none to show.")
        column = None if features is None else [features]
        self._check_features([source], column)
        source_ids = self._sources([source], column)
        target_ids = self.featuriser.targets({"target": [target]})
        weight_BTS = self.engine.attention(self._pairs(np.zeros(1, np.int64), source_ids, target_ids))
        pieces = [*self.featuriser.source.pieces(source_ids[0][:-1]), "⏎"]
        return Alignment(
            tuple(pieces), (*self.featuriser.target.pieces(target_ids[0][:-1]), "⏎"), weight_BTS[0].numpy()
        )

    def _pairs(self, rows: NDArray[np.int64], sources: list[list[int]], targets: list[list[int]]) -> Batch:
        chosen = [int(row) for row in rows]
        return Batch(tokens([sources[r] for r in chosen]), tokens([targets[r] for r in chosen]), torch.from_numpy(rows))

    def _sources(self, texts: Sequence[str], features: Sequence[str] | None) -> list[list[int]]:
        columns: Texts = {"source": list(texts)}
        if features is not None:
            columns["features"] = list(features)
        return self.featuriser.sources(columns)

    def _check_features(self, texts: Sequence[str], features: Sequence[str] | None) -> None:
        if isinstance(texts, str):
            raise UserError("predict takes a list of texts, found one string: write predict([text]).")
        if features is not None and len(features) != len(texts):
            raise UserError(f"{len(texts)} texts, but {len(features)} rows of features: each text needs one.")
        known = self.featuriser.source.features.symbols
        if features is None and known:
            raise UserError(
                "this model was trained with a column of features, and the input has none. "
                "Give them as features=[...], or name their column with --set data.features=..."
            )
        if features is not None and any(features) and not known:
            raise UserError("this model was trained without features, and the input has some: leave them out.")

    def _search(self, overrides: dict[str, Any]) -> config.Search:
        given = {key: value for key, value in overrides.items() if value is not None}
        table = {**self.settings.search.model_dump(exclude_none=True), **given}
        if "beam" not in given and isinstance(table["nbest"], int):  # a list needs a beam at least as wide
            table["beam"] = max(table.get("beam") or 1, table["nbest"])
        if "longest_ratio" in given and "longest" not in given:
            table.pop("longest", None)
        return config.build({"search": table}, where="predict").search

    def _candidate(self, answer: Answer) -> Candidate:
        return Candidate(self.featuriser.target.decode(answer.ids), answer.score, answer.log_prob, answer.ended)

    def with_search(self, **search: Any) -> Predictor:
        """The same model with other settings of `[search]`."""
        return replace(self, settings=self.settings.model_copy(update={"search": self._search(search)}))


def _check_lengths(side: str, sequences: list[list[int]], longest: int) -> None:
    """A pair that was cut would be another pair."""
    for number, ids in enumerate(sequences, 1):
        if len(ids) > longest:
            raise UserError(
                f"pair {number:,}: its {side} has {len(ids):,} tokens, more than data.longest_{side} = {longest:,} of "
                "this model: shorten it or leave it out."
            )
