"""The scores of a model's answers: its settings say what its texts are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from seqsmith import config
from seqsmith.evaluate.scores import Score, score_texts
from seqsmith.text.marks import joined


def score_answers(
    settings: config.Settings,
    outputs: Sequence[str],
    references: Sequence[str],
    names: Sequence[str],
    *,
    resamples: int,
) -> list[Score]:
    """Score answers as words: marked subwords are joined, and BLEU takes text that came already split as it is."""
    return score_texts(
        [joined(text) for text in outputs],
        [joined(text) for text in references],
        names,
        tokenize=bleu_words(settings),
        resamples=resamples,
    )


def bleu_words(settings: config.Settings) -> Literal["none"] | None:
    """BLEU's tokeniser: none where the targets came already split, None to choose it by their script."""
    kind = None if settings.target.tokeniser is None else settings.target.tokeniser.kind
    return "none" if kind == "symbols" else None
