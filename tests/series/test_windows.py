"""Windows and splits: nothing crosses a border that it must not cross."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqsmith.errors import UserError
from seqsmith.series.split import split
from seqsmith.series.windows import whole_batches, windows

sizes = st.integers(1, 12)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=4), sizes, sizes, st.integers(1, 5), st.data())
def test_windows_are_those_of_a_plain_loop(lengths, context, horizon, stride, data):
    parts = [(data.draw(st.integers(0, length)), length) for length in lengths]
    found = windows(parts, context=context, horizon=horizon, stride=stride)
    expected = []
    for index, (begin, end) in enumerate(parts):
        start = max(begin, context)
        while start + horizon <= end:
            expected.append((index, start))
            start += stride
    assert list(zip(found.series_E.tolist(), found.start_E.tolist(), strict=True)) == expected


@given(st.integers(30, 300), sizes, sizes)
def test_horizons_of_different_parts_never_meet_and_contexts_never_leave_the_series(length, context, horizon):
    parts = split(length, rows=None, dev_share=0.2, test_share=0.2)
    steps = {}
    for name in ("train", "dev", "test"):
        found = windows([parts.part(name)], context=context, horizon=horizon)
        assert (found.start_E >= context).all()
        steps[name] = {step for start in found.start_E for step in range(start, start + horizon)}
    for one, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
        assert not steps[one] & steps[other]


def test_the_parts_of_the_published_protocol():
    parts = split(17_420, rows=(8_640, 2_880, 2_880), dev_share=0.1, test_share=0.0)
    assert [parts.part(name) for name in ("train", "dev", "test", "all")] == [
        (0, 8_640), (8_640, 11_520), (11_520, 14_400), (0, 17_420)]  # fmt: skip
    assert len(windows([parts.part("test")], context=336, horizon=96)) == 2_785
    assert whole_batches(2_785, 32) == 2_784
    assert whole_batches(2_785, 0) == 2_785


def test_more_rows_than_there_are_is_an_error():
    with pytest.raises(UserError, match=r"found 80 rows for train and 30 for dev, but a series has only 100"):
        split(100, rows=(80, 30, 10), dev_share=0.1, test_share=0.0)


def test_one_window_only_where_the_horizon_fits_just_once():
    assert windows([(0, 10)], context=6, horizon=4).start_E.tolist() == [6]
    assert len(windows([(0, 9)], context=6, horizon=4)) == 0
    assert windows([(0, 10)], context=6, horizon=4, shortest_context=5).start_E.tolist() == [5, 6]
    assert len(windows([], context=6, horizon=4)) == 0
    assert np.array_equal(windows([(0, 10)], context=6, horizon=4).only(np.array([False])).start_E, [])
