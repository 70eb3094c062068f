import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqsmith import config
from seqsmith.train.schedule import learning_rate

KINDS = (config.InverseSqrt, config.Cosine, config.Plateau, config.Constant)
schedules = st.builds(lambda kind, warmup: kind(warmup=warmup), st.sampled_from(KINDS), st.integers(0, 50))


def rate(update: int, schedule: config.Schedule, *, total_updates: int = 1000, shrinks: int = 0) -> float:
    return learning_rate(update, peak=2.0, schedule=schedule, total_updates=total_updates, shrinks=shrinks)


@pytest.mark.parametrize("kind", KINDS)
def test_the_rate_rises_in_a_line_to_its_peak_at_the_end_of_the_warm_up(kind: type[config.Constant]) -> None:
    schedule = kind(warmup=8)
    assert [rate(update, schedule) for update in range(1, 9)] == [2.0 * update / 8 for update in range(1, 9)]


@pytest.mark.parametrize("kind", KINDS)
def test_without_warm_up_the_first_update_has_almost_the_peak_rate(kind: type[config.Constant]) -> None:
    assert rate(1, kind(warmup=0)) == pytest.approx(2.0, rel=1e-5)


def test_inverse_sqrt_halves_at_four_times_the_warm_up() -> None:
    schedule = config.InverseSqrt(warmup=100)
    assert rate(101, schedule) < 2.0
    assert rate(400, schedule) == pytest.approx(1.0)
    assert rate(10_000, schedule) == pytest.approx(0.2)


@pytest.mark.parametrize("final", [0.0, 0.1, 1.0])
def test_cosine_falls_to_its_final_share_at_the_last_update_and_stays_there(final: float) -> None:
    schedule = config.Cosine(warmup=100, final=final)
    assert rate(550, schedule) == pytest.approx(1.0 + final)  # half way: the mean of peak and final
    assert rate(1000, schedule) == pytest.approx(2.0 * final)
    assert rate(2000, schedule) == pytest.approx(2.0 * final)


def test_cosine_survives_a_run_that_is_all_warm_up() -> None:
    schedule = config.Cosine(warmup=100)
    assert rate(50, schedule, total_updates=50) == 1.0
    assert rate(101, schedule, total_updates=100) == pytest.approx(0.0)


def test_plateau_shrinks_as_often_as_it_is_told_and_at_no_other_time() -> None:
    schedule = config.Plateau(warmup=10, factor=0.3)
    assert rate(11, schedule) == rate(1000, schedule) == 2.0
    assert rate(11, schedule, shrinks=2) == pytest.approx(2.0 * 0.09)


def test_constant_stays_at_the_peak() -> None:
    assert rate(1_000_000, config.Constant(warmup=3)) == 2.0


@given(schedule=schedules, update=st.integers(1, 5000), total_updates=st.integers(1, 5000))
def test_the_rate_is_positive_up_to_the_end_and_never_above_its_peak(
    schedule: config.Schedule, update: int, total_updates: int
) -> None:
    found = rate(update, schedule, total_updates=total_updates)
    assert math.isfinite(found)
    assert 0.0 <= found <= 2.0
    assert found > 0.0 or update >= total_updates
