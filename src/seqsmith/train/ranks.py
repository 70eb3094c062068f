"""The processes that train one model together, as torchrun starts them; a process alone leads itself.

The batches of an update are dealt out, the gradients are summed when all of them are done, and every process takes the
same step (Dean et al. 2012, synchronous). What is learnt depends on the batches of an update and not on how many
processes share them, but for the order of sums. The leader alone scores, tells and writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn

from seqsmith import runtime
from seqsmith.errors import UserError

_PATIENCE = timedelta(hours=1)  # for the others: the leader scores dev while they wait


@dataclass(frozen=True)
class Ranks:
    """One of `size` processes, and what it needs of the others."""

    rank: int = 0
    local: int = 0  # among those of this machine
    size: int = 1

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def share(self, items: range) -> range:
        """Those of the items that are this process's to do."""
        return items[self.rank :: self.size]

    def use(self, device: torch.device) -> None:
        """Take a GPU of one's own, if it is GPUs that compute. Raises UserError where there are too few."""
        if device.type != "cuda" or self.size == 1:
            return
        if self.local >= torch.cuda.device_count():
            raise UserError(
                f"there are {torch.cuda.device_count()} GPUs on this machine and more processes: start as many "
                "as there are GPUs, or set train.device=cpu."
            )
        torch.cuda.set_device(self.local)

    def wait(self) -> None:
        """Until all others are here."""
        if self.size > 1:
            distributed.barrier()

    def total(self, number: float) -> float:
        """The sum of all processes' numbers."""
        return self._reduced([number], distributed.ReduceOp.SUM)[0] if self.size > 1 else number

    def most(self, *numbers: float) -> Sequence[float]:
        """The largest of all processes' numbers, place by place."""
        return self._reduced(numbers, distributed.ReduceOp.MAX) if self.size > 1 else numbers

    def led(self, *numbers: float) -> Sequence[float]:
        """The leader's numbers."""
        if self.size == 1:
            return numbers
        tensor = torch.tensor(numbers, dtype=torch.float64)
        distributed.broadcast(tensor, src=0)
        told: list[float] = tensor.tolist()
        return told

    def spread(self, tensors: Iterable[Tensor]) -> None:
        """Copy the leader's tensors into everyone's."""
        if self.size > 1:
            for tensor in tensors:
                distributed.broadcast(tensor.detach(), src=0)

    @torch.no_grad()
    def sum_gradients(self, parameters: Sequence[nn.Parameter], beside: Tensor) -> Tensor:
        """Sum the gradients, and with them a few numbers, which are returned; a weight that had no part in any
        process is left without a gradient."""
        if self.size == 1:
            return beside
        part = [float(parameter.grad is not None) for parameter in parameters]
        pieces = [torch.zeros_like(each) if each.grad is None else each.grad for each in parameters]
        together = torch.cat([*(piece.flatten() for piece in pieces), beside.new_tensor(part), beside])
        distributed.all_reduce(together)
        *sums, parts, beside = torch.split(together, [*map(torch.numel, parameters), len(part), len(beside)])
        for parameter, gradient, somewhere in zip(parameters, sums, parts.tolist(), strict=True):
            parameter.grad = gradient.view_as(parameter) if somewhere else None
        return beside

    def _reduced(self, numbers: Sequence[float], how: distributed.ReduceOp.RedOpType) -> list[float]:
        tensor = torch.tensor(numbers, dtype=torch.float64)
        distributed.all_reduce(tensor, op=how)
        reduced: list[float] = tensor.tolist()
        return reduced


@contextmanager
def joined() -> Iterator[Ranks]:
    """Within, this process is one of those that torchrun started, or alone where it did not."""
    rank, local, size = runtime.place_among_processes()
    if size == 1:
        yield Ranks()
        return
    distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=_PATIENCE)
    try:
        yield Ranks(rank, local, size)
    finally:
        distributed.destroy_process_group()
