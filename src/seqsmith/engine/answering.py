"""Many sources through an engine: batches of similar length, as many at once as the engine has workers."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from seqsmith import config
from seqsmith.data.plan import sequential_plan
from seqsmith.engine.protocol import Engine, Source
from seqsmith.search.answer import Answer, longest_answers

_MOST_TIMES = 4  # as long as its source may be an answer that is not counted
_MOST_ROWS = 512  # of a batch, where each has a logit for every word: more are no faster, but take their memory


def answer_all(engine: Engine, sources: Sequence[Source], settings: config.Search) -> list[list[Answer]]:
    """The n best answers to each source, in the order of the sources."""
    steps = [len(source) for source in sources]
    longest = longest_answers(steps, settings)
    # an answer may be many times as long as its source, and is remembered step by step
    lengths = np.maximum(np.array(steps, np.int64), np.array(longest, np.int64) // _MOST_TIMES)
    budget = settings.batch_tokens // settings.width
    if engine.workers > 1:  # no worker stands idle while another has it all
        budget = min(budget, -(-int(lengths.sum()) // engine.workers))
    least = budget // max(1, _MOST_ROWS // settings.width)  # so that a batch of short sources has not too many
    plan = sequential_plan(np.maximum(lengths, least), max(1, budget))
    batches = [plan[index].tolist() for index in range(len(plan))]

    def answer(rows: list[int]) -> list[list[Answer]]:
        return engine.answer([sources[row] for row in rows], settings)

    if engine.workers == 1 or len(batches) < 2:
        found = [answer(rows) for rows in batches]
    else:
        with ThreadPoolExecutor(min(engine.workers, len(batches))) as pool:
            found = list(pool.map(answer, batches))
    answers: list[list[Answer]] = [[] for _ in sources]
    for rows, several in zip(batches, found, strict=True):
        for row, own in zip(rows, several, strict=True):
            answers[row] = own
    return answers
