"""The checker of shape suffixes finds what it is for, and nothing else."""

from typing import Any

import numpy as np
import pytest
import torch

from seqsmith.batch import Tokens
from shapecheck import ShapeError, check, checked, watch


def made(source: str, name: str) -> Any:
    """What a module of this source, with the checks in it, calls `name`."""
    scope = {"__name__": "watched.part"}
    exec(checked(source, "watched.part", "part.py"), scope)
    return scope[name]


def test_names_that_tell_the_truth_pass():
    x = np.zeros((2, 3, 4))
    check({"x_BTD": x, "keep_B1T": np.ones((2, 1, 3)), "length_B": np.ones(2), "plain": x, "loss_nats": 1.0}, "here")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"x_BT": np.zeros(2)}, r"here: x_BT promises 2 axes \(BT\) but has shape \(2,\)"),
        ({"x_BT": np.zeros((2, 3)), "y_T": np.zeros(4)}, r"here: T is 3 in x_BT but 4 in y_T, shape \(4,\)"),
        ({"x_BB": np.zeros((2, 3))}, "here: B is 2 in x_BB but 3 in x_BB"),
        ({"keep_B1": np.zeros((2, 3))}, "here: 1 is 1 in keep_B1 but 3 in keep_B1"),
    ],
)
def test_names_that_lie_are_found(values, message):
    with pytest.raises(ShapeError, match=message):
        check(values, "here")


def test_watching_finds_a_local_in_a_nested_call_and_names_the_place() -> None:
    function = made("def function(x_BT):\n    'Says it.'\n    y_TB = x_BT\n    return 1", "function")
    assert function.__doc__ == "Says it."
    with pytest.raises(ShapeError, match=r"watched\.part\.function:1: T is 3 in x_BT but 2 in y_TB"), watch():
        assert sum(function(np.zeros((2, 3))) for _ in range(2)) == 2


@pytest.mark.parametrize("where", ["method", "inner", "generator"])
def test_every_kind_of_function_is_watched(where: str) -> None:
    source = """
class Owner:
    def method(self, x_B):
        return x_B

def inner(x):
    def deeper(x_B):
        return x_B
    return deeper(x)

def generator(x):
    for x_B in [x]:
        yield x_B
"""
    call = made(source, "Owner")().method if where == "method" else made(source, where)
    with pytest.raises(ShapeError, match=r"x_B promises 1 axes \(B\) but has shape \(2, 3\)"), watch():
        for _ in call(np.zeros((2, 3))):
            pass


def test_a_dataclass_is_watched_when_it_is_made() -> None:
    source = "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Pair:\n    x_B: int\n    y_B: int"
    pair = made(source, "Pair")
    with watch():
        pair(np.zeros(2), np.zeros(2))
    with pytest.raises(ShapeError, match=r"watched\.part\.Pair:3: B is 2 in x_B but 3 in y_B"), watch():
        pair(np.zeros(2), np.zeros(3))


def test_an_error_of_the_function_comes_through() -> None:
    function = made("def function(x_BT):\n    raise KeyError('its own')", "function")
    with watch(), pytest.raises(KeyError, match="its own"):
        function(np.zeros((2, 3)))


def test_the_package_is_watched() -> None:
    with pytest.raises(ShapeError, match=r"seqsmith\.batch\.Tokens:\d+: B is 3 in id_BL but 2 in valid_BL"), watch():
        Tokens(torch.zeros(3, 1), torch.zeros(2, 1), torch.zeros(2))
