"""Validation: the dev set is answered the way a user would have it answered, then scored."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from seqsmith import config
from seqsmith.batch import Batch, tokens
from seqsmith.cli.prepare import Prepared
from seqsmith.data.plan import sequential_plan
from seqsmith.engine.pytorch import TorchEngine, source_batch
from seqsmith.evaluate.answers import score_answers
from seqsmith.evaluate.scores import Score
from seqsmith.evaluate.symptoms import symptoms
from seqsmith.model.seq2seq import Seq2Seq
from seqsmith.objective.teacher import teacher_forced
from seqsmith.predictor import Prediction, Predictor
from seqsmith.train.loop import Validation

_MOST_PAIRS = 1000  # of the dev set that are answered at each validation
_EXAMPLES = 3
_EXAMPLES_EVERY = 5  # validations


@dataclass
class Validator:
    """Scores a model on the dev set."""

    prepared: Prepared
    model: Seq2Seq
    device: torch.device
    validations: int = 0

    def validate(self) -> Validation:
        """One validation during training: greedy answers to at most 1,000 dev pairs, and the loss of all
        that are not too long. The model is in evaluation mode."""
        name = self.prepared.settings.train.score
        assert name is not None
        loss = self.loss()
        likelihood = -loss if math.isfinite(loss) else -math.inf
        report: dict[str, Any] = {"name": name, "dev_nats_per_token": loss}
        if name == "loss":
            score, report["value"] = likelihood, loss
        else:
            predictions = self.answers(beam=1, most=_MOST_PAIRS)
            found = self.scores(predictions, (name,), resamples=0)[0]
            report["value"] = found.value
            score = found.value if found.better == "higher" else -found.value
            report |= self._look(predictions)
        self.validations += 1
        return Validation((score, likelihood), report)

    def loss(self) -> float:
        """-log p of a dev token, in nats, without smoothing."""
        dev = self.prepared.dev
        longer = np.maximum(dev.source.lengths, dev.target.lengths)
        plan = sequential_plan(longer, self.prepared.settings.search.batch_tokens)
        ctc = 1.0 if self.prepared.settings.model.ctc == 1.0 else 0.0  # then the decoder is not trained
        total, count = 0.0, 0
        with torch.inference_mode():
            for index in range(len(plan)):
                examples = plan[index].tolist()
                source = source_batch([self.prepared.featuriser.finished(dev.source[e]) for e in examples])
                target = tokens([dev.target[e] for e in examples])
                batch = Batch(source, target, torch.from_numpy(plan[index])).to(self.device)
                found = teacher_forced(self.model, batch, smoothing=0.0, ctc=ctc)
                total, count = total + float(found.truth_nats), count + found.count
        return total / count

    def answers(self, *, beam: int | None, most: int | None) -> list[Prediction]:
        """Answers to the dev set's sources."""
        predictor = Predictor(TorchEngine((self.model,), self.device), self.prepared.featuriser, self.prepared.settings)
        features = self.prepared.pairs.dev_texts("features", most)
        return predictor.predict(
            self.prepared.pairs.dev_texts("source", most), features=features or None, beam=beam, nbest=1
        )

    def scores(self, predictions: list[Prediction], names: tuple[str, ...], *, resamples: int) -> list[Score]:
        references = self.prepared.pairs.dev_texts("target", len(predictions))
        outputs = [prediction.text for prediction in predictions]
        return score_answers(self.prepared.settings, outputs, references, names, resamples=resamples)

    def _look(self, predictions: list[Prediction]) -> dict[str, Any]:
        """A few answers now and then, and signs of trouble."""
        sources = [prediction.source for prediction in predictions]
        outputs = [prediction.text for prediction in predictions]
        references = self.prepared.pairs.dev_texts("target", len(predictions))
        report: dict[str, Any] = {"warnings": list(symptoms(sources, outputs, references))}
        if self.validations % _EXAMPLES_EVERY == 0:
            first = self.validations * _EXAMPLES // _EXAMPLES_EVERY
            rows = [(first + number) % len(predictions) for number in range(min(_EXAMPLES, len(predictions)))]
            report["examples"] = [
                {"source": sources[row], "reference": references[row], "output": outputs[row]} for row in rows
            ]
        return report


def final_scores(settings: config.Settings) -> tuple[str, ...]:
    """The scores that belong beside the chosen one."""
    if isinstance(settings.source, config.SpeechSource):
        chosen = settings.train.score
        return ("wer", "cer", "ser") if chosen in (None, "loss", "wer", "cer", "ser") else (chosen, "wer", "cer", "ser")
    kind = None if settings.target.tokeniser is None else settings.target.tokeniser.kind
    running = kind in ("sentencepiece", "words") or settings.train.score in ("bleu", "chrf")
    names = (
        ("bleu", "chrf", "exact_match") if running else ("exact_match", "ser", "per" if kind == "symbols" else "cer")
    )
    chosen = settings.train.score
    return names if chosen in (None, "loss", *names) else (chosen, *names)
