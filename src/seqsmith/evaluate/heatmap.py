"""A heat map of attention as one self-contained SVG: source pieces along the top, target pieces down the side.

Darkness is linear in the weight, from nothing at 0 to the full colour at the largest weight of the map, as the legend
says; pointing at a cell tells its pieces and its weight. Nothing is scripted and nothing is loaded from elsewhere.
"""

from __future__ import annotations

import html
import math
import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

INK, FAINT, PANEL, COLOUR = "#1d2433", "#6b7486", "#f3f5f9", "#3437a8"
FONTS = "Inter, 'Noto Sans', 'Noto Sans CJK SC', 'Segoe UI', system-ui, sans-serif"
MARGIN, GAP = 24, 8
SLOPE_DEGREES = 55
LONGEST_LABEL = 18  # in widths of a wide character; the whole piece is in the hover title
LEGEND_STEPS, LEGEND_STEP = 20, 8

# What XML 1.0 cannot hold, and the marks that reorder text: a label must stay where and what it is.
UNPRINTABLE = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def heatmap(
    weight_TS: NDArray[np.floating], source: Sequence[str], target: Sequence[str], *, title: str = "Attention"
) -> str:
    """The SVG of weights in 0..1, row t telling where the model looked in the source when it wrote target[t].

    The cells shrink as the texts grow, down to the smallest at which the labels can be read.
    """
    T, S = len(target), len(source)
    weight_TS = np.asarray(weight_TS)
    assert weight_TS.shape == (T, S), f"weights {weight_TS.shape} for {T} target and {S} source pieces"
    assert np.isfinite(weight_TS).all(), "attention weights are finite"
    cell = max(14, min(30, 900 // max(S, T, 1)))
    font = max(10, cell // 2)
    across, down = [_label(piece) for piece in source], [_label(piece) for piece in target]

    slope = math.radians(SLOPE_DEGREES)
    rise = max((_width(label) for label in across), default=0.0) * font * math.sin(slope) + font
    left = MARGIN + max((_width(label) for label in down), default=0.0) * font + GAP
    top = MARGIN + 40 + rise + GAP
    ends = [(index + 1) * cell + _width(label) * font * math.cos(slope) for index, label in enumerate(across)]
    width = max(left + max(ends, default=0.0), MARGIN + 320) + MARGIN
    legend_top = top + T * cell + MARGIN
    height = legend_top + 44 + MARGIN

    peak = float(weight_TS.max(initial=0.0)) or 1.0
    parts = [
        _opening(width, height, title),
        f'<g font-size="{font}" fill="{INK}">',
        *_source_labels(across, source, left=left, top=top - GAP, cell=cell),
        *_target_labels(down, target, left=left - GAP, top=top, cell=cell, font=font),
        "</g>",
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{S * cell}" height="{T * cell}" rx="3" fill="{PANEL}"/>',
        *_cells(weight_TS, source, target, left=left, top=top, cell=cell, peak=peak),
        *_legend(peak, left=MARGIN, top=legend_top),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _opening(width: float, height: float, title: str) -> str:
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    name = html.escape(_printable(title))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} class="heatmap" role="img" aria-label="{name}" '
        f'font-family="{FONTS}">\n'
        f"<style>.heatmap .cell:hover{{stroke:{INK};stroke-width:2}}</style>\n"
        f'<rect width="100%" height="100%" rx="12" fill="#ffffff"/>\n'
        f'<text x="{MARGIN}" y="{MARGIN + 14}" font-size="17" font-weight="600" fill="{INK}">{name}</text>\n'
        f'<text x="{MARGIN}" y="{MARGIN + 33}" font-size="12" fill="{FAINT}">source across, target down</text>'
    )


def _source_labels(labels: Sequence[str], pieces: Sequence[str], *, left: float, top: float, cell: int) -> list[str]:
    lines = []
    for column, (label, piece) in enumerate(zip(labels, pieces, strict=True)):
        x = left + (column + 0.65) * cell
        turn = f"translate({x:.1f} {top:.1f}) rotate(-{SLOPE_DEGREES})"
        lines.append(f'<text transform="{turn}">{_labelled(label, piece)}</text>')
    return lines


def _target_labels(
    labels: Sequence[str], pieces: Sequence[str], *, left: float, top: float, cell: int, font: int
) -> list[str]:
    lines = []
    for row, (label, piece) in enumerate(zip(labels, pieces, strict=True)):
        y = top + (row + 0.5) * cell + 0.35 * font
        lines.append(f'<text x="{left:.1f}" y="{y:.1f}" text-anchor="end">{_labelled(label, piece)}</text>')
    return lines


def _cells(
    weight_TS: NDArray[np.floating],
    source: Sequence[str],
    target: Sequence[str],
    *,
    left: float,
    top: float,
    cell: int,
    peak: float,
) -> list[str]:
    across = [html.escape(_visible(piece)) for piece in source]
    side, round_corner = cell - 1, 3 if cell > 20 else 1
    lines = [f'<g fill="{COLOUR}">']
    for row, piece in enumerate(target):
        down = html.escape(_visible(piece))
        y = top + row * cell + 0.5
        for column, weight in enumerate(weight_TS[row].tolist()):
            lines.append(
                f'<rect class="cell" x="{left + column * cell + 0.5:.1f}" y="{y:.1f}" width="{side}" height="{side}" '
                f'rx="{round_corner}" fill-opacity="{max(weight, 0.0) / peak:.3f}">'
                f"<title>{down} \u2190 {across[column]}: {weight:.3f}</title></rect>"
            )
    return [*lines, "</g>"]


def _legend(peak: float, *, left: float, top: float) -> list[str]:
    length = LEGEND_STEPS * LEGEND_STEP
    lines = [
        f'<text x="{left}" y="{top + 10:.1f}" font-size="12" fill="{FAINT}">attention weight</text>',
        f'<rect x="{left}" y="{top + 18:.1f}" width="{length}" height="12" fill="{PANEL}"/>',
        f'<g fill="{COLOUR}" shape-rendering="crispEdges">',
    ]
    for step in range(LEGEND_STEPS):
        x, share = left + step * LEGEND_STEP, step / (LEGEND_STEPS - 1)
        lines.append(
            f'<rect class="swatch" x="{x}" y="{top + 18:.1f}" width="{LEGEND_STEP}" height="12" '
            f'fill-opacity="{share:.3f}"/>'
        )
    lines.append("</g>")
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        x, value = left + share * length, share * peak
        place = f'x="{x:.1f}" y="{top + 44:.1f}" text-anchor="{anchor}"'
        lines.append(f'<text {place} font-size="11" fill="{FAINT}">{value:.2f}</text>')
    return lines


def _labelled(label: str, piece: str) -> str:
    """The label, and the whole piece as its hover title where the label was cut."""
    whole = f"<title>{html.escape(_visible(piece))}</title>" if label != _visible(piece) else ""
    return whole + html.escape(label)


def _label(piece: str) -> str:
    """The piece, cut with an ellipsis where it is too wide."""
    piece = _visible(piece)
    width = 0.0
    for index, character in enumerate(piece):
        width += _width(character)
        if width > LONGEST_LABEL:
            return piece[:index].rstrip() + "\u2026"
    return piece


def _visible(text: str) -> str:
    """A piece with its spaces as open boxes, which SVG would swallow."""
    return _printable(text.replace(" ", "\u2423"))


def _printable(text: str) -> str:
    """Control characters as the signs that stand for them, what no sign stands for as U+FFFD."""
    text = "".join(chr(0x2400 + ord(c)) if c < " " else c for c in text)
    return UNPRINTABLE.sub("\ufffd", text)


def _width(text: str) -> float:
    """About how wide `text` is drawn, in sizes of the font."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    marks = sum(unicodedata.category(c) in ("Mn", "Me", "Cf") for c in text)
    return wide + 0.62 * (len(text) - wide - marks)
