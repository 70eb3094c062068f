"""8-bit weights are the nearest there are, and as large as this machine can multiply exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seqsmith.engine.integers import NARROW, WHOLE, quantise
from seqsmith.engine.weights import Linear

pytest.importorskip("ctranslate2")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from seqsmith.engine import ctranslate2_model, onnx_model
from seqsmith.engine.onnx import Session
from seqsmith.engine.onnx_graph import Graph


@pytest.mark.parametrize("largest", [WHOLE, NARROW])
def test_a_weight_is_rounded_on_the_scale_of_its_output(largest: int) -> None:
    random = np.random.default_rng(1)
    array = random.normal(size=(5, 7)) * np.array([[1e-3], [1.0], [1e3], [0.0], [1.0]])
    integers, scale = quantise(array.T.astype(np.float32), axis=0, largest=largest)
    assert np.abs(integers).max() == largest
    error = np.abs(integers * scale - array.T).max(0)
    assert (error <= scale / 2 * 1.001).all()


@pytest.mark.parametrize("rows", [1, 5, 64])
def test_products_of_the_largest_weights_that_a_machine_takes_are_exact(rows: int, tmp_path: Path) -> None:
    """All inputs and weights as large as they come: what overflows would be half of what is right."""
    inputs, outputs = 256, 48
    signs = np.random.default_rng(1).choice([-1.0, 1.0], size=(outputs, 1)).astype(np.float32)
    graph = Graph(largest=onnx_model.largest_weight())
    layer = Linear(np.repeat(signs, inputs, 1), np.zeros(outputs, np.float32))
    graph.output("y", graph.linear(graph.input("x", "float", ("N", inputs)), layer))
    graph.save(tmp_path / "graph.onnx")
    y = Session.open(tmp_path / "graph.onnx")({"x": np.ones((rows, inputs), np.float32)})["y"]
    assert y == pytest.approx(np.repeat(inputs * signs.T, rows, 0), rel=1e-4)


def test_the_probe_of_ctranslate2_is_right_once_its_weights_are_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ctranslate2_model.largest_weight()
    assert found in (WHOLE, NARROW)
    monkeypatch.setattr(ctranslate2_model, "WHOLE", found)  # what is tried
    monkeypatch.setattr(ctranslate2_model, "NARROW", 0)  # what would be said of an overflow
    assert ctranslate2_model.largest_weight() == found
