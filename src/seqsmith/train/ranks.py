"""The processes that train one model together, as torchrun starts them; a process alone leads itself.

The batches of an update are dealt out, the gradients are summed when all of them are done, and every process takes the
same step (Chen et al. 2016, "Revisiting distributed synchronous SGD", without their backup workers). What is learnt
depends on the batches of an update and not on how many processes share them, but for the order of sums. The leader
alone scores, tells and writes.
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

_PATIENCE = timedelta(days=1)  # for the leader, who prepares the data and scores dev; a dead process is noticed at once


@dataclass(frozen=True)
class Rank:
    """One of `size` processes, and what it does with the others.

    Whatever waits for the others raises UserError where one of them is gone.
    """

    number: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        return self.number == 0

    def share(self, items: range) -> range:
        """Those of the items that this process does."""
        return items[self.number :: self.size]

    def wait(self) -> None:
        """Until all others are here."""
        if self.size > 1:
            with self._together():
                distributed.barrier()

    @contextmanager
    def after_leader(self) -> Iterator[None]:
        """Within, the leader works before the others do."""
        if not self.leads:
            self.wait()
        yield
        if self.leads:
            self.wait()

    def sum_over_all(self, number: float) -> float:
        return self._reduced([number], distributed.ReduceOp.SUM)[0] if self.size > 1 else number

    def max_over_all(self, *numbers: float) -> Sequence[float]:
        """The largest of all processes' numbers, place by place."""
        return self._reduced(numbers, distributed.ReduceOp.MAX) if self.size > 1 else numbers

    def broadcast(self, *numbers: float) -> Sequence[float]:
        """The leader's numbers."""
        tensor = torch.tensor(numbers, dtype=torch.float64)
        self.broadcast_tensors([tensor])
        told: list[float] = tensor.tolist()
        return told

    def broadcast_tensors(self, tensors: Iterable[Tensor]) -> None:
        """Copy the leader's tensors into everyone's."""
        if self.size > 1:
            with self._together():
                for tensor in tensors:
                    distributed.broadcast(tensor.detach(), src=0)

    @torch.no_grad()
    def sum_gradients(self, parameters: Sequence[nn.Parameter], beside: Tensor) -> Tensor:
        """Sum the gradients, and with them a few numbers, which are returned; a weight that had no part in any
        process is left without a gradient."""
        if self.size == 1:
            return beside
        present = [float(parameter.grad is not None) for parameter in parameters]
        pieces = [torch.zeros_like(each) if each.grad is None else each.grad for each in parameters]
        flat = torch.cat([*(piece.flatten() for piece in pieces), beside.new_tensor(present), beside])
        with self._together():
            distributed.all_reduce(flat)
        *sums, num_present, beside = torch.split(flat, [*map(torch.numel, parameters), len(present), len(beside)])
        for parameter, gradient, count in zip(parameters, sums, num_present.tolist(), strict=True):
            parameter.grad = gradient.view_as(parameter) if count else None
        return beside

    def _reduced(self, numbers: Sequence[float], how: distributed.ReduceOp.RedOpType) -> list[float]:
        tensor = torch.tensor(numbers, dtype=torch.float64)
        with self._together():
            distributed.all_reduce(tensor, op=how)
        reduced: list[float] = tensor.tolist()
        return reduced

    @contextmanager
    def _together(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise UserError(
                f"process {self.number} of {self.size} lost the others: one of them ended, and said why if it could "
                f"({str(error).splitlines()[0]})."
            ) from None


@contextmanager
def joined() -> Iterator[Rank]:
    """Within, this process is one of those that torchrun started, or alone where it did not. Raises UserError."""
    number, size = runtime.place_among_processes()
    if size == 1:
        yield Rank()
        return
    try:
        distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=_PATIENCE)
    except (ValueError, RuntimeError) as error:
        raise UserError(
            f"WORLD_SIZE says that {size} processes train together, but they do not meet: {error}. Start them with "
            "torchrun."
        ) from None
    try:
        yield Rank(number, size)
    finally:
        distributed.destroy_process_group()


def check_resources(rank: Rank, *, accumulate: int, device: torch.device) -> None:
    """Take a GPU of this process's own, if it is GPUs that compute. Raises UserError where an update has too few
    batches, or the machine too few GPUs, for so many processes."""
    if accumulate < rank.size:
        raise UserError(
            f"train.accumulate: found {accumulate} for {rank.size} processes; expected a batch of each update for "
            "every process. Raise it, or start fewer."
        )
    if rank.size == 1 or device.type != "cuda":
        return
    local, here = runtime.place_on_this_machine()
    if here > torch.cuda.device_count():
        raise UserError(
            f"train.device: found {torch.cuda.device_count()} GPUs for {here} processes on this machine. Start as many "
            "as there are GPUs, or set train.device=cpu."
        )
    torch.cuda.set_device(local)
