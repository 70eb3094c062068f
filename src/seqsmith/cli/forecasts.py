"""Scores of numbers as they are shown: how likely they are, and forecasts of many windows beside the naive ones."""

from __future__ import annotations

from collections.abc import Callable

from seqsmith.engine.values import ValueEngine
from seqsmith.evaluate.forecast import Sums, score_block
from seqsmith.evaluate.naive import repeat_last, repeat_season
from seqsmith.featurise_series import Encoded, Numbers
from seqsmith.forecaster import LEVELS, Forecaster
from seqsmith.series.windows import Windows

Row = tuple[str, dict[str, float]]
_BLOCK = 256


def coverage_remark(forecaster: Forecaster, part: str) -> str | None:
    """What is to be said of the coverage, where it is of the errors that made the intervals."""
    learnt = forecaster.baselines.error_TCQ is not None and part == "dev"
    return "Intervals are made of the errors on dev, so that coverage there says little." if learnt else None


def likelihood(engine: ValueEngine, *, truth: str, units: str) -> tuple[str, str]:
    """What a score of true numbers is called, and what it is."""
    if engine.says_density:
        said = f"of {truth}: the log of their density in the units of the {units}, in nats, the mean over the numbers."
        return "log_likelihood", f"log_likelihood is {said}"
    said = f"minus the {engine.kind.kind} loss, in the units of the training, of what is said of {truth}"
    return "minus_loss", f"minus_loss is {said}, the mean over the numbers: this model says no density."


def score_windows(forecaster: Forecaster, encoded: Encoded, windows: Windows) -> Sums:
    """The model's sums over the windows."""
    interval = forecaster.interval
    total = Sums()
    for block, mean, value in forecaster.blocks(encoded, windows):
        total += score_block(
            encoded.truths(block),
            mean,
            forecaster.yardstick(encoded, block),
            value_ETCQ=value,
            levels=LEVELS,
            interval=interval,
        )
    return total


def score_rows(forecaster: Forecaster, encoded: Encoded, windows: Windows) -> list[Row]:
    """The model first, then what it must beat."""
    f, linear = forecaster.featuriser, forecaster.baselines.linear
    naive: dict[str, Callable[[Numbers], Numbers]] = {"repeat last": lambda x: repeat_last(x, f.horizon)}
    if 1 < f.season <= f.context:
        naive[f"repeat {f.season} steps"] = lambda x: repeat_season(x, f.horizon, f.season)
    naive["linear"] = linear.forecast
    sums = {name: Sums() for name in naive}
    for start in range(0, len(windows), _BLOCK):
        block = Windows(windows.series_E[start : start + _BLOCK], windows.start_E[start : start + _BLOCK])
        context_ESC, truth = encoded.contexts(block)[..., : f.targets], encoded.truths(block)
        yardstick = forecaster.yardstick(encoded, block)
        for name, forecast in naive.items():
            sums[name] += score_block(truth, forecast(context_ESC), yardstick)
    own = score_windows(forecaster, encoded, windows)
    return [("model", own.scores()), *((name, total.scores()) for name, total in sums.items())]
