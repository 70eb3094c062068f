"""The verbs for models of series: predict writes the future, evaluate scores it beside the naive forecasts, score says
how likely each window is."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, TextIO

import numpy as np

from seqsmith import __version__, config, runtime
from seqsmith.cli.forecasts import coverage_remark, likelihood, score_rows
from seqsmith.cli.program import note
from seqsmith.cli.series_data import part_windows, splits_of
from seqsmith.cli.write import replacing
from seqsmith.data.counts import Tally, told
from seqsmith.data.printable import printable
from seqsmith.errors import UserError, nearest
from seqsmith.evaluate.forecast import NAMES, at_level, render_forecasts
from seqsmith.evaluate.linechart import Panel, linechart, save_png
from seqsmith.featurise_series import Encoded, SeriesFeaturiser
from seqsmith.forecaster import LEVELS, Forecaster, as_rows
from seqsmith.series.repair import called
from seqsmith.series.scaling import Scaling
from seqsmith.series.split import Part, short_tests
from seqsmith.series.table import Table
from seqsmith.series.windows import Windows, whole_batches

_READING = {  # settings that may be others than in training: how the table is read, and what is told of it
    *("header", "time", "group", "missing", "not_finite", "huge", "unordered", "duplicates", "gaps", "irregular"),
    *("offsets", "constant", "samples", "interval"),
}
_CUTTING = {"dev_share", "test_share", "split_rows", "drop_last"}  # likewise: how it is cut into parts
_BYTES = {"bad_utf8", "longest_line_bytes"}  # likewise, of data
_FEW = 64  # rows of a batch, which threads would wait for more than they compute: 40 times as long on a busy machine
_SHOWN = 3  # of the worst windows and of the median ones that are drawn


def predict_series(
    folders: Sequence[Path],
    history: str,
    *,
    horizon: int | None,
    output: Path | None,
    form: Literal["text", "tsv", "csv", "jsonl"] | None,
    sections: dict[str, dict[str, Any]],
    threads: int | None,
) -> None:
    """Write a row for each step to come: time, then forecast, low and high of each column."""
    forecaster, table = _opened(folders, history, sections)
    few = len(table.groups) * forecaster.featuriser.targets <= _FEW
    runtime.use_threads(threads or (1 if few else None))
    forecasts = forecaster.predict(table, horizon=horizon)
    unknown = {group.name for group in table.groups} - {one.group for one in forecasts}
    if unknown:
        note(f"{len(unknown):,} series have no number to go on from and no forecast, the first is {min(unknown)}.")
    for sentence in _lacking(forecaster.featuriser, table):
        note(sentence)
    with nullcontext(sys.stdout) if output is None else replacing(output) as file:
        _write(file, list(as_rows(forecasts)), table, form or "csv")
    lower, upper = forecaster.interval
    note(f"low and high are where the truth should lie {upper - lower:.0%} of the time.")


def _lacking(f: SeriesFeaturiser, table: Table) -> Iterator[str]:
    """What the model looks at and a history has not."""
    short, blank = Tally(), Tally()
    for group in table.groups:
        seen_LC = ~np.isnan(group.value_LC)
        if not seen_LC.any():
            continue
        steps = int(np.flatnonzero(seen_LC.any(1))[-1]) + 1 if f.covariates else len(group)
        if steps < f.context:
            short.count += 1
            short.places.append(f"{called(group.name)}, of {steps:,}")
        unseen = np.flatnonzero(~seen_LC.any(0))
        blank.count += len(unseen)
        blank.places += [f"{printable(f.columns[column])} of {called(group.name)}" for column in unseen]
    yield from told(
        (
            (short, f"Histories shorter than the {f.context:,} steps that the model looks at, taken as missing before"),
            (blank, "Columns without any number, of which nothing is known and a forecast is a guess"),
        )
    )


def _write(file: TextIO, rows: list[dict[str, Any]], table: Table, form: str) -> None:
    """One line a row, under a header; the group only where the table has one."""
    if table.layout.group is None:
        for row in rows:
            del row["group"]
    if form == "jsonl":
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        return
    writer = csv.writer(file, delimiter="\t" if form in ("tsv", "text") else ",", lineterminator="\n")
    # whole, as names tell series and columns apart
    writer.writerow([printable(name, longest=None) for name in rows[0]])
    for row in rows:
        writer.writerow(_digits(v) if isinstance(v, float) else printable(v, longest=None) for v in row.values())


def _digits(number: float) -> str:
    """Eight digits, and three behind the point of large numbers, of which the last digits may be all that moves."""
    return f"{number:.8g}" if abs(number) < 1e5 else f"{number:.3f}".rstrip("0").rstrip(".")


def evaluate_series(
    folders: Sequence[Path],
    data: str,
    *,
    part: Part,
    names: list[str],
    sections: dict[str, dict[str, Any]],
    report: Path | None,
    plot: Path | None,
) -> None:
    """Score the forecasts of all windows of a table, or of a part of it, beside the naive ones."""
    for name in names:
        if name not in NAMES:
            raise UserError(f"--score {name}: no such score of a series.{nearest(name, NAMES)}")
    if plot is not None:
        _check_plot(plot)
    with nullcontext() if report is None else replacing(report) as file:
        forecaster, table = _opened(folders, data, sections, cut=True)
        checked = _series(forecaster)
        encoded = forecaster.featuriser.encode(table.groups)
        splits = splits_of(table, checked)
        shortened = short_tests(splits, checked.split_rows) if part == "test" else None
        if shortened is not None:
            note(shortened)
        windows = part_windows(forecaster.featuriser, splits, part)
        _check_windows(forecaster.featuriser, table, encoded, windows, part)
        rows = score_rows(forecaster, encoded, windows)
        print(f"{len(windows):,} windows of {printable(table.path, longest=1000)} ({part})")
        print(_chosen(rows, names))
        remark = coverage_remark(forecaster, part)
        if remark is not None:
            note(remark)
        found = _report(forecaster, folders, data, part, len(windows), rows)
        kept = whole_batches(len(windows), checked.drop_last)
        if checked.drop_last and 0 < kept < len(windows):
            dropped = score_rows(forecaster, encoded, Windows(windows.series_E[:kept], windows.start_E[:kept]))
            print(f"\n{kept:,} windows: the last incomplete batch of {checked.drop_last} is left out, as papers do")
            print(_chosen(dropped, names))
            found["dropped"] = {"windows": kept, "rows": dict(dropped)}
        if plot is not None:
            _draw(forecaster, encoded, windows, table, plot)
            print(f"\nThe {_SHOWN} worst and the {_SHOWN} median windows are drawn in {plot}")
        if file is not None:
            json.dump(found, file, ensure_ascii=False, indent=1)
            file.write("\n")


def score_series(folders: Sequence[Path], data: str, *, sections: dict[str, dict[str, Any]]) -> None:
    """Print how likely the true numbers of each window of a table are, or how far off their forecast."""
    forecaster, table = _opened(folders, data, sections)
    scores = forecaster.score(table)
    name, meaning = likelihood(forecaster.engine, truth="the true numbers that begin at the time", units="table")
    _write(sys.stdout, [{"group": one.group, "time": one.time, name: one.score} for one in scores], table, "csv")
    unknown = sum(math.isnan(one.score) for one in scores)
    if unknown:
        note(f"{unknown:,} of {len(scores):,} windows have no number in their horizon, and the score nan.")
    note(meaning)


def _opened(
    folders: Sequence[Path], path: str, sections: dict[str, dict[str, Any]], *, cut: bool = False
) -> tuple[Forecaster, Table]:
    """The model, and a table read as the model's or as these settings say."""
    series, data = sections["series"], sections["data"]
    known = _READING | _CUTTING if cut else _READING
    for name in series:
        if name not in known:
            raise UserError(f"series.{name}: belongs to the model or its training, and cannot be another here.")
    for name in data:
        if name not in _BYTES:
            raise UserError(f"data.{name}: means nothing to this model, whose answers are numbers. Leave it out.")
    runtime.keep_memory()
    runtime.use_threads(None)
    forecaster = Forecaster.open(*folders)
    own = forecaster.settings
    given = {
        "series": _series(forecaster).model_dump(exclude_none=True) | series,
        "data": own.data.model_dump(include=_BYTES) | data,
    }
    checked = config.build(given, where="settings")
    read = own.model_copy(update={"series": checked.series, "data": checked.data})
    forecaster = replace(forecaster, settings=read)
    table = forecaster.read(path)
    for sentence in table.findings.sentences(_series(forecaster)):
        note(sentence)
    return forecaster, table


