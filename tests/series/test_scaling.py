"""Scaling can be undone, leaves missing numbers missing, and looks at nothing but what it may see."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seqsmith.series.scaling import Scaling, differ, last_seen, levels

numbers = st.floats(-1e6, 1e6, width=64)
tables = arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=numbers | st.just(np.nan))
contexts = arrays(
    np.float64, st.tuples(st.integers(1, 3), st.integers(1, 8), st.just(2)), elements=numbers | st.just(np.nan)
)
kinds = pytest.mark.parametrize("kind", ["none", "last", "mean_std"])


def close(found, expected, size):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-10 * max(1.0, size))


@given(tables)
def test_inverse_of_scale_is_the_table(table_LC):
    scaling = Scaling.fit([table_LC])
    close(scaling.inverse(scaling.scale(table_LC)), table_LC, np.nanmax(np.abs(table_LC), initial=0.0))
    assert Scaling.from_dict(scaling.as_dict()).as_dict() == scaling.as_dict()


@given(tables)
def test_what_was_fitted_has_mean_0_and_deviation_1_or_never_changes(table_LC):
    scaled_LC = Scaling.fit([table_LC]).scale(table_LC)
    for column in scaled_LC.T:
        seen = column[~np.isnan(column)]
        if len(seen) and np.ptp(seen) > 1e-6:
            assert seen.mean() == pytest.approx(0.0, abs=1e-6)
            assert seen.std() == pytest.approx(1.0, abs=1e-6)


def test_units_make_no_difference():
    table_LC = np.random.default_rng(1).normal(5.0, 1.0, size=(20, 2))
    for unit in (1e-15, 1.0, 1e15):
        scaled = Scaling.fit([table_LC * unit]).scale(table_LC * unit)
        np.testing.assert_allclose(scaled, Scaling.fit([table_LC]).scale(table_LC), atol=1e-9)


def test_series_differ_where_one_varies_far_less_than_all():
    table_LC = np.random.default_rng(1).normal(size=(50, 1))
    assert not differ([table_LC])
    assert not differ([table_LC, table_LC * 2, np.full((3, 1), np.nan)])
    assert differ([table_LC, table_LC * 10])
    assert differ([table_LC, table_LC + 10])


def test_a_constant_column_is_only_shifted():
    assert Scaling.fit([np.full((5, 1), 0.1)]).deviation_C == 1.0


@kinds
@given(context_ESC=contexts)
def test_inverse_of_window_scaling_is_the_window(kind, context_ESC):
    found = levels(context_ESC, kind)
    assert np.isfinite(found.shift_EC).all()
    assert (found.spread_EC > 0).all()
    size = np.nanmax(np.abs(context_ESC), initial=0.0)
    close(found.inverse(found.scale(context_ESC)), context_ESC, size)


@kinds
@given(context_ESC=contexts)
def test_a_window_is_scaled_by_itself_alone(kind, context_ESC):
    together, alone = levels(context_ESC, kind), levels(context_ESC[:1], kind)
    np.testing.assert_array_equal(together.shift_EC[:1], alone.shift_EC)
    np.testing.assert_array_equal(together.spread_EC[:1], alone.spread_EC)


@given(contexts)
def test_the_last_seen_is_that_of_a_plain_loop(context_ESC):
    seen = ~np.isnan(context_ESC)
    for window, last in zip(seen, last_seen(seen), strict=True):
        for column in range(window.shape[1]):
            expected = max((step for step in range(len(window)) if window[step, column]), default=-1)
            assert last[column] == expected
