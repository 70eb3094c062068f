"""The encoders as ONNX: id_BS and length_B to the memory, its padding and the context vector.

LSTM and GRU are operators of ONNX, which know lengths, so padding needs no gates that hold.
"""

from __future__ import annotations

import numpy as np

from seqsmith import config
from seqsmith.engine.onnx_graph import Encoded, Graph
from seqsmith.engine.onnx_transformer import encoder_layers
from seqsmith.engine.weights import Weights

_ONNX_ORDER = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2)}
"""Where the gates i, o, f, c and z, r, h of ONNX stand in torch's i, f, g, o and r, z, n."""


def encode(graph: Graph, weights: Weights, settings: config.Model) -> Encoded:
    """The inlet and the encoder."""
    id_BS = graph.input("id_BS", "int64", ("B", "S"))
    length_B = graph.input("length_B", "int32", ("B",))
    encoder = settings.encoder
    assert isinstance(encoder, config.RecurrentEncoder | config.Transformer)
    transformer = isinstance(encoder, config.Transformer)
    x_BSD = graph.look_up(weights.inlet("source", scaled=transformer), id_BS)
    length_B1 = graph.op("Cast", graph.reshape(length_B, -1, 1), to=7)
    steps = graph.op("Squeeze", graph.size(id_BS, 1))
    step_S = graph.op("Range", graph.weight(np.array(0)), steps, graph.weight(np.array(1)))
    valid_BS = graph.op("Less", step_S, length_B1)
    zero, never = graph.number(0.0), graph.number(-np.inf)
    bias_B1S = graph.op("Unsqueeze", graph.op("Where", valid_BS, zero, never), graph.integers(1))
    if isinstance(encoder, config.Transformer):
        x_BSD = encoder_layers(graph, weights, encoder, x_BSD, bias_B1S)
        real_BS1 = graph.op("Unsqueeze", valid_BS, graph.integers(2))
        total = graph.op("ReduceSum", graph.op("Where", real_BS1, x_BSD, zero), graph.integers(1), keepdims=0)
        return Encoded(x_BSD, bias_B1S, graph.op("Div", total, graph.op("Cast", length_B1, to=1)))
    return Encoded(*_recurrent(graph, weights, encoder, x_BSD, length_B, bias_B1S))


def _recurrent(
    graph: Graph, weights: Weights, settings: config.RecurrentEncoder, x_BSD: str, length_B: str, bias_B1S: str
) -> tuple[str, str, str]:
    x_SBD = graph.transpose(x_BSD, 1, 0, 2)
    width = weights["encoder.layers.0.weight_ih"].shape[1]
    final: list[str] = []
    for index in range(settings.layers):
        y_SBD, final = _layer(graph, weights, settings, f"encoder.layers.{index}", x_SBD, length_B)
        if settings.layer_norm:
            name = f"encoder.between.{index}.norm"
            y_SBD = graph.norm(y_SBD, weights[f"{name}.weight"], weights[f"{name}.bias"])
        if settings.residual and width == settings.width:
            y_SBD = graph.op("Add", y_SBD, x_SBD)
        x_SBD, width = y_SBD, settings.width
    context = [graph.reshape(graph.transpose(part, 1, 0, 2), 0, -1) for part in final]
    return graph.transpose(x_SBD, 1, 0, 2), bias_B1S, graph.concat(*context)


def _layer(
    graph: Graph, weights: Weights, settings: config.RecurrentEncoder, name: str, x_SBD: str, length_B: str
) -> tuple[str, list[str]]:
    directions = ("", "_reverse") if settings.bidirectional else ("",)
    order = _ONNX_ORDER[settings.kind]

    def stacked(part: str) -> np.ndarray:
        arrays = [weights[f"{name}.{part}{direction}"] for direction in directions]
        return np.stack([np.concatenate([np.split(array, len(order))[gate] for gate in order]) for array in arrays])

    input_DGI, recurrent_DGH = stacked("weight_ih"), stacked("weight_hh")
    bias_DY = np.concatenate([stacked("bias_ih"), stacked("bias_hh")], axis=1)
    if settings.kind == "lstm":
        y, *final = graph.lstm(x_SBD, input_DGI.transpose(0, 2, 1), recurrent_DGH.transpose(0, 2, 1), bias_DY, length_B)
    else:
        y, *final = graph.ops(
            "GRU", x_SBD, *map(graph.weight, (input_DGI, recurrent_DGH, bias_DY)), length_B,
            outputs=2, hidden_size=recurrent_DGH.shape[2], linear_before_reset=1,
            direction="bidirectional" if settings.bidirectional else "forward",
        )  # fmt: skip
    return graph.reshape(graph.transpose(y, 0, 2, 1, 3), 0, 0, -1), final
