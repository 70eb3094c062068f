"""Recurrent and mixed models by onnxruntime, with 8-bit weights: a batch is answered on one thread.

The graphs are those of `onnx_model`, the search is the one over arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from safetensors.numpy import load_file

from seqsmith import config
from seqsmith.engine.protocol import Source
from seqsmith.search.answer import Answer, longest_answers
from seqsmith.search.arrays import Arrays, ArrayState, ArrayStep, Best, array_search
from seqsmith.search.shortlist import Shortlist
from seqsmith.special import PAD

OUTLET = "outlet.safetensors"
"""The outlet's weights, of which those of a shortlist are picked."""


@dataclass(frozen=True)
class Session:
    """A graph, loaded."""

    run: Any  # onnxruntime's own, which is not typed
    outputs: list[str]

    @classmethod
    def open(cls, path: Path) -> Session:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors only
        session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
        return cls(session.run, [output.name for output in session.get_outputs()])

    def __call__(self, given: Arrays) -> Arrays:
        return dict(zip(self.outputs, self.run(self.outputs, given), strict=True))


@dataclass(frozen=True, eq=False)
class OnnxEngine:
    """The graphs of a model; those of the steps are loaded when they are first needed."""

    folder: Path
    encoder: Session
    workers: int
    shortlist: Shortlist | None
    listed: bool  # whether it is used where the settings of the search leave that open

    name = "onnx"

    @classmethod
    def open(
        cls, folder: Path, *, workers: int, shortlist: Shortlist | None = None, listed: bool = False
    ) -> OnnxEngine:
        """Load what `onnx_model.write_model` wrote."""
        return cls(folder, Session.open(folder / "encoder.onnx"), workers, shortlist, listed)

    def answer(self, sources: Sequence[Source], settings: config.Search) -> list[list[Answer]]:
        """The n best answers to each source, best first."""
        step: ArrayStep = self.step
        state = self.start(sources)
        if self.shortlist is not None and (self.listed if settings.shortlist is None else settings.shortlist):
            listed = self.shortlist.listed(sources)
            step = self.listed_step(listed.id_U)
            state = ArrayState(state.row, {**state.source, "source.listed": listed.bias_BU})
        return array_search(
            step,
            state,
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
        return _stepped(self._steps, id_N, state, most, {})

    def listed_step(self, id_U: NDArray[np.int64]) -> ArrayStep:
        """The step that finds the best of these ids only; the state says in `source.listed` which are a source's."""
        outlet = {name: array.take(id_U, -1) for name, array in self._outlet.items()}

        def step(id_N: NDArray[np.int64], state: ArrayState, most: int) -> tuple[Best, ArrayState]:
            best, state = _stepped(self._listed_steps, id_N, state, most, outlet)
            return replace(best, id_NK=id_U[best.id_NK]), state

        return step

    @cached_property
    def _steps(self) -> Session:
        return Session.open(self.folder / "step.onnx")

    @cached_property
    def _listed_steps(self) -> Session:
        return Session.open(self.folder / "listed.onnx")

    @cached_property
    def _outlet(self) -> Arrays:
        return load_file(self.folder / OUTLET)


def _stepped(
    graph: Session, id_N: NDArray[np.int64], state: ArrayState, most: int, outlet: Arrays
) -> tuple[Best, ArrayState]:
    found = graph({"id_N": id_N, "most": np.array([most], np.int64), **state.row, **state.source, **outlet})
    best = Best(found.pop("logit_NK"), found.pop("id_NK"), found.pop("normaliser_N"))
    return best, ArrayState({name.replace("after", "row", 1): row for name, row in found.items()}, state.source)
