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

    Args:
        device: where this process trains; small tensors of its own go there, since NCCL knows
            no other place.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        together = dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank() if together else 0
        self.size = dist.get_world_size() if together else 1
        self.device = torch.device(device)
        self._origin = (0, 0)

    @property
    def main(self) -> bool:
        """Whether this process writes files and logs."""
        return self.rank == 0

    def start_at(self, step: int, batches: int) -> None:
        """Count on from a resumed run, whose processes used `batches` batches before `step`."""
        self._origin = (step, batches)

    def batches(self, step: int) -> int:
        """How many batches all processes have used before `step`."""
        first, before = self._origin
        return before + (step - first) * self.size

    def position(self, step: int) -> int:
        """Number of this process's batch at `step`, in the one sequence of all batches."""
        return self.batches(step) + self.rank

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

    def all(self, flag: Tensor | bool) -> bool:
        """Whether `flag` is true on every process."""
        if self.size == 1:
            return bool(flag)
        missing = torch.as_tensor(flag, device=self.device).logical_not().float()
        return not self.sum(missing).item()

    def any(self, flag: Tensor | bool) -> bool:
        """Whether `flag` is true on at least one process."""
        if self.size == 1:
            return bool(flag)
        return bool(self.sum(torch.as_tensor(flag, device=self.device).float()).item())

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.size > 1:
            dist.barrier()
