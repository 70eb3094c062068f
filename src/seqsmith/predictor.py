"""THE way to use a model: texts in, answers out, in the order and number of the inputs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from seqsmith import config, runtime
from seqsmith.data.plan import sequential_plan
from seqsmith.engine.answering import answer_all
from seqsmith.engine.choose import WANTED, choose
from seqsmith.engine.expressible import ctranslate2_lacks
from seqsmith.engine.protocol import Engine
from seqsmith.engine.timing import sounding, spans_of_attention, spans_of_ctc, word_times
from seqsmith.errors import UserError, nearest
from seqsmith.featurise import Featuriser, Texts
from seqsmith.model_folder import SHORTLIST, ModelFolder
from seqsmith.search.answer import Answer
from seqsmith.search.shortlist import SMALLEST
from seqsmith.special import END
from seqsmith.speech.codec import FRAMES_PER_SECOND, SpeechCodec, frames_of
from seqsmith.speech.subtitles import Timed

if TYPE_CHECKING:
    from seqsmith.engine.pytorch import TorchEngine
    from seqsmith.search.language import LanguageModel


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
    parts: tuple[str, ...] = ()  # of a recording: the best answer to each of its pieces

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

    engine: Engine
    featuriser: Featuriser
    settings: config.Settings
    why: str = ""  # this engine, in a sentence
    folders: tuple[ModelFolder, ...] = ()  # where the weights are that torch needs, if another engine answers
    asked: bool = False  # for this engine by its name, so that torch may not answer in its place

    @classmethod
    def open(
        cls,
        *folders: str | os.PathLike[str],
        device: str = "auto",
        engine: str = "auto",
        threads: int | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> Self:
        """Open a model folder, or several of the same vocabularies as an ensemble. Raises UserError.

        `engine` is torch, torch-bf16, ctranslate2, onnx or auto, the fastest that answers as torch does; `say` is told
        when the files of one are built. `threads` are for batches: a single request is answered on one.
        """
        if not folders:
            raise UserError("no model folder given.")
        if device not in ("auto", "cpu", "cuda"):
            raise UserError(f"device: found {device!r}, expected 'auto', 'cpu' or 'cuda'.")
        if engine not in WANTED:
            raise UserError(f"engine: found {engine!r}, expected one of {', '.join(WANTED)}.{nearest(engine, WANTED)}")
        opened = tuple(ModelFolder.open(Path(folder)) for folder in folders)
        first = opened[0]
        for other in opened[1:]:
            if not first.featuriser.same_ids(other.featuriser):
                raise UserError(
                    f"{other.path}: its vocabularies differ from those of {first.path}, so their answers cannot be "
                    "averaged. Train the models of an ensemble on the same data and settings, with other seeds."
                )
        choice = choose(opened, wanted=engine, device=device, threads=threads, say=say)  # type: ignore[arg-type]  # checked above
        return cls(choice.engine, first.featuriser, first.settings, choice.reason, opened, engine != "auto")

    def predict(
        self, texts: Iterable[str], *, features: Iterable[str] | None = None, **search: Any
    ) -> list[Prediction]:
        """Answer each text. Keywords are settings of `[search]`: beam, nbest, length_penalty, ...

        An empty text (or one of white space) is answered by an empty one. Raises UserError for an unknown setting.
        """
        texts, features = _listed(texts), None if features is None else _listed(features)
        self._check_features(texts, features)
        settings = self._search(search)
        sources = self._sources(texts, features)
        longest = self.settings.data.longest_source
        if isinstance(self.featuriser.source, SpeechCodec):
            return self._heard(texts, sources, settings)
        cut = [ids if len(ids) <= longest else [*ids[: longest - 1], END] for ids in sources]
        predictions: list[Prediction | None] = [None] * len(texts)
        filled = [index for index, text in enumerate(texts) if text.strip()]
        engine = self._engine(settings)
        for row, answers in zip(filled, answer_all(engine, [cut[row] for row in filled], settings), strict=True):
            predictions[row] = Prediction(
                texts[row],
                _spoken(self._candidates([answers], texts[row], drawn=settings.sample)),
                len(sources[row]) > longest,
                self.featuriser.source.unknown_share(cut[row][:-1]),
            )
        empty = (Candidate("", 0.0, 0.0, True),)
        return [prediction or Prediction(text, empty) for text, prediction in zip(texts, predictions, strict=True)]

    def _heard(self, names: Sequence[str], recordings: Sequence[Any], settings: config.Search) -> list[Prediction]:
        """The answers to recordings, whose frames are cut at silences where they are long and joined again."""
        codec = self.featuriser.source
        assert isinstance(codec, SpeechCodec)
        parts = [codec.pieces(frames) for frames in recordings]
        flat = [codec.finished(piece) for several in parts for piece in several]
        answers = iter(answer_all(self._engine(settings), flat, settings))
        heard = []
        for name, several in zip(names, parts, strict=True):
            pieces = self._candidates([next(answers) for _ in several], name, drawn=settings.sample)
            heard.append(Prediction(name, _spoken(pieces), parts=tuple(piece[0].text for piece in pieces)))
        return heard

    def times(self, prediction: Prediction) -> list[Timed]:
        """When each word of an answer to a recording is said: by the CTC head, else by where the decoder looked."""
        codec = self.featuriser.source
        if not isinstance(codec, SpeechCodec):
            raise UserError("only the words of a recording have times, and this model takes texts.")
        frame_LC = frames_of(prediction.source, codec.settings)
        energy_L = codec.energy(frame_LC)
        words: list[Timed] = []
        before = 0
        for piece, text in zip(codec.pieces(codec.normalised(frame_LC)), prediction.parts, strict=True):
            offset, after = before / FRAMES_PER_SECOND, before + len(piece)
            recognised = self._piece_times(codec.finished(piece), text, offset)
            words += sounding(recognised, energy_L[before:after], offset_seconds=offset)
            before = after
        return words

    def _piece_times(self, frames: Any, text: str, offset_seconds: float) -> list[Timed]:
        ended = self.featuriser.targets({"target": [text]})[0]
        if self.settings.model.ctc:
            log_p_SV = self._torch.ctc_log_p(frames).numpy()
            steps, spans = len(log_p_SV), spans_of_ctc(log_p_SV, ended[:-1])
        else:
            weight_TS = self._torch.attention(frames, ended).numpy()
            steps, spans = weight_TS.shape[1], spans_of_attention(weight_TS)
        return word_times(
            ended[:-1],
            spans,
            self.featuriser.target.decode,
            step_seconds=len(frames) / FRAMES_PER_SECOND / steps,
            offset_seconds=offset_seconds,
        )

    def stream(
        self, rows: Iterable[tuple[str, str | None]], *, window: int = 1024, **search: Any
    ) -> Iterator[Prediction]:
        """Answer an endless input of (text, features) in order, holding `window` rows at a time."""
        if window < 1:
            raise UserError(f"window: found {window}, expected one row at least.")
        iterator = iter(rows)
        while block := list(islice(iterator, window)):
            if not all(isinstance(row, tuple) and len(row) == 2 for row in block):
                raise UserError("stream takes pairs (text, features), with None for a model that has no features.")
            texts = [text for text, _ in block]
            columns = [column for _, column in block]
            features = None if all(column is None for column in columns) else [column or "" for column in columns]
            yield from self.predict(texts, features=features, **search)

    def score(
        self, sources: Sequence[str], targets: Sequence[str], *, features: Sequence[str] | None = None
    ) -> list[float]:
        """The log-probability of each target given its source, in nats, the end of the target included."""
        sources, targets = _listed(sources), _listed(targets)
        if len(sources) != len(targets):
            raise UserError(f"{len(sources)} sources, but {len(targets)} targets: each source needs one.")
        if self.settings.model.ctc == 1.0:
            raise UserError("only the CTC head of this model was trained (model.ctc = 1): its decoder scores nothing.")
        self._check_features(sources, features)
        source_ids = self._sources(sources, features)
        target_ids = self.featuriser.targets({"source": sources, "target": targets})
        _check_lengths("source", source_ids, self.settings.data.longest_source)
        _check_lengths("target", target_ids, self.settings.data.longest_target)
        lengths = np.array([max(len(s), len(t)) for s, t in zip(source_ids, target_ids, strict=True)], np.int64)
        scores = np.zeros(len(sources))
        plan = sequential_plan(lengths, self.settings.search.batch_tokens)
        for index in range(len(plan)):
            rows = plan[index].tolist()
            sources_of = [self.featuriser.finished(source_ids[row]) for row in rows]
            scores[rows] = self._torch.log_prob(sources_of, [target_ids[row] for row in rows])
        return [float(score) for score in scores]

    def attention(self, source: str, target: str, *, features: str | Sequence[str] | None = None) -> Alignment:
        """Where the decoder looks in `source` while it writes `target`. Raises UserError where it has no attention."""
        decoder = self.settings.model.decoder
        if isinstance(decoder, config.RecurrentDecoder) and decoder.attention == "none":
            raise UserError("this model has no attention (model.decoder.attention = none), so there is none to show.")
        if isinstance(self.featuriser.source, SpeechCodec):
            raise UserError("attention is drawn over the words of a text, and this model hears recordings.")
        encoder = self.settings.model.encoder
        if isinstance(encoder, config.RecurrentEncoder) and encoder.pyramid and encoder.layers > 1:
            raise UserError("attention is drawn over the pieces of a text, and this encoder joins them (pyramid).")
        if not isinstance(source, str) or not isinstance(target, str):
            raise UserError("attention takes one source and one target, each a text.")
        column = None if features is None else _listed([features] if isinstance(features, str) else features)
        self._check_features([source], column)
        source_ids = self._sources([source], column)
        f = self.featuriser
        target_ids = f.targets({"source": [source], "target": [target]})
        weight_TS = self._torch.attention(source_ids[0], target_ids[0])
        read = f.text_source.pieces(source_ids[0][:-1], f.copied(source, first=f.text_source.size))
        said = f.target.pieces(target_ids[0][:-1], f.copied(source, first=f.first_copied))
        return Alignment((*read, "⏎"), (*said, "⏎"), weight_TS.numpy())

    @cached_property
    def _torch(self) -> TorchEngine:
        """The reference, which alone scores given targets and shows where it looks."""
        from seqsmith.engine.pytorch import TorchEngine  # late: it brings torch

        if isinstance(self.engine, TorchEngine) and self.engine.precision == "fp32":
            return self.engine
        return TorchEngine.open(self.folders, runtime.choose_device("cpu"))

    def _engine(self, settings: config.Search) -> Engine:
        """Who answers: the engine, or torch where the settings ask for draws or a language model."""
        if settings.language_model is None and not settings.sample:
            return self.engine
        from seqsmith.engine.language import open_language_model  # late: both bring torch
        from seqsmith.engine.pytorch import TorchEngine

        if self.asked and not isinstance(self.engine, TorchEngine):
            name = "sample" if settings.sample else "language_model"
            raise UserError(f"search.{name}: {self.engine.name} cannot, torch alone can. Take --engine torch.")
        engine = self.engine if isinstance(self.engine, TorchEngine) else self._torch
        if settings.language_model is None:
            return engine
        known, (path, order) = self._language_models, (settings.language_model, settings.language_order)
        if (path, order) not in known:
            known[path, order] = open_language_model(path, self.featuriser, order=order, device=engine.device)
        return replace(engine, language_model=known[path, order])

    @cached_property
    def _language_models(self) -> dict[tuple[str, int], LanguageModel]:
        """Those opened so far, by path and order."""
        return {}

    def _sources(self, texts: Sequence[str], features: Sequence[str] | None) -> list[Any]:
        columns: Texts = {"source": list(texts)}
        if features is not None:
            columns["features"] = list(features)
        return self.featuriser.sources(columns)

    def _check_features(self, texts: Sequence[str], features: Sequence[str] | None) -> None:
        if features is not None and len(features) != len(texts):
            raise UserError(f"{len(texts)} texts, but {len(features)} rows of features: each text needs one.")
        known = self.featuriser.takes_features
        if features is None and known:
            raise UserError(
                "this model was trained with a column of features, and the input has none. "
                "Give them as features=[...], or name their column with --set data.features=..."
            )
        if features is not None and any(features) and not known:
            raise UserError("this model was trained without features, and the input has some: leave them out.")

    def _search(self, overrides: dict[str, Any]) -> config.Search:
        plain = ((key, one.item() if isinstance(one, np.generic) else one) for key, one in overrides.items())
        given = {key: value for key, value in plain if value is not None}
        dropped = {*_NOT_DRAWN} if given.get("sample") else set()
        table = {**self.settings.search.model_dump(exclude_none=True, exclude=dropped), **given}
        if "beam" not in given and isinstance(table["nbest"], int) and not table.get("sample"):
            # a list needs a beam at least as wide
            table["beam"] = max(table.get("beam") or 1, table["nbest"])
        if "longest_ratio" in given and "longest" not in given:
            table.pop("longest", None)
        search = config.build({"search": table}, where="settings").search
        if search.sample and (said := next((name for name in _NOT_DRAWN if given.get(name)), None)):
            raise UserError(f"search.{said}: has no say in what is drawn (search.sample). Take one of the two.")
        if search.sample and self.settings.model.ctc == 1.0:
            raise UserError("search.sample: draws from the decoder, and only the CTC head was trained (model.ctc = 1).")
        if search.ctc and not self.settings.model.ctc:
            raise UserError("search.ctc: this model has no CTC head (model.ctc = 0). Leave search.ctc out.")
        if self.settings.model.ctc == 1.0 and search.ctc != 1.0:
            raise UserError("search.ctc: only the CTC head of this model was trained (model.ctc = 1). Leave it at 1.")
        if given.get("shortlist") and self.folders and self.folders[0].shortlist is None:
            raise UserError(
                f"search.shortlist: {self.folders[0].path} has no {SHORTLIST}, which is written at the end of training "
                f"for texts of {SMALLEST:,} target ids or more without a copy outlet. Leave search.shortlist out."
            )
        return search

    def _candidates(self, answers: Sequence[Sequence[Answer]], source: str, *, drawn: bool) -> list[list[Candidate]]:
        """The answers to each piece of a source; those of the same rank belong together."""
        pieces = [
            [Candidate(self.featuriser.text(one.ids, source), one.score, one.log_prob, one.ended) for one in several]
            for several in answers
        ]
        return _best_first(pieces) if drawn else pieces

    def with_search(self, **search: Any) -> Predictor:
        """The same model with other settings of `[search]`."""
        return replace(self, settings=self.settings.model_copy(update={"search": self._search(search)}))

    def with_longest(self, data: Mapping[str, Any]) -> Predictor:
        """The same model, which takes as many tokens as `longest_source` and `longest_target` in `data` say.

        Raises UserError where the model or its engine cannot.
        """
        given = {name: data[name] for name in ("longest_source", "longest_target") if name in data}
        if not given:
            return self
        table = self.settings.model_dump(exclude_none=True)
        longer = config.build(config.merge(table, {"data": given}), where="settings")
        if self.engine.name == "ctranslate2" and (lack := ctranslate2_lacks(longer)):
            raise UserError(f"data.longest_source: the engine ctranslate2 cannot: {lack}. Take --engine torch.")
        return replace(self, settings=longer)


_NOT_DRAWN = ("beam", "ctc", "shortlist", "language_model", "language_order", "language_weight")  # no say in draws


def _best_first(pieces: list[list[Candidate]]) -> list[list[Candidate]]:
    """Draws for the pieces of a whole by the scores of the whole."""
    order = sorted(range(min(map(len, pieces))), key=lambda rank: -sum(piece[rank].score for piece in pieces))
    return [[piece[rank] for rank in order] for piece in pieces]


def _spoken(pieces: Sequence[Sequence[Candidate]]) -> tuple[Candidate, ...]:
    """The answers to neighbouring pieces as answers to the whole: the best of each, the second best of each, ..."""
    if len(pieces) == 1:
        return tuple(pieces[0])
    return tuple(
        Candidate(
            " ".join(one.text for one in together if one.text),
            sum(one.score for one in together),
            sum(one.log_prob for one in together),
            all(one.ended for one in together),
        )
        for together in zip(*pieces, strict=False)
    )


def _check_lengths(side: str, sequences: list[list[int]], longest: int) -> None:
    """A pair that was cut would be another pair."""
    for number, ids in enumerate(sequences, 1):
        if len(ids) > longest:
            raise UserError(
                f"pair {number:,}: its {side} has {len(ids):,} tokens, more than data.longest_{side} = {longest:,} of "
                "this model: shorten it or leave it out."
            )


def _listed(texts: Iterable[str]) -> list[str]:
    """What a caller gives as texts, in their order."""
    if isinstance(texts, str):
        raise UserError("expected a list of texts, found one string: write [text].")
    if not isinstance(texts, Iterable) or isinstance(texts, (Set, Mapping)):
        raise UserError(f"expected a list of texts, found {type(texts).__name__}.")
    listed = list(np.atleast_1d(texts) if isinstance(texts, np.ndarray) else texts)
    for number, text in enumerate(listed, 1):
        if not isinstance(text, str):
            raise UserError(f"expected a list of texts, but number {number} is of type {type(text).__name__}.")
        if not text.isascii() and any("\ud800" <= sign <= "\udfff" for sign in text):
            raise UserError(f"text {number:,}: holds half a surrogate pair, which is no character. Decode it strictly.")
    return listed
