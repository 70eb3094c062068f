"""Forced alignment against all paths of tiny tables."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from search.test_ctc import collapsed, table
from seqsmith.search.forced import Span, forced_alignment


def spans(path: tuple[int, ...]) -> list[Span]:
    found, start = [], 0
    for id, run in itertools.groupby(path):
        end = start + len(list(run))
        found += [Span(start, end)] if id else []
        start = end
    return found


@given(st.integers(0, 10**6), st.integers(1, 6), st.lists(st.integers(1, 2), max_size=4))
@settings(max_examples=60, deadline=None)
def test_the_alignment_is_the_likeliest_of_all_paths(seed, steps, ids):
    log_p_SV = table(seed, steps=steps, symbols=3)[0].numpy()
    paths = [path for path in itertools.product(range(3), repeat=steps) if collapsed(path) == tuple(ids)]
    found = forced_alignment(log_p_SV, ids)
    if not paths:
        assert found is None
        return
    best = max(paths, key=lambda path: sum(row[id] for row, id in zip(log_p_SV, path, strict=True)))
    assert found == spans(best)


def test_spans_follow_each_other():
    log_p_SV = np.log(np.full((30, 5), 0.2))
    found = forced_alignment(log_p_SV, [1, 2, 2, 3, 4])
    assert found is not None
    assert all(span.start < span.end for span in found)
    assert all(left.end <= right.start for left, right in itertools.pairwise(found))
