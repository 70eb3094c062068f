"""Forecasts as one self-contained SVG: what was seen, what came, what was forecast and within which interval.

With the extra `plot`, the same panels as a PNG by matplotlib.

Axes: Y neighbouring steps before the horizon.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqsmith.errors import UserError
from seqsmith.evaluate.heatmap import COLOUR, FAINT, FONTS, INK, MARGIN, PANEL

TRUTH = "#c2410c"
WIDTH, HEIGHT, HEAD, GAP = 760, 170, 26, 18
_LEGEND = (("seen", INK), ("what came", TRUTH), ("forecast", COLOUR))

Numbers = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Panel:
    """One column of one window; NaN is drawn as a hole."""

    title: str
    history_Y: Numbers
    truth_T: Numbers
    mean_T: Numbers
    low_T: Numbers
    high_T: Numbers


def linechart(panels: Sequence[Panel], *, title: str) -> str:
    """The SVG of the panels, one below the other."""
    top = MARGIN + 56
    height = top + len(panels) * (HEAD + HEIGHT + GAP) + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH + 2 * MARGIN}" height="{height}" '
        f'viewBox="0 0 {WIDTH + 2 * MARGIN} {height}" role="img" aria-label="{_shown(title)}" font-family="{FONTS}">',
        '<rect width="100%" height="100%" rx="12" fill="#ffffff"/>',
        f'<text x="{MARGIN}" y="{MARGIN + 14}" font-size="17" font-weight="600" fill="{INK}">{_shown(title)}</text>',
        *_legend(),
    ]
    for index, panel in enumerate(panels):
        parts += _panel(panel, top=top + index * (HEAD + HEIGHT + GAP))
    return "\n".join([*parts, "</svg>"]) + "\n"


def save_png(panels: Sequence[Panel], path: Path, *, title: str) -> None:
    """The same as a PNG. Raises UserError where matplotlib is missing."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.patches import Patch
    except ImportError:
        raise UserError(
            f"{path}: a PNG is drawn by matplotlib, which is not installed. Run `pip install 'seqsmith[plot]'`, or let "
            "the name end in .svg."
        ) from None
    figure = Figure(figsize=(9, 2.4 * len(panels)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, parse_math=False)
    for axes, panel in zip(np.atleast_1d(figure.subplots(len(panels), 1)), panels, strict=True):
        before, after = np.arange(-len(panel.history_Y), 0), np.arange(len(panel.truth_T))
        axes.set_title(panel.title, fontsize=9, parse_math=False)
        axes.fill_between(after, panel.low_T, panel.high_T, color=COLOUR, alpha=0.15, linewidth=0)
        axes.plot(before, panel.history_Y, color=INK)
        axes.plot(after, panel.truth_T, color=TRUTH)
        axes.plot(after, panel.mean_T, color=COLOUR)
    entries = [Patch(color=colour, label=name) for name, colour in _LEGEND]
    figure.legend(handles=entries, loc="outside lower center", ncols=len(entries), frameon=False, fontsize=9)
    figure.savefig(path, format="png", dpi=110)


def _legend() -> list[str]:
    lines, x = [], MARGIN
    for name, colour in _LEGEND:
        lines.append(f'<rect x="{x}" y="{MARGIN + 28}" width="14" height="4" rx="2" fill="{colour}"/>')
        lines.append(f'<text x="{x + 20}" y="{MARGIN + 34}" font-size="12" fill="{FAINT}">{name}</text>')
        x += 40 + 7 * len(name)
    return lines


def _panel(panel: Panel, *, top: int) -> list[str]:
    every = np.concatenate([panel.history_Y, panel.truth_T, panel.mean_T, panel.low_T, panel.high_T])
    seen = every[np.isfinite(every)]
    low, high = (float(seen.min()), float(seen.max())) if len(seen) else (0.0, 1.0)
    margin = 0.05 * (high - low) or 1.0
    low, high = low - margin, high + margin
    steps = len(panel.history_Y) + len(panel.truth_T)
    begin = len(panel.history_Y)

    def place(step: int, value: float) -> str:
        x = MARGIN + WIDTH * step / max(1, steps - 1)
        y = top + HEAD + HEIGHT * (high - value) / (high - low)
        return f"{x:.1f},{y:.1f}"

    def line(values: Numbers, first: int, colour: str) -> list[str]:
        runs: list[list[str]] = [[]]
        for step, value in enumerate(values.tolist(), first):
            if math.isfinite(value):
                runs[-1].append(place(step, value))
            elif runs[-1]:
                runs.append([])
        return [
            f'<polyline points="{" ".join(run)}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
            for run in runs
            if run
        ]

    upper = [place(step, value) for step, value in enumerate(panel.high_T.tolist(), begin)]
    lower = [place(step, value) for step, value in enumerate(panel.low_T.tolist(), begin)]
    return [
        f'<text x="{MARGIN}" y="{top + 16}" font-size="12" fill="{INK}">{_shown(panel.title)}</text>',
        f'<rect x="{MARGIN}" y="{top + HEAD}" width="{WIDTH}" height="{HEIGHT}" rx="3" fill="{PANEL}"/>',
        f'<polygon points="{" ".join(upper + lower[::-1])}" fill="{COLOUR}" fill-opacity="0.15"/>',
        *line(panel.history_Y, 0, INK),
        *line(panel.truth_T, begin, TRUTH),
        *line(panel.mean_T, begin, COLOUR),
        *(
            f'<text x="{MARGIN + WIDTH}" y="{top + HEAD + y}" font-size="11" text-anchor="end" fill="{FAINT}">'
            f"{value:.4g}</text>"
            for value, y in ((high, 12), (low, HEIGHT - 4))
        ),
    ]


def _shown(text: str) -> str:
    return html.escape("".join(c if c.isprintable() else "\ufffd" for c in text))
