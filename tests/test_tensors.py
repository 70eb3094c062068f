"""A module's tensors are told apart by name and shape, and come back from their file as they were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seqsmith.errors import UserError
from seqsmith.tensors import load_tensors, read_tensors, save_tensors, tensors_of


class Layers(nn.Module):
    """One matrix under two names, and a buffer of each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3, bias=False)
        self.second.weight = self.first.weight
        self.register_buffer("kept", torch.arange(4))
        self.register_buffer("made", torch.zeros(2), persistent=False)


def test_a_module_is_its_parameters_once_and_its_saved_buffers() -> None:
    assert tensors_of(Layers()).keys() == {"first.weight", "first.bias", "kept"}


def test_loaded_tensors_are_the_modules_own() -> None:
    one, other = Layers(), Layers()
    load_tensors(other, {name: tensor.clone() for name, tensor in tensors_of(one).items()}, where="here")
    assert torch.equal(one.first.weight, other.second.weight)
    assert other.second.weight is other.first.weight


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("first.bias"), "w: the weight first.bias is missing. The settings beside it are not those it"),
        (lambda t: t.update(more=t["kept"]), "w: the weight more has no place in this model. The settings beside it"),
        (
            lambda t: t.update(kept=torch.zeros(5)),
            "w: the weight kept has shape (5,), expected (4,) by its settings.",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(change: Callable[[dict[str, Tensor]], Any], message: str) -> None:
    tensors = {name: tensor.detach().clone() for name, tensor in tensors_of(Layers()).items()}
    change(tensors)
    with pytest.raises(UserError) as error:
        load_tensors(Layers(), tensors, where="w")
    assert str(error.value).startswith(message)


def test_what_is_read_is_what_was_saved(tmp_path: Path) -> None:
    saved = tensors_of(Layers())
    save_tensors(saved, tmp_path / "weights")
    found = read_tensors(tmp_path / "weights")
    assert found.keys() == saved.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in saved.items())


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"something else")
    with pytest.raises(UserError) as error:
        read_tensors(tmp_path / "weights")
    assert str(error.value).startswith(f"{tmp_path / 'weights'}: not a file of weights: ")
