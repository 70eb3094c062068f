"""A heat map is XML that holds every weight, and any text stays text in it."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from seqsmith.evaluate.heatmap import heatmap

SVG = "{http://www.w3.org/2000/svg}"
pieces = st.lists(st.text(max_size=30), min_size=1, max_size=4)


def uniform(T: int, S: int) -> NDArray[np.float64]:
    return np.full((T, S), 1 / max(S, 1))


def cells(picture: ElementTree.Element) -> list[ElementTree.Element]:
    return [rect for rect in picture.iter(f"{SVG}rect") if rect.get("class") == "cell"]


@settings(max_examples=40)
@given(pieces, pieces)
def test_any_text_gives_xml_with_a_cell_for_each_pair(source: list[str], target: list[str]) -> None:
    picture = ElementTree.fromstring(heatmap(uniform(len(target), len(source)), source, target))
    assert len(cells(picture)) == len(source) * len(target)


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "]]></svg><svg onload='x'>",
        '"&amp;&#0;',
        "\x00\x07\x1b[31m",
        "\u202egnp.exe",
        "\ud800",
    ],
)
def test_hostile_text_stays_text(hostile: str) -> None:
    plain = ElementTree.fromstring(heatmap(uniform(2, 2), ["a", "b"], ["c", "d"], title="t"))
    picture = ElementTree.fromstring(heatmap(uniform(2, 2), [hostile, "b"], ["c", hostile], title=hostile))
    kinds = {element.tag for element in plain.iter()} | {f"{SVG}title"}
    assert {element.tag for element in picture.iter()} == kinds
    for element in picture.iter():
        assert not any(name.startswith("on") or "href" in name for name in element.attrib)
        text = "".join(element.itertext())
        assert not any(character in text for character in "\x00\x07\x1b\u202e")


def test_darkness_is_linear_in_the_weight_up_to_the_largest() -> None:
    weight_TS = np.array([[0.0, 0.4, 0.2], [0.1, 0.1, 0.3]])
    picture = ElementTree.fromstring(heatmap(weight_TS, list("abc"), list("xy")))
    opacity = [float(cell.get("fill-opacity", "nan")) for cell in cells(picture)]
    assert opacity == pytest.approx((weight_TS / 0.4).flatten().tolist(), abs=1e-3)
    assert "0.40" in "".join(text.text or "" for text in picture.iter(f"{SVG}text"))


def test_pointing_at_a_cell_tells_its_pieces_and_weight() -> None:
    picture = ElementTree.fromstring(heatmap(np.array([[0.25, 0.75]]), ["cat", "dog"], ["Hund"]))
    assert [cell.findtext(f"{SVG}title") for cell in cells(picture)] == ["Hund ← cat: 0.250", "Hund ← dog: 0.750"]


@pytest.mark.parametrize(
    "piece", ["cat", "שלום", "مرحبا بالعالم", "你好世界", "👩\u200d🚀", "Donaudampfschifffahrtsgesellschaft" * 3]
)
@pytest.mark.parametrize("count", [1, 5, 80])
def test_everything_lies_within_the_picture(piece: str, count: int) -> None:
    picture = ElementTree.fromstring(heatmap(uniform(count, count), [piece] * count, [piece] * count))
    width, height = float(picture.get("width", "0")), float(picture.get("height", "0"))
    for rect in cells(picture):
        assert float(rect.get("x", "-1")) >= 0
        assert float(rect.get("x", "nan")) + float(rect.get("width", "nan")) <= width
        assert float(rect.get("y", "nan")) + float(rect.get("height", "nan")) <= height


def test_a_cut_label_keeps_its_whole_piece_for_the_pointer() -> None:
    piece = "x" * 200
    picture = ElementTree.fromstring(heatmap(uniform(1, 1), [piece], ["a"]))
    (label,) = (text for text in picture.iter(f"{SVG}text") if text.get("transform"))
    assert label.findtext(f"{SVG}title") == piece
    assert "".join(label.itertext()).removeprefix(piece).endswith("…")


def test_labels_can_be_read_however_long_the_texts() -> None:
    for count in (3, 60, 150):
        picture = ElementTree.fromstring(heatmap(uniform(2, count), ["w"] * count, ["a", "b"]))
        sizes = [float(element.get("font-size", "99")) for element in picture.iter()]
        assert min(sizes) >= 10


def test_no_pieces_and_no_weight_still_make_a_picture() -> None:
    assert not cells(ElementTree.fromstring(heatmap(np.zeros((0, 0)), [], [])))
    assert len(cells(ElementTree.fromstring(heatmap(np.zeros((1, 2)), ["a", "b"], ["c"])))) == 2


def test_nothing_is_loaded_from_elsewhere() -> None:
    picture = heatmap(uniform(2, 2), ["a", "b"], ["c", "d"])
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")
    assert "url(" not in picture
