"""The search's side of the step protocol: rows are reordered, sources narrowed.

`seqsmith.batch` defines `Step` and `State`. A search feeds BEGIN first, keeps the rows of one source neighbours, and
drops the rows and the entry of a source as soon as it has all its answers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from seqsmith.batch import State, tree_map


def select(state: State, *, row_N: Tensor | None = None, source_B: Tensor | None = None) -> State:
    """Row i of the result is row `row_N[i]` of `state`, source i is source `source_B[i]`; None leaves all in place."""
    row, source = state.row, state.source
    if row_N is not None:
        row = tree_map(lambda x: x.index_select(0, row_N), row)
    if source_B is not None:
        source = tree_map(lambda x: x.index_select(0, source_B), source)
    return State(row, source)


def parted(done: list[bool], *, device: torch.device) -> tuple[Tensor, Tensor]:
    """The indices of the sources that leave, and of those that stay."""
    gone = [index for index, flag in enumerate(done) if flag]
    stay = [index for index, flag in enumerate(done) if not flag]
    return torch.tensor(gone, dtype=torch.int64, device=device), torch.tensor(stay, dtype=torch.int64, device=device)
