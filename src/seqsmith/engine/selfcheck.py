"""Whether an engine answers as torch does: both answer a sample of dev that the model carries.

torch's answers are stored beside the sample when the model is written, so that a check needs no torch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from seqsmith.engine.answering import answer_all
from seqsmith.engine.protocol import Engine
from seqsmith.model_folder import SAMPLE, ModelFolder

MOST_PAIRS = 1_000  # a sample of 338 once misjudged what 8-bit weights lose by 0.2 BLEU
LARGEST_LOSS = 0.2
"""Points of the dev score that an engine may be worse by."""

LEAST_SAME = 0.25
"""Share of the answers that must be torch's: the score of a model that knows nothing yet says nothing of an engine."""

MOST_CHANGED = 0.01
"""Share of the answers that a shortlist of the vocabulary may turn from torch's into others."""


@dataclass(frozen=True)
class Pair:
    """A dev pair, and what torch answers to its source by the model's own settings of the search."""

    source: str
    target: str
    answer: str
    features: str | None


def save_sample(pairs: Sequence[Pair], path: Path) -> None:
    """Write at most `MOST_PAIRS` of the pairs, evenly spaced, a JSON object a line, for texts may hold anything.

    Without pairs nothing is written.
    """
    count = min(len(pairs), MOST_PAIRS)
    kept = [pairs[len(pairs) * number // count] for number in range(count)]
    lines = [json.dumps(asdict(pair), ensure_ascii=False) + "\n" for pair in kept]
    if lines:
        path.write_text("".join(lines), encoding="utf-8")


def read_sample(folder: ModelFolder) -> list[Pair]:
    """The sample of a model; empty where it carries none."""
    path = folder.path / SAMPLE
    if not path.exists():
        return []
    # Lines end at line feeds alone: a JSON string may hold what Python takes for other ends.
    return [Pair(**json.loads(line)) for line in path.read_text(encoding="utf-8").split("\n") if line]


@dataclass(frozen=True)
class Check:
    """What came of it."""

    pairs: int
    same: float  # share of the answers that are torch's own
    score: str
    engine: float
    torch: float
    loss: float  # points by which the engine is worse; below zero where it is better
    shortlist: bool  # whether logits were made for a shortlist of the vocabulary alone

    @property
    def passed(self) -> bool:
        return self.loss <= LARGEST_LOSS and self.same >= LEAST_SAME

    def __str__(self) -> str:
        return (
            f"{self.same:.1%} of its answers to {self.pairs:,} dev pairs are torch's, "
            f"{self.score} {self.engine:.2f} against {self.torch:.2f}"
            f"{', with a shortlist of the vocabulary' if self.shortlist else ''}"
        )

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def read_check(path: Path) -> Check:
    return Check(**json.loads(path.read_text(encoding="utf-8")))


def check_both(engine: Engine, folder: ModelFolder, pairs: Sequence[Pair], *, one_by_one: bool = True) -> Check:
    """What came of the check with a shortlist of the vocabulary, if the model has one and it changes next to nothing;
    else without."""
    without = check(engine, folder, pairs, shortlist=False, one_by_one=one_by_one)
    if folder.shortlist is None or folder.settings.search.shortlist is False:
        return without
    found = check(engine, folder, pairs, shortlist=True, one_by_one=one_by_one)
    return found if found.passed and found.same >= without.same - MOST_CHANGED else without


def check(
    engine: Engine, folder: ModelFolder, pairs: Sequence[Pair], *, shortlist: bool, one_by_one: bool = True
) -> Check:
    """Answer the sample and compare."""
    from seqsmith.evaluate.answers import score_answers  # late: a check is seldom made, and scores are slow to import

    settings, featuriser = folder.settings, folder.featuriser
    texts = {"source": [pair.source for pair in pairs]}
    if pairs[0].features is not None:
        texts["features"] = [pair.features or "" for pair in pairs]
    search = settings.search.model_copy(update={"shortlist": shortlist, **({"batch_tokens": 1} if one_by_one else {})})
    found = answer_all(engine, featuriser.sources(texts), search)
    outputs = [featuriser.text(answers[0].ids, pair.source) for answers, pair in zip(found, pairs, strict=True)]
    expected, references = [pair.answer for pair in pairs], [pair.target for pair in pairs]
    chosen = settings.train.score
    names = ("chrf" if chosen in (None, "loss") else chosen,)
    ours, theirs = (score_answers(settings, each, references, names, resamples=0)[0] for each in (outputs, expected))
    loss = theirs.value - ours.value if ours.better == "higher" else ours.value - theirs.value
    same = sum(a == b for a, b in zip(outputs, expected, strict=True)) / len(pairs)
    return Check(len(pairs), same, ours.name, ours.value, theirs.value, loss, shortlist)
