"""Pictures of forecasts: well-formed, with every number in its frame, and nothing from a file that could act."""

from xml.etree import ElementTree

import numpy as np
import pytest

from seqsmith.errors import UserError
from seqsmith.evaluate.linechart import HEAD, HEIGHT, Panel, linechart, save_png

SVG = "{http://www.w3.org/2000/svg}"


def panel(title="worst"):
    history = np.array([1.0, np.nan, 3.0, 2.0])
    mean = np.array([2.0, 3.0])
    return Panel(title, history, np.array([2.5, np.nan]), mean, mean - 1, mean + 1)


def test_a_chart_is_well_formed_and_keeps_titles_as_text():
    root = ElementTree.fromstring(linechart([panel("<script>&\u202e"), panel()], title="<b>"))
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert "<b>" in texts
    assert "<script>&\ufffd" in texts
    assert not list(root.iter(f"{SVG}script"))
    assert len(list(root.iter(f"{SVG}polygon"))) == 2


def test_every_point_lies_in_its_panel_and_holes_part_the_line():
    root = ElementTree.fromstring(linechart([panel()], title="x"))
    lines = list(root.iter(f"{SVG}polyline"))
    assert len(lines) == 4  # the history has a hole
    frame = root.findall(f"{SVG}rect")[-1]
    left, top = float(frame.get("x")), float(frame.get("y"))
    for line in lines:
        for point in line.get("points").split():
            x, y = map(float, point.split(","))
            assert left <= x <= left + float(frame.get("width"))
            assert top <= y <= top + HEIGHT
    assert HEAD > 0


def test_a_png_needs_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(UserError, match=r"a PNG is drawn by matplotlib, which is not installed"):
        save_png([panel()], tmp_path / "x.png", title="x")


def test_a_png_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    save_png([panel(), panel()], tmp_path / "x.png", title="x")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_a_dollar_in_a_name_is_a_dollar(tmp_path):
    pytest.importorskip("matplotlib")
    save_png([panel("$a^$"), panel()], tmp_path / "x.png", title="price ($), cost (^$)")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
