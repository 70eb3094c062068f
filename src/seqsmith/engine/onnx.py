"""Recurrent and mixed models by onnxruntime, with 8-bit weights: a batch is answered on one thread.

The graphs are those of `onnx_model`, the search is the one over arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from seqsmith import config
from seqsmith.engine.protocol import Source
from seqsmith.search.answer import Answer, longest_answers
from seqsmith.search.arrays import Arrays, ArrayState, Best, array_search
from seqsmith.text.vocabulary import PAD


@dataclass(frozen=True)
class _Session:
    """A graph, loaded."""

    run: Any  # onnxruntime's own, which is not typed
    outputs: list[str]

    @classmethod
    def open(cls, path: Path) -> _Session:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors only
        session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
        return cls(session.run, [output.name for output in session.get_outputs()])

    def __call__(self, given: Arrays) -> Arrays:
        return dict(zip(self.outputs, self.run(self.outputs, given), strict=True))


@dataclass(frozen=True)
class OnnxEngine:
    """The two graphs of a model."""

    encoder: _Session
    steps: _Session
    target_size: int
    workers: int

    name = "onnx"

    @classmethod
    def open(cls, folder: Path, *, target_size: int, workers: int) -> OnnxEngine:
        """Load what `onnx_model.write_model` wrote."""
        encoder, steps = (_Session.open(folder / name) for name in ("encoder.onnx", "step.onnx"))
        return cls(encoder, steps, target_size, workers)

    def answer(self, sources: Sequence[Source], settings: config.Search) -> list[list[Answer]]:
        """The n best answers to each source, best first."""
        return array_search(
            self.step,
            self.start(sources),
            longest=longest_answers([len(source) for source in sources], settings),
            beam=settings.beam or 1,
            nbest=settings.nbest,
            shortest=settings.shortest,
            length_penalty=settings.length_penalty,
            gnmt_penalty=settings.gnmt_penalty,
        )

    def start(self, sources: Sequence[Source]) -> ArrayState:
        """The state that `step` takes first: one row a source."""
        length_B = np.array([len(source) for source in sources], np.int32)
        id_BS = np.full((len(sources), length_B.max()), PAD, np.int64)
        for row, source in enumerate(sources):
            id_BS[row, : len(source)] = source
        made = self.encoder({"id_BS": id_BS, "length_B": length_B})
        kept = [
            {name: array for name, array in made.items() if name.startswith(owner)} for owner in ("row.", "source.")
        ]
        return ArrayState(*kept)

    def step(self, id_N: NDArray[np.int64], state: ArrayState, most: int) -> tuple[Best, ArrayState]:
        """Take in one token for each row, and find the best next ones."""
        wanted = np.array([min(most, self.target_size)], np.int64)
        found = self.steps({"id_N": id_N, "most": wanted, **state.row, **state.source})
        best = Best(found.pop("logit_NK"), found.pop("id_NK"), found.pop("normaliser_N"))
        return best, ArrayState({name.replace("after", "row", 1): row for name, row in found.items()}, state.source)
