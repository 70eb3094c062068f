"""Tables of measurements on their way to examples: read, split by time, every open setting resolved, scaled."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqsmith import config
from seqsmith.cli.meaningless import refuse_meaningless, settled
from seqsmith.cli.program import Say
from seqsmith.data.files import shown
from seqsmith.data.printable import printable
from seqsmith.errors import UserError
from seqsmith.evaluate.forecast import naive_error
from seqsmith.evaluate.naive import Linear
from seqsmith.featurise_series import Encoded, Examples, Numbers, SeriesFeaturiser, fit_featuriser
from seqsmith.forecaster import Baselines
from seqsmith.series.calendar import fitting_cycles
from seqsmith.series.scaling import differ
from seqsmith.series.split import Part, Split, short_tests, split
from seqsmith.series.table import Table, read_table
from seqsmith.series.windows import Windows, windows
from seqsmith.train.recipe import lines as recipe_lines
from seqsmith.train.series_recipe import SeriesFacts, choose_series

_MOST_FITTED = 20_000  # windows that the linear baseline is fitted on
_BLOCK = 512


@dataclass(frozen=True)
class PreparedSeries:
    """All that a run needs of its table, or of its table and another one for dev."""

    settings: config.Settings
    featuriser: SeriesFeaturiser
    train: Encoded
    train_windows: Windows
    dev: Encoded
    dev_windows: Windows
    baselines: Baselines
    digest: str

    @property
    def examples(self) -> Examples:
        return Examples.of(self.train, self.train_windows)


def prepare_series(table: Mapping[str, Any], *, resume: bool, say: Say) -> PreparedSeries:
    """Read the tables and settle everything. Raises UserError where they are too short for the windows asked for."""
    table = {**table, "series": table.get("series", {})}
    draft = config.draft(table, where="settings")
    series = draft.series
    assert series is not None
    refuse_meaningless(draft)
    if draft.train.batch_tokens is not None:
        raise UserError("train.batch_tokens: windows are all of one size. Set series.batch_windows instead.")
    measured, dev_table = _read(draft, series, say)
    _check_names(measured)
    splits = splits_of(measured, series, with_dev=dev_table is None)
    shortened = short_tests(splits, series.split_rows)
    if shortened is not None:
        say(shortened)
    settings = draft if resume else _resolved(table, measured, dev_table, splits, say)
    settings = _with_group(settings, measured)
    series = settings.series
    assert series is not None
    assert series.season is not None
    assert series.stride is not None
    train_parts = [one.part("train") for one in splits]
    train_windows = _windows(train_parts, series, series.stride, "train", measured, shortest=series.context)
    spans = [
        int(group.time_L[end - 1] - group.time_L[begin])
        for group, (begin, end) in zip(measured.groups, train_parts, strict=True)
        if end > begin
    ]
    cycles = series.calendar
    if cycles is None:
        cycles = fitting_cycles(measured.clock, span_us=max(spans), context=series.context or 0)
    elif cycles and measured.clock is None:
        raise UserError("series.calendar: the table has no time column, so nothing is known of the calendar.")
    featuriser = fit_featuriser(measured, train_parts, series, cycles=cycles, season=series.season)
    train = featuriser.encode(measured.groups)
    short = len(measured.groups) - len(np.unique(train_windows.series_E))
    if short:
        say(
            f"Series that are too short to train on ({series.context:,} steps of context and {series.horizon:,} of "
            f"horizon): {short:,} of {len(measured.groups):,}."
        )
    dev = train if dev_table is None else featuriser.encode(dev_table.groups)
    dev_parts = (
        [one.part("dev") for one in splits] if dev_table is None else [(0, len(group)) for group in dev_table.groups]
    )
    dev_windows = _windows(dev_parts, series, 1, "dev", dev_table or measured, shortest=None)
    _check_seen(measured, train, train_windows, "train")
    _check_seen(dev_table or measured, dev, dev_windows, "dev")
    parts = [x[begin:end, : featuriser.targets] for x, (begin, end) in zip(train.x, train_parts, strict=True)]
    error_GC = np.stack([*(naive_error([part], series.season) for part in parts), naive_error(parts, series.season)])
    linear = Linear.fit(_blocks(train, train_windows))
    prepared = PreparedSeries(
        settings, featuriser, train, train_windows, dev, dev_windows, Baselines(linear, error_GC), ""
    )
    return PreparedSeries(**{**vars(prepared), "digest": _digest(prepared)})


def splits_of(table: Table, series: config.Series, *, with_dev: bool = True) -> list[Split]:
    """Where the parts of each series end."""
    dev_share = series.dev_share if with_dev else 0.0
    return [
        split(len(group), rows=series.split_rows, dev_share=dev_share, test_share=series.test_share)
        for group in table.groups
    ]


def part_windows(featuriser: SeriesFeaturiser, splits: list[Split], part: Part) -> Windows:
    """All windows of a part, whose first contexts may be shorter than the model's where a series begins."""
    return windows(
        [one.part(part) for one in splits],
        context=featuriser.context,
        horizon=featuriser.horizon,
        shortest_context=None if part != "all" else min(featuriser.context, featuriser.season),
    )


