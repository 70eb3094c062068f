"""An ONNX graph in the making: each method adds a node and returns the name of what it gives.

With `largest`, the weights of linear layers and of LSTMs are 8-bit integers up to it with a scale for each output, and
their inputs are quantised as they come (DynamicQuantizeMatMul and DynamicQuantizeLSTM, which onnxruntime brings).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from seqsmith.engine.integers import quantise
from seqsmith.engine.weights import Array, Linear

_TYPES = {"float": TensorProto.FLOAT, "int64": TensorProto.INT64, "int32": TensorProto.INT32,
          "int8": TensorProto.INT8}  # fmt: skip
_OURS = "com.microsoft"  # the domain of what onnxruntime adds to ONNX


class Graph:
    """Nodes, weights, inputs and outputs."""

    def __init__(self, *, largest: int | None):
        self.largest = largest  # None: weights in full precision
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, kind: str, axes: Sequence[str | int]) -> str:
        """What the graph is given."""
        self._inputs.append(helper.make_tensor_value_info(name, _TYPES[kind], list(axes)))
        return name

    def output(self, name: str, value: str, kind: str = "float") -> None:
        """What the graph gives back."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, _TYPES[kind], None))

    def weight(self, array: NDArray[Any]) -> str:
        name = f"w{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def integers(self, *values: int) -> str:
        """A short list of integers: a shape, axes, bounds."""
        return self.weight(np.array(values, np.int64))

    def number(self, value: float) -> str:
        return self.weight(np.array(value, np.float32))

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        return self.ops(kind, *inputs, outputs=1, domain=domain, **attributes)[0]

    def ops(self, kind: str, *inputs: str, outputs: int, domain: str = "", **attributes: Any) -> list[str]:
        names = [f"v{len(self._nodes)}_{index}" for index in range(outputs)]
        self._nodes.append(helper.make_node(kind, inputs, names, domain=domain, **attributes))
        return names

    def reshape(self, x: str, *shape: int) -> str:
        """0 keeps an axis, -1 takes what is left."""
        return self.op("Reshape", x, self.integers(*shape))

    def transpose(self, x: str, *order: int) -> str:
        return self.op("Transpose", x, perm=list(order))

    def concat(self, *parts: str) -> str:
        """Side by side along the last axis."""
        return parts[0] if len(parts) == 1 else self.op("Concat", *parts, axis=-1)

    def size(self, x: str, axis: int) -> str:
        """A list of one integer: the length of an axis."""
        return self.op("Shape", x, start=axis, end=axis + 1)

    def look_up(self, table: Array, ids: str) -> str:
        return self.op("Gather", self.weight(table), ids)

    def linear(self, x: str, layer: Linear) -> str:
        """x weight' + bias over the last axis."""
        if self.largest is None:
            return self.op("Add", self.op("MatMul", x, self.weight(layer.weight_OI.T)), self.weight(layer.bias_O))
        integers, scale = quantise(layer.weight_OI.T, axis=0, largest=self.largest)
        zero = np.zeros(len(scale), np.int8)
        weights = (self.weight(array) for array in (integers, scale, zero, layer.bias_O))
        return self.op("DynamicQuantizeMatMul", x, *weights, domain=_OURS)

    def linear_given(self, x: str, axes: str) -> str:
        """The same with weights that the graph is given: the arrays that `as_given` makes. `axes` are in, out."""
        weight = self.input("outlet.weight", "int8" if self.largest else "float", tuple(axes))
        bias = self.input("outlet.bias", "float", (axes[1],))
        if self.largest is None:
            return self.op("Add", self.op("MatMul", x, weight), bias)
        scale = self.input("outlet.scale", "float", (axes[1],))
        return self.op("DynamicQuantizeMatMul", x, weight, scale, "", bias, domain=_OURS)

    def norm(self, x: str, gamma: Array, beta: Array | None) -> str:
        """Layer normalisation, or without `beta` division by the root mean square."""
        if beta is not None:
            return self.op("LayerNormalization", x, self.weight(gamma), self.weight(beta), axis=-1, epsilon=1e-5)
        return self.op("SimplifiedLayerNormalization", x, self.weight(gamma), axis=-1, epsilon=1e-6)

    def lstm(self, x: str, input_DIG: Array, recurrent_DHG: Array, bias_DY: Array, length_B: str) -> list[str]:
        """-> steps, last h and last c, each with its own axis of directions. The gates are in the order of ONNX."""
        D, H, _ = recurrent_DHG.shape
        options = {"hidden_size": H, "direction": "bidirectional" if D == 2 else "forward"}
        bias = self.weight(bias_DY)
        if self.largest is None:
            weights = [self.weight(array.transpose(0, 2, 1)) for array in (input_DIG, recurrent_DHG)]
            return self.ops("LSTM", x, *weights, bias, length_B, outputs=3, **options)
        (input_8, input_scale), (recurrent_8, recurrent_scale) = (
            quantise(array, axis=1, largest=self.largest) for array in (input_DIG, recurrent_DHG)
        )
        zero = self.weight(np.zeros_like(input_scale, np.int8))
        scales = (self.weight(input_scale), zero, self.weight(recurrent_scale), zero)
        weights = [self.weight(input_8), self.weight(recurrent_8)]
        inputs = (x, *weights, bias, length_B, "", "", "", *scales)
        return self.ops("DynamicQuantizeLSTM", *inputs, outputs=3, domain=_OURS, **options)

    def save(self, path: Path) -> None:
        """Write the graph; it is checked before."""
        graph = helper.make_graph(self._nodes, path.stem, self._inputs, self._outputs, self._weights)
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid(_OURS, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9, producer_name="seqsmith")
        path.write_bytes(model.SerializeToString())


def as_given(layer: Linear, *, largest: int | None) -> dict[str, NDArray[Any]]:
    """What `linear_given` wants for a layer. The last axis of each array is that of the outputs."""
    if largest is None:
        return {"outlet.weight": np.ascontiguousarray(layer.weight_OI.T), "outlet.bias": layer.bias_O}
    integers, scale = quantise(layer.weight_OI.T, axis=0, largest=largest)
    return {"outlet.weight": np.ascontiguousarray(integers), "outlet.scale": scale, "outlet.bias": layer.bias_O}


@dataclass(frozen=True)
class Encoded:
    """Names of what the encoder gives."""

    x_BSD: str
    bias_B1S: str  # -inf where there is only padding
    context_BZ: str
