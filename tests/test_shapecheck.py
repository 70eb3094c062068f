"""The checker of shape suffixes finds what it is for, and nothing else."""

import numpy as np
import pytest

from shapecheck import ShapeError, check, watch


def make_function(body: str, module: str = "watched.part"):
    scope = {"__name__": module, "np": np}
    exec(body, scope)
    return scope["function"]


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


@pytest.mark.unwatched
def test_watching_finds_a_local_in_a_nested_call_and_names_the_place():
    inner = make_function("def function(x_BT):\n    y_TB = x_BT\n    return 1")
    with pytest.raises(ShapeError, match=r"watched\.part\.function:3: T is 3 in x_BT but 2 in y_TB"), watch("watched"):
        assert sum(inner(np.zeros((2, 3))) for _ in range(2)) == 2


@pytest.mark.unwatched
def test_watching_leaves_other_packages_alone():
    body = "def function():\n    x_BT = np.zeros(1)\n    return x_BT"
    with watch("watched"):
        make_function(body, module="watchedtoo")()
        make_function(body, module="other.watched")()
