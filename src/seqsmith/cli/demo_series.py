"""`seqsmith demo --series`: the whole road on measurements that the project writes itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seqsmith import config
from seqsmith.cli.demo import go_on, new_folder
from seqsmith.cli.program import command
from seqsmith.demo.shops import write_demo

if TYPE_CHECKING:
    from seqsmith.series.table import Group


def demo_series(folder: Path | None, *, settings: dict[str, Any]) -> int:
    """Write a table, train with no setting but the given ones, forecast the week that was held out."""
    folder = new_folder(folder, "demo-series")
    history, future = write_demo(folder / "data")
    print(f"Wrote {history} and {future}: what three shops sell each hour, and which days are holidays.", flush=True)
    from seqsmith.cli.train import train
    from seqsmith.forecaster import Forecaster

    own = {"data": {"train": [{"path": str(history)}]}, "series": {"covariates": ["holiday"]}}
    code = train(config.merge(own, settings), folder / "run", resume=False)
    if code:
        return code
    model = folder / "run" / "model"
    forecaster = Forecaster.open(model)
    truth = {group.name: group for group in forecaster.read(str(future)).groups}
    print("\nThe first day to come, bread at each shop (forecast, interval, what came):")
    for found in forecaster.predict(str(history)):
        print(f"  {found.group:<8} {_day(found.mean_TC, found.low_TC, found.high_TC, truth[found.group])}")
    go_on(
        command("predict", model, history, "--horizon", "48"),
        command("evaluate", model, history, "--part", "dev", "--plot", folder / "forecasts.svg"),
        command("inspect", history),
        command("train", "YOUR_TABLE.csv", "--out", "my-run"),
    )
    return 0


def _day(mean_TC: Any, low_TC: Any, high_TC: Any, truth: Group) -> str:
    hours = range(7, min(len(mean_TC), 19), 3)
    cells = (
        f"{hour:02}h {mean_TC[hour, 0]:.0f} ({low_TC[hour, 0]:.0f} to {high_TC[hour, 0]:.0f}) "
        f"{'-' if np.isnan(truth.value_LC[hour, 0]) else f'{truth.value_LC[hour, 0]:.0f}'}"
        for hour in hours
    )
    return "   ".join(cells)