def _read(settings: config.Settings, series: config.Series, say: Say) -> tuple[Table, Table | None]:
    train, dev = settings.data.train, settings.data.dev
    for corpora, name in ((train, "train"), (dev, "dev")):
        if len(corpora) > 1 or any(corpus.target is not None for corpus in corpora):
            raise UserError(f"data.{name}: series are read from one table; put them into one with a column of groups.")
    tables: list[Table] = []
    for corpus in (*train, *dev):
        table = read_table(corpus.path, series, settings.data, known=tables[0].clock if tables else None)
        say(
            f"{shown(corpus.path)}: {table.rows:,} rows, {len(table.groups):,} series of {len(table.columns)} columns, "
            f"{_steps(table)}."
        )
        for sentence in table.findings.sentences(series):
            say(sentence)
        tables.append(table)
    if len(tables) > 1 and (seen := _rows_in_both(*tables)):
        say(
            f"{seen:,} of the {tables[1].rows:,} dev rows are training rows too: their forecasts say little about what "
            "is new."
        )
    if len(tables) > 1 and (tables[0].columns, tables[0].covariates) != (tables[1].columns, tables[1].covariates):
        raise UserError(f"{tables[1].path}: its columns differ from those of {tables[0].path}. Give both the same.")
    if len(tables) > 1 and _steps(tables[0]) != _steps(tables[1]):
        raise UserError(
            f"{tables[1].path}: it has {_steps(tables[1])}, but {tables[0].path} has {_steps(tables[0])}. Give both "
            "the same."
        )
    return tables[0], tables[1] if len(tables) > 1 else None


def _rows_in_both(train: Table, dev: Table) -> int:
    """How many rows of dev have the time and the numbers that a row of the same series in train has."""
    if train.columns != dev.columns:
        return 0
    known = {group.name: group for group in train.groups}
    rows = 0
    for group in dev.groups:
        other = known.get(group.name)
        if other is not None:
            _, ours, theirs = np.intersect1d(group.time_L, other.time_L, return_indices=True)
            same = (group.value_LC[ours] == other.value_LC[theirs]) | np.isnan(group.value_LC[ours])
            rows += int(same.all(1).sum())
    return rows


def _steps(table: Table) -> str:
    if table.clock is not None:
        return f"steps of {table.clock}"
    return "no time column" if table.layout.time is None else "too few rows to tell the step of their time"


