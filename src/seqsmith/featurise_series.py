"""Tables of measurements to batches of windows and back: what was fitted on the training part, and how it is used.

Where columns are independent, an example is one column of a window and all columns share the model (channel
independence, as in PatchTST, Nie et al. 2023); where they are joint, it is the window.

Axes: E windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from seqsmith import config
from seqsmith.batch import Future, SeriesBatch, Values
from seqsmith.series.calendar import Cycle, calendar
from seqsmith.series.clock import Clock
from seqsmith.series.scaling import Levels, Scaling, WindowScaling, levels
from seqsmith.series.table import Group, Table
from seqsmith.series.windows import Windows

Numbers = NDArray[np.float32]


@dataclass(frozen=True)
class SeriesFeaturiser:
    """What a model of series knows of its table."""

    columns: tuple[str, ...]  # the targets first
    targets: int
    covariates: tuple[str, ...]
    clock: Clock | None
    cycles: tuple[Cycle, ...]
    scaling: Scaling  # of the columns
    groups: tuple[str, ...]  # the names of the series in training
    own_scaling: tuple[Scaling, ...]  # of the columns of each of them; none: all are scaled alike
    covariate_scaling: Scaling
    context: int
    horizon: int
    patch: int
    season: int
    independent: bool
    window_scaling: WindowScaling

    @property
    def channels(self) -> int:
        """How many columns an example has."""
        return 1 if self.independent else len(self.columns)

    @property
    def target_channels(self) -> int:
        return 1 if self.independent else self.targets

    @property
    def known(self) -> int:
        """How many covariates are known of each step."""
        return len(self.cycles) + len(self.covariates)

    def encode(self, groups: Sequence[Group]) -> Encoded:
        """The series scaled, with what is known of every step and of a horizon beyond the last."""
        number = {name: index for index, name in enumerate(self.groups)}
        group_S = np.array([number.get(group.name, len(number)) for group in groups], np.int64)
        values = [group.value_LC[:, : len(self.columns)] for group in groups]
        scalings = [self._scaling(index, value_LC) for index, value_LC in zip(group_S.tolist(), values, strict=True)]
        return Encoded(
            self,
            tuple(one.scale(value_LC).astype(np.float32) for one, value_LC in zip(scalings, values, strict=True)),
            tuple(self._known(group) for group in groups),
            tuple(scalings),
            group_S,
        )

    def _scaling(self, group: int, value_LC: NDArray[np.float64]) -> Scaling:
        """Where each series has its own, one that was not in training is scaled by the numbers that are there."""
        if not self.own_scaling:
            return self.scaling
        return self.own_scaling[group] if group < len(self.own_scaling) else Scaling.fit([value_LC])

    def _known(self, group: Group) -> Numbers:
        """Covariates of the steps of a group; a group may have more of them than of values."""
        times = group.time_L
        covariates = self.covariate_scaling.scale(group.known_LE)
        steps = [calendar(times, self.cycles), np.nan_to_num(covariates).astype(np.float32)]
        return np.concatenate(steps, axis=1)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; `from_dict` takes it back."""
        scalings = {
            "scaling": self.scaling.as_dict(),
            "own_scaling": [one.as_dict() for one in self.own_scaling],
            "covariate_scaling": self.covariate_scaling.as_dict(),
        }
        clock = None if self.clock is None else asdict(self.clock)
        return {**{name: getattr(self, name) for name in _PLAIN}, "clock": clock, **scalings}

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> Self:
        plain: dict[str, Any] = {name: _frozen(table[name]) for name in _PLAIN}
        return cls(
            **plain,
            clock=None if table["clock"] is None else Clock(**table["clock"]),
            scaling=Scaling.from_dict(table["scaling"]),
            own_scaling=tuple(Scaling.from_dict(one) for one in table["own_scaling"]),
            covariate_scaling=Scaling.from_dict(table["covariate_scaling"]),
        )


_PLAIN = (
    *("columns", "targets", "covariates", "cycles", "context", "horizon", "patch", "season"),
    *("independent", "window_scaling", "groups"),
)


