"""The Transformer's layers as ONNX, for encoders and, a step at a time, for decoders.

Axes: as in `model/transformer`; names of values carry them, for a graph has no tensors yet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqsmith import config
from seqsmith.engine.onnx_graph import Encoded, Graph
from seqsmith.engine.weights import Weights


class Layers:
    """The parts that both sides are made of, for one side's settings."""

    def __init__(self, graph: Graph, weights: Weights, settings: config.Transformer):
        self.graph, self.weights, self.settings = graph, weights, settings
        self.share = settings.heads // (settings.key_value_heads or settings.heads)
        self.head_width = settings.width // settings.heads

    def norm(self, x: str, name: str) -> str:
        return self.graph.norm(x, self.weights[f"{name}.weight"], self.weights.arrays.get(f"{name}.bias"))

    def enter(self, x: str, part: str) -> str:
        return self.norm(x, f"{part}.norm") if self.settings.norm_first else x

    def leave(self, x: str, y: str, part: str) -> str:
        y = self.graph.op("Add", x, y)
        return y if self.settings.norm_first else self.norm(y, f"{part}.norm")

    def heads(self, x: str, name: str, *, rotated: str | None = None) -> str:
        """A linear layer and its heads apart -> (B, H, T, K); turned where the angles are given."""
        y = self.graph.linear(x, self.weights.linear(name))
        y = self.graph.transpose(self.graph.reshape(y, 0, 0, -1, self.head_width), 0, 2, 1, 3)
        return y if rotated is None else self._rotate(y, rotated)

    def attend(self, query: str, key: str, value: str, bias: str | None, name: str) -> str:
        """-> (B, T, D)."""
        graph = self.graph
        if self.share > 1:
            key, value = self._repeated(key), self._repeated(value)
        score = graph.op("MatMul", query, graph.transpose(key, 0, 1, 3, 2))
        score = graph.op("Mul", score, graph.number(self.head_width**-0.5))
        if bias is not None:
            score = graph.op("Add", score, bias)
        y = graph.op("MatMul", graph.op("Softmax", score, axis=-1), value)
        y = graph.reshape(graph.transpose(y, 0, 2, 1, 3), 0, 0, -1)
        return graph.linear(y, self.weights.linear(f"{name}.out"))

    def feed_forward(self, x: str, name: str) -> str:
        graph, activation = self.graph, self.settings.activation
        inner = graph.linear(x, self.weights.linear(f"{name}.inner"))
        match activation:
            case "relu":
                inner = graph.op("Relu", inner)
            case "gelu":
                inner = graph.op("Gelu", inner, domain="com.microsoft")
            case "swiglu":
                gate = graph.linear(x, self.weights.linear(f"{name}.gate"))
                inner = graph.op("Mul", graph.op("Mul", gate, graph.op("Sigmoid", gate)), inner)
        return graph.linear(inner, self.weights.linear(f"{name}.outer"))

    def positions(self, first: str, last: str) -> str:
        """first, first + 1, ... up to before last, as numbers -> (L, 1)."""
        step_L = self.graph.op("Range", first, last, self.graph.weight(np.array(1)))
        return self.graph.op("Cast", self.graph.reshape(step_L, -1, 1), to=1)

    def angles(self, step_L1: str, half: int) -> str:
        rate_J = 10_000.0 ** (-np.arange(half) / half)
        return self.graph.op("Mul", step_L1, self.graph.weight(rate_J.astype(np.float32)))

    def add_positions(self, x: str, step_L1: str, side: str) -> str:
        """What is added at each step, if anything is."""
        graph, settings = self.graph, self.settings
        match settings.position:
            case "sinusoidal":
                angle_LJ = self.angles(step_L1, (settings.width + 1) // 2)
                waves = graph.concat(graph.op("Sin", angle_LJ), graph.op("Cos", angle_LJ))
                kept = graph.op("Slice", waves, graph.integers(0), graph.integers(settings.width), graph.integers(1))
                return graph.op("Add", x, kept)
            case "learned":
                step_L = graph.reshape(graph.op("Cast", step_L1, to=7), -1)
                clamped = graph.op("Min", step_L, graph.weight(np.array(settings.longest - 1)))
                return graph.op("Add", x, graph.look_up(self.weights[f"{side}.positions.learned.table"], clamped))
            case "rotary" | "relative":
                return x

    def relative_bias(self, query_T1: str, key_S1: str, side: str) -> str | None:
        """What relative positions add to the scores -> (1, H, T, S)."""
        if self.settings.position != "relative":
            return None
        graph, table_HX = self.graph, self.weights[f"{side}.positions.relative.bias"]
        farthest = (table_HX.shape[1] - 1) // 2
        distance = graph.op("Sub", graph.transpose(key_S1, 1, 0), query_T1)
        bounds = graph.number(-farthest), graph.number(farthest)
        index = graph.op("Add", graph.op("Clip", distance, *bounds), graph.number(farthest))
        bias_HTS = graph.op("Gather", graph.weight(table_HX), graph.op("Cast", index, to=7), axis=1)
        return graph.op("Unsqueeze", bias_HTS, graph.integers(0))

    def _rotate(self, x: str, angle_LJ: str) -> str:
        graph = self.graph
        left, right = graph.ops("Split", x, outputs=2, axis=-1, num_outputs=2)
        sine, cosine = graph.op("Sin", angle_LJ), graph.op("Cos", angle_LJ)
        turned = [
            graph.op(kind, graph.op("Mul", a, cosine), graph.op("Mul", b, sine))
            for kind, a, b in (("Sub", left, right), ("Add", right, left))
        ]
        return graph.concat(*turned)

    def _repeated(self, x: str) -> str:
        """Each head of keys or values for all the queries that share it."""
        heads = np.repeat(np.arange(self.settings.heads // self.share), self.share)
        return self.graph.op("Gather", x, self.graph.weight(heads), axis=1)


def encoder_layers(graph: Graph, weights: Weights, settings: config.Transformer, x_BSD: str, bias_B1S: str) -> str:
    """All layers of an encoder -> x_BSD."""
    layers = Layers(graph, weights, settings)
    step_S1 = layers.positions(graph.weight(np.array(0)), graph.op("Squeeze", graph.size(x_BSD, 1)))
    bias = graph.op("Unsqueeze", bias_B1S, graph.integers(1))
    relative = layers.relative_bias(step_S1, step_S1, "encoder")
    if relative is not None:
        bias = graph.op("Add", bias, relative)
    angles = layers.angles(step_S1, layers.head_width // 2) if settings.position == "rotary" else None
    x = layers.add_positions(x_BSD, step_S1, "encoder")
    for index in range(settings.layers):
        name = f"encoder.layers.{index}"
        inner = layers.enter(x, f"{name}.self_part")
        query, key = (layers.heads(inner, f"{name}.self_attention.{part}", rotated=angles) for part in ("query", "key"))
        value = layers.heads(inner, f"{name}.self_attention.value")
        y = layers.attend(query, key, value, bias, f"{name}.self_attention")
        x = layers.leave(x, y, f"{name}.self_part")
        y = layers.feed_forward(layers.enter(x, f"{name}.forward_part"), f"{name}.feed_forward")
        x = layers.leave(x, y, f"{name}.forward_part")
    return layers.norm(x, "encoder.norm") if settings.norm_first else x


@dataclass(frozen=True)
class TransformerSteps:
    """A Transformer decoder, one step at a time; keys and values of the memory are made with it."""

    weights: Weights
    settings: config.Transformer

    def begin(self, graph: Graph, encoded: Encoded) -> None:
        """Into the encoder's graph: what is made once for each source, and a past of no steps."""
        layers = Layers(graph, self.weights, self.settings)
        past = graph.integers(self.settings.heads // layers.share, 0, layers.head_width)
        none = graph.op("ConstantOfShape", graph.op("Concat", graph.size(encoded.x_BSD, 0), past, axis=0))
        graph.output("source.bias", encoded.bias_B1S)
        for index in range(self.settings.layers):
            for part in ("key", "value"):
                name = f"decoder.layers.{index}.cross_attention.{part}"
                graph.output(f"source.{part}{index}", layers.heads(encoded.x_BSD, name))
                graph.output(f"row.{part}{index}", none)

    def step(self, graph: Graph, id_N: str) -> str:
        """Into the step's graph -> y_ND, what the outlet sees."""
        layers = Layers(graph, self.weights, self.settings)
        bias = graph.op("Unsqueeze", graph.input("source.bias", "float", ("B", 1, "S")), graph.integers(1))
        pasts = [_inputs(graph, "row", index, "NHTK") for index in range(self.settings.layers)]
        first = graph.op("Squeeze", graph.size(pasts[0][0], 2))
        after = graph.op("Add", first, graph.weight(np.array(1)))
        query_11, key_L1 = layers.positions(first, after), layers.positions(graph.weight(np.array(0)), after)
        relative = layers.relative_bias(query_11, key_L1, "decoder")
        angles = layers.angles(query_11, layers.head_width // 2) if self.settings.position == "rotary" else None
        x = graph.look_up(self.weights.inlet("target", scaled=True), id_N)
        x = graph.op("Unsqueeze", layers.add_positions(x, query_11, "decoder"), graph.integers(1))
        for index, past in enumerate(pasts):
            name = f"decoder.layers.{index}"
            x = self._self_attention(layers, x, past, index, angles=angles, bias=relative)
            key, value = _inputs(graph, "source", index, "BHSK")
            x = graph.op("Reshape", x, _shape(graph, key, self.settings.width))  # the rows of a source are its queries
            query = layers.heads(layers.enter(x, f"{name}.cross_part"), f"{name}.cross_attention.query")
            y = layers.attend(query, key, value, bias, f"{name}.cross_attention")
            x = layers.leave(x, y, f"{name}.cross_part")
            y = layers.feed_forward(layers.enter(x, f"{name}.forward_part"), f"{name}.feed_forward")
            x = graph.reshape(layers.leave(x, y, f"{name}.forward_part"), -1, 1, self.settings.width)
        y_ND = graph.reshape(x, -1, self.settings.width)
        return layers.norm(y_ND, "decoder.norm") if self.settings.norm_first else y_ND

    def _self_attention(
        self, layers: Layers, x: str, past: list[str], index: int, *, angles: str | None, bias: str | None
    ) -> str:
        part, name = f"decoder.layers.{index}.self_part", f"decoder.layers.{index}.self_attention"
        inner = layers.enter(x, part)
        query, key = (layers.heads(inner, f"{name}.{each}", rotated=angles) for each in ("query", "key"))
        present = []
        for kind, before, new in zip(("key", "value"), past, (key, layers.heads(inner, f"{name}.value")), strict=True):
            present.append(layers.graph.op("Concat", before, new, axis=2))
            layers.graph.output(f"after.{kind}{index}", present[-1])
        return layers.leave(x, layers.attend(query, present[0], present[1], bias, name), part)


def _inputs(graph: Graph, owner: str, index: int, axes: str) -> list[str]:
    return [graph.input(f"{owner}.{part}{index}", "float", tuple(axes)) for part in ("key", "value")]


def _shape(graph: Graph, memory: str, width: int) -> str:
    return graph.op("Concat", graph.size(memory, 0), graph.integers(-1, width), axis=0)
