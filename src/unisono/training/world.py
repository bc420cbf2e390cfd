"""The processes of one training run, as tasks and models see them."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


class World:
    """This process's place among `size` equal ones; alone, every method is the identity (ours).

    Every process trains on its own batch; `position` numbers the batches so that none is seen
    twice. Losses are divided by the count over all processes (`mean`), and the loop averages
    gradients: together that is the gradient of one process with the joint batch. It is also the
    `Reducer` that quantizers take.
    """

    def __init__(self) -> None:
        together = dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank() if together else 0
        self.size = dist.get_world_size() if together else 1

    @property
    def main(self) -> bool:
        """Whether this process writes files and logs."""
        return self.rank == 0

    def position(self, step: int) -> int:
        """Number of this process's batch at `step`, in the one sequence of all batches."""
        return step * self.size + self.rank

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum over all processes, without a gradient; every process must call it."""
        if self.size == 1:
            return tensor
        total = tensor.detach().clone()
        dist.all_reduce(total)
        return total

    def broadcast(self, tensor: Tensor) -> Tensor:
        """The first process's tensor, on every process."""
        if self.size == 1:
            return tensor
        shared = tensor.detach().clone().contiguous()
        dist.broadcast(shared, 0)
        return shared

    def mean(self, total: Tensor, count: Tensor | float) -> Tensor:
        """`total` over the joint count, times `size`: averaged gradients are the joint mean's.

        Args:
            total: this process's sum, with its gradient.
            count: how many terms this process summed; may be 0.
        """
        everywhere = self.sum(torch.as_tensor(count, dtype=torch.float32, device=total.device))
        return total * (self.size / everywhere.clamp(min=1e-9))

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.size > 1:
            dist.barrier()