@dataclass(frozen=True)
class Encoded:
    """Series ready to be cut: numbers in standard units, NaN where missing, one row a step."""

    featuriser: SeriesFeaturiser
    x: tuple[Numbers, ...]  # x_LC of each series
    known: tuple[Numbers, ...]  # known_LE, of future steps as well where there are more rows
    scalings: tuple[Scaling, ...]  # by which each was scaled
    group_S: NDArray[np.int64]  # which of the featuriser's groups each is; their number: none of them

    @cached_property
    def _flat(self) -> tuple[Numbers, NDArray[np.int64], Numbers, NDArray[np.int64]]:
        """All series end to end, with the place and length of each."""
        starts = np.cumsum([0, *(len(x) for x in self.x)])
        known_starts = np.cumsum([0, *(len(known) for known in self.known)])
        return np.concatenate(self.x), starts, np.concatenate(self.known), known_starts

    def scaling(self, windows: Windows) -> Levels:
        """By what the targets of windows were scaled."""
        mean_SC, deviation_SC = self._scales
        return Levels(mean_SC[windows.series_E], deviation_SC[windows.series_E])

    @cached_property
    def _scales(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and deviation of the targets of all series."""
        scalings = [one.columns(range(self.featuriser.targets)) for one in self.scalings]
        return np.stack([one.mean_C for one in scalings]), np.stack([one.deviation_C for one in scalings])

    def contexts(self, windows: Windows) -> Numbers:
        """The numbers before each horizon, a multiple of the patch; NaN before a series begins -> x_ESC."""
        f = self.featuriser
        steps = -(-f.context // f.patch) * f.patch
        context_ESC = self._cut(windows, -steps, 0)
        context_ESC[:, : steps - f.context] = np.nan
        return context_ESC

    def truths(self, windows: Windows) -> Numbers:
        """The target numbers of each horizon; NaN after a series ends -> x_ETC."""
        return self._cut(windows, 0, self.featuriser.horizon)[..., : self.featuriser.targets]

    def _cut(self, windows: Windows, first: int, end: int) -> Numbers:
        flat, starts, _, _ = self._flat
        step = windows.start_E[:, None] + np.arange(first, end)
        length = np.diff(starts)[windows.series_E][:, None]
        inside = (step >= 0) & (step < length)
        index = np.where(inside, step + starts[windows.series_E][:, None], 0)
        return np.where(inside[..., None], flat[index], np.float32(np.nan))

    def _known(self, windows: Windows, first: int, end: int) -> Numbers:
        _, _, flat, starts = self._flat
        step = windows.start_E[:, None] + np.arange(first, end)
        length = np.diff(starts)[windows.series_E][:, None]
        inside = (step >= 0) & (step < length)
        index = np.where(inside, step + starts[windows.series_E][:, None], 0)
        return np.where(inside[..., None], flat[index], np.float32(0.0))

    def batch(self, windows: Windows, *, channel_E: NDArray[np.int64] | None = None) -> SeriesBatch:
        """The windows as a batch; with independent columns, the column `channel_E` of each."""
        f = self.featuriser
        context_ESC, truths = self.contexts(windows), self.truths(windows)
        if channel_E is not None:
            context_ESC = np.take_along_axis(context_ESC, channel_E[:, None, None], axis=2)
            truths = np.take_along_axis(truths, channel_E[:, None, None], axis=2)
        level = levels(context_ESC, f.window_scaling)
        seen_ESC = ~np.isnan(context_ESC)
        x_ESC = np.where(seen_ESC, level.scale(context_ESC), np.float32(0.0)).astype(np.float32)
        shift, spread = level.shift_EC[:, : truths.shape[2]], level.spread_EC[:, : truths.shape[2]]
        more = -f.horizon % f.patch
        truth = np.pad(truths, ((0, 0), (0, more), (0, 0)), constant_values=np.nan)
        seen = ~np.isnan(truth)
        x = np.where(seen, (truth - shift[:, None]) / spread[:, None], np.float32(0.0)).astype(np.float32)
        source = Values(
            _tensor(x_ESC),
            _tensor(seen_ESC),
            _tensor(self._known(windows, -context_ESC.shape[1], 0)),
            _tensor(np.ones_like(seen_ESC[..., 0])),
        )
        target = Future(
            _tensor(x),
            _tensor(seen),
            _tensor(self._known(windows, 0, f.horizon + more)),
            _tensor(x_ESC[:, -f.patch :, : shift.shape[1]]),
            _tensor(shift.astype(np.float32)),
            _tensor(spread.astype(np.float32)),
            int(seen.sum()),
        )
        return SeriesBatch(source, target, torch.arange(len(windows)))

    def usable(self, windows: Windows) -> NDArray[np.bool_]:
        """Which target columns of each window have been seen, both before the horizon and in it -> usable_EC."""
        f = self.featuriser
        flat, starts, _, _ = self._flat
        seen = np.concatenate([np.zeros((1, f.targets), np.int64), np.cumsum(~np.isnan(flat[:, : f.targets]), axis=0)])
        place, first = starts[windows.series_E] + windows.start_E, starts[windows.series_E]
        before_EC = seen[place] - seen[np.maximum(first, place - f.context)]
        end = np.minimum(place + f.horizon, starts[windows.series_E + 1])
        usable_EC: NDArray[np.bool_] = (before_EC > 0) & (seen[end] - seen[place] > 0)
        return usable_EC


def _tensor(array: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True)
class Examples:
    """What is learned from: windows, or with independent columns one column of each."""

    encoded: Encoded
    windows: Windows
    channel_E: NDArray[np.int64] | None

    @classmethod
    def of(cls, encoded: Encoded, windows: Windows) -> Self:
        """All examples of the windows that have something to look at and something to learn."""
        usable_EC = encoded.usable(windows)
        if not encoded.featuriser.independent:
            return cls(encoded, windows.only(np.asarray(usable_EC.any(1))), None)
        window, channel = np.nonzero(usable_EC)
        return cls(encoded, Windows(windows.series_E[window], windows.start_E[window]), channel)

    def __len__(self) -> int:
        return len(self.windows)

    def batch(self, index: NDArray[np.int64]) -> SeriesBatch:
        chosen = Windows(self.windows.series_E[index], self.windows.start_E[index])
        return self.encoded.batch(chosen, channel_E=None if self.channel_E is None else self.channel_E[index])


@dataclass(frozen=True)
class TrainingWindows:
    """The batches of one epoch, made when asked for: a pure function of the examples, the seed and the epoch."""

    examples: Examples
    size: int
    seed: int
    epoch: int

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        return np.random.default_rng([self.seed, self.epoch]).permutation(len(self.examples))

    def __len__(self) -> int:
        return -(-len(self.examples) // self.size)

    def __getitem__(self, index: int) -> SeriesBatch:
        return self.examples.batch(self._order[index * self.size : (index + 1) * self.size])


def fit_featuriser(
    table: Table, train: Sequence[tuple[int, int]], settings: config.Series, *, cycles: tuple[Cycle, ...], season: int
) -> SeriesFeaturiser:
    """Learn the scaling from the training parts; `train` has the (begin, end) of each series' part."""
    width = table.targets if settings.channels == "independent" else len(table.columns)
    parts = [group.value_LC[begin:end, :width] for group, (begin, end) in zip(table.groups, train, strict=True)]
    known = [group.known_LE[begin:end] for group, (begin, end) in zip(table.groups, train, strict=True)]
    shared = Scaling.fit(parts)
    own = parts if settings.scaling == "group" else []
    assert settings.context is not None
    assert settings.horizon is not None
    assert settings.patch is not None
    return SeriesFeaturiser(
        columns=table.columns[:width],
        targets=table.targets,
        covariates=table.covariates,
        clock=table.clock,
        cycles=cycles,
        scaling=Scaling.none(width) if settings.scaling == "none" else shared,
        groups=tuple(group.name for group in table.groups),
        own_scaling=tuple(Scaling.fit([part], fallback=shared) for part in own),
        covariate_scaling=Scaling.fit(known),
        context=settings.context,
        horizon=settings.horizon,
        patch=settings.patch,
        season=season,
        independent=settings.channels == "independent",
        window_scaling=settings.window_scaling or "none",
    )
