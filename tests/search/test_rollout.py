"""Roll-outs over a table for a model: they feed back what was said, and are the same for the same seed."""

import torch

from seqsmith import config
from seqsmith.batch import State
from seqsmith.search.rollout import mean_rollout, path_quantiles, sample_paths


def step(previous_NMC, known_NME, state):
    """The next two numbers are the last one plus the row's own slope and what is known, with a scale of e**known."""
    mean = previous_NMC[:, -1:] + state.row["slope_N11"] * torch.arange(1, 3)[None, :, None] + known_NME
    return torch.stack([mean, known_NME.expand_as(mean)], dim=-1), state


def given(rows=2):
    state = State({"slope_N11": torch.arange(1.0, rows + 1)[:, None, None]}, None)
    return state, {"begin_BMC": torch.zeros(rows, 2, 1), "known_BLE": torch.zeros(rows, 6, 1)}


def test_the_mean_rollout_goes_on_from_itself():
    state, future = given()
    found = mean_rollout(step, state, **future, kind=config.Gaussian())
    assert found[..., 0, 0].tolist() == [[1, 2, 3, 4, 5, 6], [2, 4, 6, 8, 10, 12]]


def test_paths_are_the_same_for_the_same_seed_and_keep_to_their_row():
    state, future = given()
    first, again, other = (
        sample_paths(step, state, **future, kind=config.Gaussian(), paths=400, seed=seed) for seed in (1, 1, 2)
    )
    assert first.shape == (2, 400, 6, 1)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    mean = mean_rollout(step, state, **future, kind=config.Gaussian())[..., 0]
    torch.testing.assert_close(first.mean(1), mean, atol=0.35, rtol=0)


def test_paths_leave_the_seed_of_others_alone():
    state, future = given()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    sample_paths(step, state, **future, kind=config.Gaussian(), paths=3, seed=1)
    assert torch.equal(torch.rand(3), expected)


def test_uncertainty_adds_up_along_a_path():
    state, future = given(1)
    paths = sample_paths(step, state, **future, kind=config.Gaussian(), paths=500, seed=1)
    low, high = path_quantiles(paths, (0.1, 0.9)).unbind(-1)
    width = (high - low)[0, :, 0]
    assert width[5] > 1.3 * width[1]
    torch.testing.assert_close(path_quantiles(paths, (0.5,))[..., 0], paths.quantile(0.5, dim=1))


def test_without_a_distribution_every_path_is_the_mean():
    state, future = given()
    paths = sample_paths(step, state, **future, kind=config.SquaredError(), paths=2, seed=1)
    mean = mean_rollout(step, state, **future, kind=config.SquaredError())[..., 0]
    torch.testing.assert_close(paths[:, 1], mean)