def _check_windows(f: SeriesFeaturiser, table: Table, encoded: Encoded, windows: Windows, part: Part) -> None:
    """Raise UserError where there is nothing to score."""
    shortest = min(f.context, f.season) if part == "all" else f.context
    if not len(windows):
        raise UserError(
            f"{table.path}: no window of {shortest:,} steps of context and {f.horizon:,} of horizon fits into the part "
            f"`{part}`. How large it is, series.split_rows or series.dev_share and series.test_share say."
        )
    if not encoded.usable(windows).any():
        raise UserError(f"{table.path}: no window of the part `{part}` has numbers to look at and numbers to forecast.")


def _check_plot(path: Path) -> None:
    """Before the long work."""
    if path.suffix.lower() not in (".svg", ".png"):
        raise UserError(f"--plot {path}: expected a name that ends in .svg or .png.")
    if path.suffix.lower() == ".png" and find_spec("matplotlib") is None:
        raise UserError(f"--plot {path}: a PNG needs matplotlib: pip install 'seqsmith[plot]', or let it end in .svg.")
    if not path.parent.is_dir():
        raise UserError(f"--plot {path}: there is no folder {path.parent}.")


def _series(forecaster: Forecaster) -> config.Series:
    assert forecaster.settings.series is not None
    return forecaster.settings.series


