"""A model as ONNX graphs, built from its weights: `encoder.onnx` and `step.onnx`.

The encoder's outputs called `source.*` are kept for each source and those called `row.*` start the search; a step takes
both and gives `after.*` for the rows, and the best tokens of each row with the normaliser of its logits. `listed.onnx`
is the step of a batch that is answered with a shortlist: it is given the outlet's weights for these ids, picked from
`outlet.safetensors`, and what a source does not list weighs -inf for it. torch's own exporter is not used: its graphs
carry the steps of a loop that is one operator here, and need torch to be made.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import assert_never

import numpy as np
from safetensors.numpy import save_file

from seqsmith import config
from seqsmith.engine.integers import NARROW, WHOLE
from seqsmith.engine.onnx import OUTLET, Session
from seqsmith.engine.onnx_encoder import encode
from seqsmith.engine.onnx_graph import Graph, as_given
from seqsmith.engine.onnx_recurrent import RecurrentSteps
from seqsmith.engine.onnx_transformer import TransformerSteps
from seqsmith.engine.weights import Linear, Weights

_NOTHING = -80.0
"""Added to the best logit; e ** -80 is a normal number, and too small to change a sum of float32 that holds a one."""


def largest_weight() -> int:
    """The largest integer that onnxruntime can multiply by on this machine without an overflow."""
    rows, inputs = 16, 64
    graph = Graph(largest=WHOLE)
    layer = Linear(np.ones((16, inputs), np.float32), np.zeros(16, np.float32))
    graph.output("y", graph.linear(graph.input("x", "float", (rows, inputs)), layer))
    with TemporaryDirectory() as folder:
        graph.save(path := Path(folder) / "probe.onnx")
        y = Session.open(path)({"x": np.ones((rows, inputs), np.float32)})["y"]
    return NARROW if (np.abs(y - inputs) > 1).any() else WHOLE


def write_model(
    weights: Weights, settings: config.Settings, folder: Path, *, shortlist: bool, largest: int | None
) -> None:
    """Write the graphs into `folder`, those of a shortlist as well if `shortlist` says so.

    Weights are integers up to `largest`; None leaves them in full precision.
    """
    steps = _steps(weights, settings.model)
    encoder = Graph(largest=largest)
    steps.begin(encoder, encode(encoder, weights, settings.model))
    encoder.save(folder / "encoder.onnx")
    step = Graph(largest=largest)
    y_ND = steps.step(step, step.input("id_N", "int64", ("N",)))
    _finish(step, step.linear(y_ND, weights.outlet()))
    step.save(folder / "step.onnx")
    if not shortlist:
        return
    step = Graph(largest=largest)
    logit_NU = step.linear_given(steps.step(step, step.input("id_N", "int64", ("N",))), "DU")
    logit_NU = _own(step, logit_NU, step.input("source.listed", "float", ("B", "U")))
    _finish(step, logit_NU, never=True)
    step.save(folder / "listed.onnx")
    save_file(as_given(weights.outlet(), largest=largest), folder / OUTLET)


def _own(step: Graph, logit_NU: str, bias_BU: str) -> str:
    """The rows of a source with the ids of its own list alone."""
    by_source = step.op("Concat", step.size(bias_BU, 0), step.integers(-1), step.size(bias_BU, 1), axis=0)
    logit_BWU = step.op("Add", step.op("Reshape", logit_NU, by_source), step.op("Unsqueeze", bias_BU, step.integers(1)))
    return step.op("Reshape", logit_BWU, step.op("Shape", logit_NU))


def _finish(step: Graph, logit_NV: str, *, never: bool = False) -> None:
    """The best tokens of each row; and log sum exp, from the best logit and its probability.

    onnxruntime's own ReduceLogSumExp takes eight times as long. Its Softmax is six times as slow where shares are no
    normal numbers: with `never`, logits of -inf are raised to where they still count for nothing.
    """
    most = step.op("Min", step.input("most", "int64", (1,)), step.size(logit_NV, 1))
    logit_NK, id_NK = step.ops("TopK", logit_NV, most, outputs=2, axis=1)
    first = step.integers(0), step.integers(1), step.integers(1)
    best_N1, id_N1 = step.op("Slice", logit_NK, *first), step.op("Slice", id_NK, *first)
    if never:
        logit_NV = step.op("Max", logit_NV, step.op("Add", best_N1, step.number(_NOTHING)))
    share_N1 = step.op("GatherElements", step.op("Softmax", logit_NV, axis=-1), id_N1, axis=1)
    step.output("logit_NK", logit_NK)
    step.output("id_NK", id_NK, "int64")
    step.output("normaliser_N", step.reshape(step.op("Sub", best_N1, step.op("Log", share_N1)), -1))


def _steps(weights: Weights, settings: config.Model) -> RecurrentSteps | TransformerSteps:
    match settings.decoder:
        case config.RecurrentDecoder():
            return RecurrentSteps(weights, settings.decoder)
        case config.Transformer():
            return TransformerSteps(weights, settings.decoder)
        case None:
            raise AssertionError("the decoder is resolved before a model is built")
    assert_never(settings.decoder)
