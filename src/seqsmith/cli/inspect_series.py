"""`seqsmith inspect` of tables of measurements and of models of series."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from seqsmith import config
from seqsmith.cli.program import Found
from seqsmith.data.printable import printable
from seqsmith.series.table import read_table
from seqsmith.series.vectors import read_vectors


def inspect_table(path: str, series: config.Series, reading: config.Data) -> Found:
    """What is in a table of measurements."""
    table = read_table(path, series, reading)
    clock = table.clock
    every = np.concatenate([group.value_LC for group in table.groups])
    lines = [
        f"{printable(table.path, longest=1000)}: {table.rows:,} rows, {len(table.groups):,} series, "
        f"{len(table.columns)} columns of numbers",
    ]
    found: dict[str, Any] = {"rows": table.rows, "series": len(table.groups), "columns": {}}
    if clock is not None:
        first = min(int(group.time_L[0]) for group in table.groups)
        last = max(int(group.time_L[-1]) for group in table.groups)
        lines.append(
            f"  from {clock.written(first)} to {clock.written(last)}, steps of {clock}, "
            f"a season of {clock.season} steps"
        )
        found |= {"first": clock.written(first), "last": clock.written(last), "step": str(clock)}
    for index, name in enumerate(table.columns):
        seen = every[~np.isnan(every[:, index]), index]
        missing = len(every) - len(seen)
        low, mean, high = (float(f(seen)) if len(seen) else float("nan") for f in (np.min, np.mean, np.max))
        role = "" if index < table.targets else ", only looked at"
        lines.append(f"  {printable(name)}: {low:.4g} to {high:.4g}, mean {mean:.4g}, {missing:,} missing{role}")
        found["columns"][name] = {"low": low, "high": high, "mean": mean, "missing": missing}
    found["findings"] = list(table.findings.sentences(series))
    return [*lines, *(f"  {sentence}" for sentence in found["findings"])], found


def inspect_series_model(folder: Path) -> Found:
    """What is in a model folder."""
    from seqsmith import runtime
    from seqsmith.cli.card import describe
    from seqsmith.forecaster import Forecaster

    forecaster = Forecaster.open(folder, device="cpu")
    f = forecaster.featuriser
    table: dict[str, Any] = {
        "model": describe(forecaster.settings.model),
        "parameters": runtime.parameter_count(forecaster.engine.model),
        "series": f.as_dict(),
        "bytes": sum(file.stat().st_size for file in folder.iterdir()),
        "settings": forecaster.settings.model_dump(mode="json", exclude_none=True),
    }
    step = "" if f.clock is None else f", each {f.clock}"
    return [
        f"{printable(str(folder), longest=1000)}: a whole model folder, every file as it was saved",
        f"  {table['model']}, {table['parameters']:,} parameters, {table['bytes'] / 1e6:.1f} MB",
        f"  forecasts {f.horizon:,} steps of {', '.join(map(printable, f.columns[: f.targets]))} "
        f"from {f.context:,}{step}",
        "",
        config.dump(forecaster.settings).rstrip(),
    ], table


def inspect_vectors(path: str) -> Found:
    """How many pairs of sequences there are, how wide and how long."""
    given = read_vectors(path, needs_target=False)
    found: dict[str, Any] = {"pairs": len(given.source)}
    lines = [f"{printable(path, longest=1000)}: {len(given.source):,} sequences of vectors"]
    for role, matrices in (("source", given.source), ("target", given.target)):
        if not matrices:
            lines.append(f"  {role}: none")
            continue
        steps = sorted(map(len, matrices))
        width, shortest, median, longest = matrices[0].shape[1], steps[0], steps[len(steps) // 2], steps[-1]
        found[role] = {"numbers": width, "shortest": shortest, "median": median, "longest": longest}
        lines.append(f"  {role}: {width:,} numbers a step, {shortest:,} to {longest:,} steps, median {median:,}")
    return [*lines, *(f"  {sentence}" for sentence in given.remarks())], found


def inspect_vector_model(folder: Path) -> Found:
    """What is in a model folder of vector sequences."""
    from seqsmith import runtime
    from seqsmith.cli.card import describe
    from seqsmith.mapper import Mapper

    mapper = Mapper.open(folder, device="cpu")
    width, target_width = mapper.featuriser.widths
    table: dict[str, Any] = {
        "model": describe(mapper.settings.model),
        "parameters": runtime.parameter_count(mapper.engine.model),
        "vectors": mapper.featuriser.as_dict(),
        "settings": mapper.settings.model_dump(mode="json", exclude_none=True),
    }
    return [
        f"{printable(str(folder), longest=1000)}: a whole model folder, every file as it was saved",
        f"  {table['model']}, {table['parameters']:,} parameters",
        f"  steps of {width} numbers to steps of {target_width}, {mapper.featuriser.ratio:.3g} times as many",
        "",
        config.dump(mapper.settings).rstrip(),
    ], table
