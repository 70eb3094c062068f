"""Two panels over one size, both axes logarithmic, as an SVG; drawn by matplotlib (extra `plot`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib import rcParams
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

COLOURS = ("#3437a8", "#c2410c", "#0f766e")


@dataclass(frozen=True)
class Line:
    """One shape of model."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


def plot(panels: Sequence[Sequence[Line]], label: str, titles: Sequence[str], path: Path) -> None:
    """Write the panels side by side; the same lines give the same bytes."""
    rcParams["svg.hashsalt"] = path.name
    rcParams["svg.fonttype"] = "none"
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    FigureCanvasSVG(figure)
    for axes, lines, title in zip(figure.subplots(1, len(panels)), panels, titles, strict=True):
        for line, colour in zip(lines, COLOURS, strict=False):
            axes.plot(line.x, line.y, marker="o", color=colour, label=line.name)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(label)
        axes.set_title(title, fontsize=10)
        axes.grid(True, which="both", alpha=0.2)
        axes.legend()
    figure.savefig(path, metadata={"Date": None})
