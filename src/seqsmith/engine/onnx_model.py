"""A model as two ONNX graphs, built from its weights: `encoder.onnx` and `step.onnx`.

The encoder's outputs called `source.*` are kept for each source and those called `row.*` start the search; a step takes
both and gives `after.*` for the rows, and the best tokens of each row with the normaliser of its logits. torch's own
exporter is not used: its graphs carry the steps of a loop that is one operator here, and need torch to be made.
"""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

from seqsmith import config
from seqsmith.engine.onnx_encoder import encode
from seqsmith.engine.onnx_graph import Graph
from seqsmith.engine.onnx_recurrent import RecurrentSteps
from seqsmith.engine.onnx_transformer import TransformerSteps
from seqsmith.engine.weights import Weights


def write_model(weights: Weights, settings: config.Settings, folder: Path, *, quantised: bool = True) -> None:
    """Write both graphs into `folder`."""
    steps = _steps(weights, settings.model)
    encoder = Graph(quantised=quantised)
    steps.begin(encoder, encode(encoder, weights, settings.model))
    encoder.save(folder / "encoder.onnx")
    step = Graph(quantised=quantised)
    y_ND = steps.step(step, step.input("id_N", "int64", ("N",)))
    logit_NV = step.linear(y_ND, weights.outlet())
    logit_NK, id_NK = step.ops("TopK", logit_NV, step.input("most", "int64", (1,)), outputs=2, axis=1)
    step.output("logit_NK", logit_NK)
    step.output("id_NK", id_NK, "int64")
    step.output("normaliser_N", _normaliser(step, logit_NV))
    step.save(folder / "step.onnx")


def _normaliser(step: Graph, logit_NV: str) -> str:
    """log sum exp, from the best logit and its probability: onnxruntime's own takes eight times as long."""
    rows = step.integers(1)
    best_N = step.op("ReduceMax", logit_NV, rows, keepdims=0)
    share_N = step.op("ReduceMax", step.op("Softmax", logit_NV, axis=-1), rows, keepdims=0)
    return step.op("Sub", best_N, step.op("Log", share_N))


def _steps(weights: Weights, settings: config.Model) -> RecurrentSteps | TransformerSteps:
    match settings.decoder:
        case config.RecurrentDecoder():
            return RecurrentSteps(weights, settings.decoder)
        case config.Transformer():
            return TransformerSteps(weights, settings.decoder)
        case None:
            raise AssertionError("the decoder is resolved before a model is built")
    assert_never(settings.decoder)
