"""The settings of series: how a table of numbers is read and mended, cut into windows, scaled, forecast and scored.

What a policy says to do is counted and told. A field whose default is None is chosen from the data by the rules in
`train/series_recipe.py`, unless its comment gives None a meaning of its own.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from seqsmith.config.table import Count, Positive, Table, kind_from_string


class SquaredError(Table):
    kind: Literal["mse"] = "mse"

    @property
    def outputs(self) -> int:
        """How many numbers the model says for each number it forecasts."""
        return 1


class AbsoluteError(Table):
    kind: Literal["mae"] = "mae"

    @property
    def outputs(self) -> int:
        return 1


class HuberError(Table):
    """Squared up to the threshold, in standard deviations of the training data, and absolute beyond (Huber 1964)."""

    kind: Literal["huber"] = "huber"
    threshold: Positive = 1.0

    @property
    def outputs(self) -> int:
        return 1


class Gaussian(Table):
    """A mean and a scale for each number."""

    kind: Literal["gaussian"] = "gaussian"

    @property
    def outputs(self) -> int:
        return 2


class StudentT(Table):
    """A location, a scale and degrees of freedom above 2: tails as heavy as the data's."""

    kind: Literal["student_t"] = "student_t"

    @property
    def outputs(self) -> int:
        return 3


class Quantiles(Table):
    """The pinball loss (Koenker & Bassett 1978)."""

    kind: Literal["quantiles"] = "quantiles"
    levels: tuple[Annotated[float, Field(gt=0.0, lt=1.0)], ...] = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)

    @model_validator(mode="after")
    def _rising(self) -> Quantiles:
        if not self.levels or list(self.levels) != sorted(set(self.levels)) or 0.5 not in self.levels:
            raise ValueError("levels must rise and have 0.5 among them, which is the forecast")
        return self

    @property
    def outputs(self) -> int:
        return len(self.levels)


ValueLoss = Annotated[
    SquaredError | AbsoluteError | HuberError | Gaussian | StudentT | Quantiles,
    Field(discriminator="kind"),
    BeforeValidator(kind_from_string),
]


class SeriesSource(Table):
    """Series in, series out: all about them is in the table [series]."""

    kind: Literal["series"] = "series"


def _several(value: object) -> object:
    """One name is a list of one."""
    return (value,) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_several)]


class Series(Table):
    # which columns
    time: str | None = None  # None: the column called time, date, datetime, timestamp or ds, else the first of times
    group: str | None = None  # None: the only column of words; "": none
    targets: Names | None = None  # None: every column of numbers
    covariates: Names = ()  # columns that are known for the future as well
    header: bool | None = None  # None: found from the first line
    # what is done about trouble
    missing: Literal["mask", "interpolate", "error"] = "mask"
    not_finite: Literal["missing", "error"] = "missing"
    huge: Literal["missing", "error"] = "error"  # numbers beyond 1e30 either way
    unordered: Literal["sort", "error"] = "sort"
    duplicates: Literal["first", "last", "mean", "error"] = "first"  # rows of one time stamp
    gaps: Literal["fill", "keep", "error"] = "fill"  # time stamps that are left out: rows of missing numbers
    irregular: Literal["keep", "error"] = "keep"  # time stamps between the steps: rows are taken one after the other
    offsets: Literal["utc", "error"] = "utc"  # time stamps of several offsets
    constant: Literal["keep", "error"] = "keep"
    # windows and parts
    context: PositiveInt | None = None  # steps that are looked at
    horizon: PositiveInt | None = None  # steps that are forecast
    stride: PositiveInt | None = None  # steps from one training window to the next
    patch: PositiveInt | None = None  # neighbouring steps that are one step of the model
    season: PositiveInt | None = None  # steps of a cycle
    split_rows: tuple[PositiveInt, PositiveInt, Count] | None = None  # for train, dev and test; None: by the shares
    dev_share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.15
    test_share: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    # numbers
    scaling: Literal["standard", "group", "none"] | None = None  # by mean and deviation of all series, or of each
    window_scaling: Literal["none", "last", "mean_std"] | None = None
    calendar: tuple[Literal["minute", "hour", "weekday", "day", "month"], ...] | None = None  # cycles that are told
    # the model and its training
    channels: Literal["independent", "joint"] | None = None  # each column alone with shared weights, or all together
    decoding: Literal["direct", "autoregressive"] | None = None
    loss: ValueLoss | None = None
    rollouts: bool = False  # an autoregressive model is trained on its own forecasts instead of the true values
    batch_windows: PositiveInt | None = None  # windows (of one column each, if columns are independent) of a batch
    # forecasts and scores
    interval: Annotated[float, Field(gt=0.0, le=0.9)] = 0.8  # how often the truth should be inside
    samples: PositiveInt = 100  # paths of an autoregressive model with a distribution
    drop_last: Count = 0  # also score without the last incomplete batch of so many windows, as published code does

    @model_validator(mode="after")
    def _fits(self) -> Series:
        if self.rollouts and self.decoding == "direct":
            raise ValueError("rollouts feed forecasts back: they need decoding = 'autoregressive'")
        if self.dev_share + self.test_share >= 1.0:
            raise ValueError("dev_share and test_share leave nothing to train on")
        tail = (1.0 - self.interval) / 2
        levels = self.loss.levels if isinstance(self.loss, Quantiles) else (0.0, 1.0)
        if levels[0] > tail + 1e-9 or levels[-1] < 1.0 - tail - 1e-9:
            raise ValueError(
                f"an interval of {self.interval:g} ends at the quantiles {tail:g} and {1 - tail:g}, and loss.levels at "
                f"{levels[0]:g} and {levels[-1]:g}: name further levels or a narrower interval"
            )
        return self
