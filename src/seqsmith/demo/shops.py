"""Measurements for the demonstration: what three shops sell each hour, with days, weeks, a slow trend, noise and holes.

Everything about the past can be seen in the table; a public holiday, on which shops are shut, is known beforehand and
stands in a column of its own.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

FIRST_HOUR = datetime(2024, 1, 1)
SHOPS = ("harbour", "market", "station")
_HOLES = 0.002  # share of numbers that are missing
_HOLIDAYS = 0.03  # share of days


def generate(days: int, seed: int) -> Iterator[tuple[str, str, str, str, int]]:
    """Rows (shop, time, bread, coffee, holiday), the same for the same seed; an empty cell is missing."""
    chance = random.Random(seed)
    holidays = [chance.random() < _HOLIDAYS for _ in range(days)]
    for number, shop in enumerate(SHOPS):
        size, growth, noise = 40.0 * (number + 1), 0.1 * (number - 1), 0.0
        for hour in range(24 * days):
            day, weekday = hour // 24, hour // 24 % 7
            noise = 0.7 * noise + chance.gauss(0, 0.03)
            week = 0.6 if weekday == 6 else 1.15 if weekday == 5 else 1.0
            level = size * week * (1 + growth * day / 365) * (0.1 if holidays[day] else 1.0) * (1 + noise)
            bread = level * _bump(hour % 24, 8 - number, 2.5)
            coffee = level * (0.5 * _bump(hour % 24, 9, 2) + 0.4 * _bump(hour % 24, 15 + number, 3))
            time = FIRST_HOUR + timedelta(hours=hour)
            cells = ("" if chance.random() < _HOLES else f"{max(0.0, x):.2f}" for x in (bread, coffee))
            yield shop, time.isoformat(" "), next(cells), next(cells), int(holidays[day])


def write_demo(folder: Path, *, days: int = 120, held_out_days: int = 7, seed: int = 1) -> tuple[Path, Path]:
    """Write `history.csv` and `future.csv`, its continuation, and give their paths. The history ends with rows that
    have no numbers but say which of the days to come are holidays, as a user would have them."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = list(generate(days + held_out_days, seed))
    border = (FIRST_HOUR + timedelta(days=days)).isoformat(" ")
    head = "shop,time,bread,coffee,holiday\n"
    history, future = folder / "history.csv", folder / "future.csv"
    known = [row if row[1] < border else (row[0], row[1], "", "", row[4]) for row in rows]
    history.write_text(head + "".join(",".join(map(str, row)) + "\n" for row in known), encoding="utf-8")
    late = (row for row in rows if row[1] >= border)
    future.write_text(head + "".join(",".join(map(str, row)) + "\n" for row in late), encoding="utf-8")
    return history, future


def _bump(hour: int, middle: float, width: float) -> float:
    return math.exp(-0.5 * ((hour - middle) / width) ** 2)