def _chosen(rows: list[tuple[str, dict[str, float]]], names: list[str]) -> str:
    chosen = [(row, {name: v for name, v in scores.items() if not names or name in names}) for row, scores in rows]
    return render_forecasts(chosen)


def _report(
    forecaster: Forecaster,
    folders: Sequence[Path],
    data: str,
    part: str,
    windows: int,
    rows: list[tuple[str, dict[str, float]]],
) -> dict[str, Any]:
    f = forecaster.featuriser
    signature = f"part:{part}|windows:{windows}|context:{f.context}|horizon:{f.horizon}|seqsmith:{__version__}"
    scores = {name: {"value": v, "low": None, "high": None, "signature": signature} for name, v in rows[0][1].items()}
    return {
        "models": [str(folder) for folder in folders],
        "data": [data],
        "windows": windows,
        "scores": scores,
        "rows": dict(rows),
    }


def _draw(forecaster: Forecaster, encoded: Encoded, windows: Windows, table: Table, path: Path) -> None:
    errors = []
    for block, mean, _ in forecaster.blocks(encoded, windows):
        squared = (encoded.truths(block) - mean) ** 2
        seen = ~np.isnan(squared)
        errors.append(np.where(seen, squared, 0.0).sum((1, 2)) / np.maximum(1, seen.sum((1, 2))))
    order = np.argsort(-np.concatenate(errors), kind="stable")
    middle = max(0, len(order) // 2 - _SHOWN // 2)
    chosen = {"worst": order[:_SHOWN], "median": order[middle : middle + _SHOWN]}
    panels = [
        _panel(forecaster, encoded, Windows(windows.series_E[[index]], windows.start_E[[index]]), table, name)
        for name, indices in chosen.items()
        for index in indices.tolist()
    ]
    title = f"Forecasts of {Path(table.path).name}"
    if path.suffix.lower() == ".png":
        save_png(panels, path, title=title)
        return
    with replacing(path) as file:
        file.write(linechart(panels, title=title))


def _panel(forecaster: Forecaster, encoded: Encoded, window: Windows, table: Table, name: str) -> Panel:
    """The column of the window whose forecast is farthest off."""
    f, level = forecaster.featuriser, encoded.scaling(window)
    scaling = Scaling(level.shift_EC[0], level.spread_EC[0])
    mean, value = (part[0] for part in forecaster.forecast(encoded, window))
    truth = encoded.truths(window)[0]
    column = int(np.nan_to_num((truth - mean) ** 2).sum(0).argmax())
    history = scaling.inverse(encoded.contexts(window)[0, -3 * f.horizon :, : f.targets])
    group = table.groups[int(window.series_E[0])]
    when = str(window.start_E[0]) if f.clock is None else f.clock.written(int(group.time_L[int(window.start_E[0])]))
    low, high = (scaling.inverse(at_level(value, LEVELS, level))[:, column] for level in forecaster.interval)
    title = f"{name}: {f.columns[column]}{f' of {group.name}' if group.name else ''} from {when}"
    return Panel(
        title, history[:, column], scaling.inverse(truth)[:, column], scaling.inverse(mean)[:, column], low, high
    )
