"""A state is reordered by rows and narrowed by sources, whatever it is made of."""

from __future__ import annotations

import torch

from seqsmith.batch import State
from seqsmith.search.step import parted, select


def test_rows_and_sources_are_selected_apart() -> None:
    state = State(
        row={"layers": [(torch.arange(6), torch.arange(12).view(6, 2))]}, source=(torch.tensor([10, 20, 30]),)
    )
    after = select(state, row_N=torch.tensor([5, 5, 0, 1]), source_B=torch.tensor([2, 0]))
    assert after.row["layers"][0][0].tolist() == [5, 5, 0, 1]
    assert after.row["layers"][0][1].tolist() == [[10, 11], [10, 11], [0, 1], [2, 3]]
    assert after.source[0].tolist() == [30, 10]


def test_what_stays_in_place_is_not_copied() -> None:
    state = State(row=torch.arange(4), source=torch.arange(2))
    after = select(state)
    assert after.row is state.row
    assert after.source is state.source


def test_every_source_leaves_or_stays() -> None:
    gone_O, stay_I = parted([True, False, False, True], device=torch.device("cpu"))
    assert (gone_O.tolist(), stay_I.tolist()) == ([0, 3], [1, 2])
