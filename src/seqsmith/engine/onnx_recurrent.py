"""The recurrent decoder as ONNX, one step at a time.

What can be had once is: the first layer's part of each target token is a table (embedding times input weights), the
attention's keys and the values' way through the layer after it are made with the memory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from seqsmith import config
from seqsmith.engine.onnx_graph import Encoded, Graph
from seqsmith.engine.weights import Linear, Weights

LARGEST_TABLE = 16_000_000
"""Numbers. A larger table is not worth its time to load: the embedding is multiplied at each step instead."""


@dataclass(frozen=True)
class RecurrentSteps:
    """A recurrent decoder."""

    weights: Weights
    settings: config.RecurrentDecoder

    @property
    def _parts(self) -> tuple[str, ...]:
        return ("h", "c") if self.settings.kind == "lstm" else ("h",)

    @property
    def _attends(self) -> bool:
        return self.settings.attention != "none"

    def begin(self, graph: Graph, encoded: Encoded) -> None:
        """Into the encoder's graph: what is made once for each source."""
        names = [f"{part}{index}" for index in range(self.settings.layers) for part in self._parts]
        start, parts = encoded.context_BZ, len(self._parts)
        if self.settings.start == "bridge":
            start, parts = graph.linear(start, self.weights.linear("decoder.bridge")), len(names)
        pieces = graph.ops("Split", start, outputs=parts, axis=1, num_outputs=parts)
        for index, name in enumerate(names):
            graph.output(f"row.{name}", pieces[index % parts])
        if self.settings.input_feeding:
            width = graph.op("Concat", graph.size(start, 0), graph.integers(self._combine().width), axis=0)
            graph.output("row.fed", graph.op("Expand", graph.number(0.0), width))
        if not self._attends:
            return
        graph.output("source.bias", encoded.bias_B1S)
        key, value = self._memory(graph, encoded.x_BSD)
        graph.output("source.key", key)
        graph.output("source.value", value)

    def step(self, graph: Graph, id_N: str) -> str:
        """Into the step's graph -> y_ND, what the outlet sees."""
        fed = graph.input("row.fed", "float", ("N", "O")) if self.settings.input_feeding else None
        x, gates = self._first(graph, id_N)
        for index in range(self.settings.layers):
            before = [graph.input(f"row.{part}{index}", "float", ("N", "D")) for part in self._parts]
            parts = [part for part in ([fed] if index == 0 else [x]) if part is not None]
            after = self._cell(graph, index, gates if index == 0 else None, parts, before)
            for part, value in zip(self._parts, after, strict=True):
                graph.output(f"after.{part}{index}", value)
            x = self._between(graph, index, after[0], [x, fed] if index == 0 else [x])
        y_ND = self._attend(graph, x)
        if self.settings.input_feeding:
            graph.output("after.fed", y_ND)
        return y_ND

    # -------------------------------------------------------------------------------------------- layers

    def _first(self, graph: Graph, id_N: str) -> tuple[str, str]:
        """The embedded tokens and their part of the first layer's gates."""
        inlet_VD = self.weights.inlet("target", scaled=False)
        layer = self._input(0, slice(inlet_VD.shape[1]))
        x = graph.look_up(inlet_VD, id_N) if self._residual(0) or not self._tabled(inlet_VD, layer) else ""
        if not self._tabled(inlet_VD, layer):
            return x, graph.linear(x, layer)
        return x, graph.look_up(inlet_VD @ layer.weight_OI.T + layer.bias_O, id_N)

    def _tabled(self, inlet_VD: np.ndarray, layer: Linear) -> bool:
        return len(inlet_VD) * layer.width <= LARGEST_TABLE

    def _input(self, index: int, columns: slice) -> Linear:
        """Some columns of a layer's input weights, with the bias."""
        name = f"decoder.layers.{index}"
        return Linear(self.weights[f"{name}.weight_ih"][:, columns], self.weights[f"{name}.bias_ih"])

    def _residual(self, index: int) -> bool:
        return (
            self.settings.residual and self.weights[f"decoder.layers.{index}.weight_ih"].shape[1] == self.settings.width
        )

    def _cell(self, graph: Graph, index: int, gates: str | None, parts: list[str], before: list[str]) -> list[str]:
        """`gates` is what a table knows already; `parts` are the inputs that are left."""
        name = f"decoder.layers.{index}"
        known = 0 if gates is None else self.weights[f"{name}.weight_ih"].shape[1] - self._fed_width()
        recurrent = Linear(self.weights[f"{name}.weight_hh"], self.weights[f"{name}.bias_hh"])
        given = self._input(index, slice(known, None))
        if gates is not None:
            given = replace(given, bias_O=np.zeros_like(given.bias_O))
        if self.settings.kind == "lstm":
            weight = np.concatenate([given.weight_OI, recurrent.weight_OI], axis=1) if parts else recurrent.weight_OI
            total = graph.linear(graph.concat(*parts, before[0]), Linear(weight, given.bias_O + recurrent.bias_O))
            return _lstm(graph, total if gates is None else graph.op("Add", gates, total), before[1])
        if parts:
            own = graph.linear(graph.concat(*parts), given)
            gates = own if gates is None else graph.op("Add", gates, own)
        assert gates is not None
        return [_gru(graph, gates, graph.linear(before[0], recurrent), before[0])]

    def _fed_width(self) -> int:
        return self._combine().width if self.settings.input_feeding else 0

    def _between(self, graph: Graph, index: int, y: str, inputs: list[str | None]) -> str:
        if self.settings.layer_norm:
            name = f"decoder.between.{index}.norm"
            y = graph.norm(y, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])
        if self._residual(index):
            y = graph.op("Add", y, graph.concat(*(part for part in inputs if part is not None)))
        return y

    # -------------------------------------------------------------------------------------------- attention

    def _combine(self) -> Linear:
        return self.weights.linear("decoder.combine")

    def _memory(self, graph: Graph, x_BSD: str) -> tuple[str, str]:
        """The keys, ready to be multiplied with, and the values behind the layer that combines."""
        name = "decoder.attention"
        if self.settings.attention == "multihead":
            heads = self.settings.heads
            key, value = (graph.linear(x_BSD, self.weights.linear(f"{name}.{part}")) for part in ("key", "value"))
            split = [graph.reshape(x, 0, 0, heads, -1) for x in (key, value)]
            return graph.transpose(split[0], 0, 2, 3, 1), graph.transpose(split[1], 0, 2, 1, 3)
        key = x_BSD if self.settings.attention == "dot" else graph.linear(x_BSD, self.weights.linear(f"{name}.key"))
        if self.settings.attention != "additive":
            key = graph.transpose(key, 0, 2, 1)
        combine = self._combine()
        context = Linear(combine.weight_OI[:, self.settings.width :], np.zeros_like(combine.bias_O))
        return key, graph.linear(x_BSD, context)

    def _attend(self, graph: Graph, x_ND: str) -> str:
        """-> y_ND, the attentional state."""
        if not self._attends:
            if "decoder.combine.weight" not in self.weights:
                return x_ND
            return graph.op("Tanh", graph.linear(x_ND, self._combine()))
        bias_B1S = graph.input("source.bias", "float", ("B", 1, "S"))
        if self.settings.attention == "multihead":
            looked = self._look_with_heads(graph, x_ND, bias_B1S)
        else:
            weight_BWS = graph.op("Softmax", graph.op("Add", self._score(graph, x_ND), bias_B1S), axis=-1)
            value_BSO = graph.input("source.value", "float", ("B", "S", "O"))
            looked = graph.reshape(graph.op("MatMul", weight_BWS, value_BSO), -1, self._combine().width)
        combine = self._combine()
        own = graph.linear(x_ND, replace(combine, weight_OI=combine.weight_OI[:, : self.settings.width]))
        return graph.op("Tanh", graph.op("Add", own, looked))

    def _score(self, graph: Graph, x_ND: str) -> str:
        """How well the keys fit each row's query -> (B, W, S)."""
        if self.settings.attention != "additive":
            key_BDS = graph.input("source.key", "float", ("B", "D", "S"))
            return graph.op("MatMul", _by_source(graph, x_ND, key_BDS, self.settings.width), key_BDS)
        key_BSD = graph.input("source.key", "float", ("B", "S", "D"))
        query_ND = graph.linear(x_ND, self.weights.linear("decoder.attention.query"))
        query_BWD = _by_source(graph, query_ND, key_BSD, self.settings.width)
        both = graph.op(
            "Add",
            graph.op("Unsqueeze", query_BWD, graph.integers(2)),
            graph.op("Unsqueeze", key_BSD, graph.integers(1)),
        )
        return graph.op("MatMul", graph.op("Tanh", both), graph.weight(self.weights["decoder.attention.energy"]))

    def _look_with_heads(self, graph: Graph, x_ND: str, bias_B1S: str) -> str:
        """The context through its own last layer and the one that combines, which are one -> (N, O)."""
        width, heads = self.settings.width, self.settings.heads
        key = graph.input("source.key", "float", ("B", "H", "K", "S"))
        value = graph.input("source.value", "float", ("B", "H", "S", "K"))
        query = graph.linear(x_ND, self.weights.linear("decoder.attention.query"))
        query = graph.reshape(_by_source(graph, query, key, width), 0, 0, heads, -1)
        score = graph.op("MatMul", graph.transpose(query, 0, 2, 1, 3), key)
        score = graph.op("Mul", score, graph.number((width // heads) ** -0.5))
        score = graph.op("Add", score, graph.op("Unsqueeze", bias_B1S, graph.integers(1)))
        context = graph.op("MatMul", graph.op("Softmax", score, axis=-1), value)
        context = graph.reshape(graph.transpose(context, 0, 2, 1, 3), -1, width)
        out, combine_OI = self.weights.linear("decoder.attention.out"), self._combine().weight_OI[:, width:]
        return graph.linear(context, Linear(combine_OI @ out.weight_OI, combine_OI @ out.bias_O))


def _by_source(graph: Graph, x_ND: str, memory: str, width: int) -> str:
    """The rows of each source as its queries -> (B, W, D)."""
    return graph.op("Reshape", x_ND, graph.op("Concat", graph.size(memory, 0), graph.integers(-1, width), axis=0))


def _lstm(graph: Graph, gates: str, c: str) -> list[str]:
    enter, forget, candidate, leave = graph.ops("Split", gates, outputs=4, axis=1, num_outputs=4)
    kept = graph.op("Mul", graph.op("Sigmoid", forget), c)
    c = graph.op("Add", kept, graph.op("Mul", graph.op("Sigmoid", enter), graph.op("Tanh", candidate)))
    return [graph.op("Mul", graph.op("Sigmoid", leave), graph.op("Tanh", c)), c]


def _gru(graph: Graph, given: str, recurrent: str, h: str) -> str:
    reset_x, update_x, new_x = graph.ops("Split", given, outputs=3, axis=1, num_outputs=3)
    reset_h, update_h, new_h = graph.ops("Split", recurrent, outputs=3, axis=1, num_outputs=3)
    reset = graph.op("Sigmoid", graph.op("Add", reset_x, reset_h))
    update = graph.op("Sigmoid", graph.op("Add", update_x, update_h))
    new = graph.op("Tanh", graph.op("Add", new_x, graph.op("Mul", reset, new_h)))
    return graph.op("Add", new, graph.op("Mul", update, graph.op("Sub", h, new)))
