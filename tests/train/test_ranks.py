"""One of several processes, by itself; tests/cli/test_ranks.py starts several."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import distributed, nn

from seqsmith.errors import UserError
from seqsmith.train.ranks import Rank, check_resources, joined


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_every_batch_of_an_update_is_one_process_s(size: int) -> None:
    for group in (range(4), range(7, 8), range(3, 9)):
        shares = [Rank(number, size).share(group) for number in range(size)]
        assert sorted(index for share in shares for index in share) == list(group)


def test_a_process_alone_waits_for_nobody() -> None:
    with joined() as rank:
        assert rank.leads
        rank.wait()
        assert rank.sum_over_all(3) == 3
        assert tuple(rank.max_over_all(2, 5.0)) == (2, 5.0)
        assert tuple(rank.broadcast(1.0, -2.0)) == (1.0, -2.0)
        check_resources(rank, accumulate=1, device=torch.device("cuda"))


def test_too_few_gpus_are_told_before_anything_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UserError, match="found 1 GPUs for 2 processes on this machine"):
        check_resources(Rank(0, 2), accumulate=2, device=torch.device("cuda"))


def test_processes_that_cannot_meet_are_told_to_use_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(UserError, match=r"do not meet: .* Start them with torchrun"), joined():
        pass


def test_a_lost_process_is_one_sentence() -> None:
    with pytest.raises(UserError, match="process 1 of 2 lost the others"), Rank(1, 2)._together():
        raise RuntimeError("Connection closed by peer\nsomewhere")


def test_a_weight_without_part_stays_without_a_gradient(tmp_path: Path) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        used, unused = nn.Parameter(torch.ones(2, 3)), nn.Parameter(torch.ones(4))
        used.grad = torch.arange(6.0).view(2, 3)
        beside = Rank(0, 2).sum_gradients([used, unused], torch.tensor([7.0, 8.0]))  # two, of whom one is here
    finally:
        distributed.destroy_process_group()
    assert beside.tolist() == [7.0, 8.0]
    assert used.grad.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert unused.grad is None
