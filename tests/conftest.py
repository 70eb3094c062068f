"""What every test runs under: checked shape suffixes, fixed seeds, one thread."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

import shapecheck

shapecheck.install("seqsmith")  # before anything imports it

from seqsmith import native  # noqa: E402

settings.register_profile("no deadline", deadline=None)  # a busy machine is no defect
settings.load_profile("no deadline")
torch.set_num_threads(1)  # tests run beside each other, and bits may differ with the number of threads


@pytest.fixture(autouse=True)
def seeds() -> None:
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)


@pytest.fixture(autouse=True)
def kernels_are_left() -> Iterator[None]:
    """A command that trained has taken the compiled kernels for its whole process, which is that of other tests."""
    yield
    native.use(False)


@pytest.fixture(autouse=True)
def shapes_are_watched() -> Iterator[None]:
    """Every tensor named `x_BTD` has these axes."""
    with shapecheck.watch():
        yield


@pytest.fixture
def data_folder() -> Path:
    """The folder of real data sets; a test that needs it is skipped, and says so, where there is none."""
    folder = os.environ.get("SEQSMITH_DATA")
    if not folder:
        pytest.skip("needs real data: set SEQSMITH_DATA to the folder that holds it")
    if not Path(folder).is_dir():
        pytest.fail(f"SEQSMITH_DATA: {folder} is not a folder")
    return Path(folder)
