"""Transformers by CTranslate2, with 8-bit weights.

Differs from our own search: a beam stops as soon as it has twice as many ended answers as it is wide, so that a few
answers are not the ones that `search/beam` would find; the self-check says how many. At the longest length an end
counts only where it ranks as high as elsewhere. And a source may be answered with the shortlists of its neighbours in
the batch, for it knows one for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ctranslate2

from seqsmith import config
from seqsmith.engine.expressible import LONGEST
from seqsmith.engine.protocol import Source
from seqsmith.search.answer import Answer, divisors, longest_answers
from seqsmith.special import END

SHORTLIST = "vmap.txt"
"""The file in which CTranslate2 looks for a shortlist."""

_PATIENCE = 2
"""Ended answers that are waited for, in widths of the beam (Kasai et al. 2022): 1 costs 0.1 BLEU and saves 8 % time."""


@dataclass(frozen=True)
class CTranslate2Engine:
    """A Transformer whose ids are written as their decimal digits."""

    translator: Any  # ctranslate2.Translator, which is not typed
    workers: int
    has_shortlist: bool = False
    listed: bool = False  # whether it is used where the settings of the search leave that open

    name = "ctranslate2"

    @classmethod
    def open(cls, folder: Path, *, workers: int, listed: bool = False) -> CTranslate2Engine:
        """Load what `ctranslate2_model` wrote."""
        translator = ctranslate2.Translator(str(folder), inter_threads=workers, intra_threads=1)
        return cls(translator, workers, (folder / SHORTLIST).exists(), listed)

    def answer(self, sources: Sequence[Source], settings: config.Search) -> list[list[Answer]]:
        """The n best answers to each source of a batch, best first."""
        longest = [min(most, LONGEST) for most in longest_answers([len(source) for source in sources], settings)]
        found = self._search(sources, max(longest), settings)
        # The search knows one longest length for all of a batch: what went past its own is searched for alone.
        for row, most in enumerate(longest):
            if any(len(answer.ids) + answer.ended > most for answer in found[row]):
                found[row] = self._search(sources[row : row + 1], most, settings)[0]
        return found

    def _search(self, sources: Sequence[Source], longest: int, settings: config.Search) -> list[list[Answer]]:
        results = self.translator.translate_batch(
            [[str(number) for number in source] for source in sources],
            beam_size=settings.beam or 1,
            num_hypotheses=(settings.beam or 1) if settings.gnmt_penalty else settings.nbest,
            length_penalty=0.0 if settings.gnmt_penalty else settings.length_penalty,
            patience=_PATIENCE if (settings.beam or 1) > 1 else 1,
            max_decoding_length=longest,
            min_decoding_length=min(settings.shortest, longest),  # END is not counted
            max_input_length=0,  # none: sources come cut
            use_vmap=self.has_shortlist and (self.listed if settings.shortlist is None else settings.shortlist),
            return_scores=True,
            return_end_token=True,
        )
        divisor = divisors(longest, length_penalty=settings.length_penalty, gnmt_penalty=settings.gnmt_penalty)
        return [_ranked(result, divisor, settings) for result in results]


def _ranked(result: Any, divisor: list[float], settings: config.Search) -> list[Answer]:
    """The n best by our score. Theirs is log p over the length to a power, and for the GNMT penalty log p itself."""
    power = 0.0 if settings.gnmt_penalty else settings.length_penalty
    answers = []
    for tokens, score in zip(result.hypotheses, result.scores, strict=True):
        ids = [int(token) for token in tokens]
        ended = bool(ids) and ids[-1] == END
        log_prob = score * len(ids) ** power
        answers.append(Answer(ids[:-1] if ended else ids, log_prob / divisor[len(ids)], log_prob, [], ended))
    return sorted(answers, key=lambda answer: (not answer.ended, -answer.score))[: settings.nbest]