def _resolved(
    table: Mapping[str, Any], measured: Table, dev_table: Table | None, splits: list[Split], say: Say
) -> config.Settings:
    trained = [one.part("train") for one in splits]
    dev = [one.part("dev") for one in splits] if dev_table is None else [(0, len(group)) for group in dev_table.groups]
    clock = measured.clock
    parts = [group.value_LC[begin:end] for group, (begin, end) in zip(measured.groups, trained, strict=True)]
    facts = SeriesFacts(
        steps=max(end - begin for begin, end in trained),
        dev_steps=max(end - begin for begin, end in dev),
        numbers=sum(end - begin for begin, end in trained) * measured.targets,
        columns=measured.targets,
        season=1 if clock is None else clock.season,
        season_reason="no time column" if clock is None else f"steps of {clock}",
        scales_differ=differ(parts),
    )
    recipe = choose_series(facts, table)
    say("Chosen from the data (whatever is set is left as it is):")
    for line in recipe_lines(recipe):
        say(f"  {line}")
    return settled(recipe.resolved())


def _check_names(table: Table) -> None:
    """Raise UserError for a target whose name another column of a forecast has."""
    targets = table.columns[: table.targets]
    others = {"group", "time", *(f"{name} {end}" for name in targets for end in ("low", "high"))}
    for name in targets:
        if name in others:
            raise UserError(
                f"{table.path}: forecasts have a column `{printable(name)}` of their own. Rename that of the table, or "
                "leave it out of series.targets."
            )


def _with_group(settings: config.Settings, table: Table) -> config.Settings:
    """The column of groups that was found is that of every later table, whatever words these have."""
    assert settings.series is not None
    series = settings.series.model_copy(update={"group": table.layout.group or ""})
    return settings.model_copy(update={"series": series})


def _windows(
    parts: list[tuple[int, int]], series: config.Series, stride: int, name: str, table: Table, *, shortest: int | None
) -> Windows:
    """The windows of a part. Raises UserError where there is none."""
    assert series.context is not None
    assert series.horizon is not None
    found = windows(parts, context=series.context, horizon=series.horizon, stride=stride, shortest_context=shortest)
    if len(found):
        return found
    longest = max(end - begin for begin, end in parts)
    raise UserError(
        f"{table.path}: no window of {series.context:,} steps of context and {series.horizon:,} of horizon fits into "
        f"the {name} part, whose longest series has {longest:,} steps. Set series.context or series.horizon lower, or "
        "give more data."
    )


def _check_seen(table: Table, encoded: Encoded, chosen: Windows, name: str) -> None:
    """Raise UserError where no window has anything to look at and to forecast, or, in training, none of a column."""
    usable_C = encoded.usable(chosen).any(0)
    if usable_C.any() and not usable_C.all() and name == "train":
        column = printable(table.columns[int(usable_C.argmin())])
        raise UserError(
            f"{table.path}: no window of the train part has numbers of the column `{column}` in its context and in its "
            "horizon, so that nothing is learnt of it. Name the others in series.targets, or cut the parts elsewhere "
            "(series.split_rows)."
        )
    if not usable_C.any():
        raise UserError(
            f"{table.path}: no window of the {name} part has numbers both in its context and in its horizon: what "
            "should be forecast is missing there. Fill it, name other columns in series.targets, or cut the parts "
            "elsewhere (series.split_rows)."
        )


def _blocks(encoded: Encoded, chosen: Windows) -> Iterator[tuple[Numbers, Numbers]]:
    every = max(1, len(chosen) // _MOST_FITTED)
    for start in range(0, len(chosen), _BLOCK * every):
        piece = slice(start, start + _BLOCK * every, every)
        block = Windows(chosen.series_E[piece], chosen.start_E[piece])
        yield encoded.contexts(block)[..., : encoded.featuriser.targets], encoded.truths(block)


def _digest(prepared: PreparedSeries) -> str:
    """What the examples depend on beside the settings."""
    seal = hashlib.sha256(repr(prepared.featuriser.as_dict()).encode())
    for encoded, chosen in ((prepared.train, prepared.train_windows), (prepared.dev, prepared.dev_windows)):
        for array in (*encoded.x, *encoded.known, chosen.series_E, chosen.start_E):
            seal.update(np.ascontiguousarray(array).tobytes())
    return seal.hexdigest()
