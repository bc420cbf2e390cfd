"""Many processes that train one model: how they start, and what they share at each step.

Tasks call more than `forward` of their modules, and only some modules in some steps, so a
DistributedDataParallel wrapper does not fit: gradients are averaged here, after the backward pass
and only where an optimizer takes a step.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from unisono.errors import ConfigError, require_extra
from unisono.training.world import World

_BUCKET = 1 << 24  # elements reduced at once: 64 MB in float32
_PATIENCE = timedelta(hours=3)  # the first process may prepare a cache while the others wait


def open_world(device: str = "auto") -> World:
    """Join the processes that `torchrun` or `accelerate launch` started; alone without them.

    Args:
        device: auto (a GPU if there is one), cpu, cuda, mps ...; processes on CPU talk through
            gloo, on CUDA through NCCL.

    Raises:
        ConfigError: no such device, or one that many processes cannot share.
    """
    accelerate = require_extra("accelerate", "train")
    on_cpu = device == "cpu" or (device == "auto" and not torch.accelerator.is_available())
    state = accelerate.PartialState(cpu=on_cpu, timeout=_PATIENCE)
    kind = torch.device(state.device).type
    if device not in ("auto", kind):
        raise ConfigError(f"device={device}: there is only {kind} here; use device=auto")
    asked = int(os.environ.get("WORLD_SIZE", "1"))
    if asked != state.num_processes:
        raise ConfigError(
            f"{asked} processes were started, but {kind} cannot be shared by several; "
            "use device=cpu or start one process"
        )
    return World(state.device)


def close_world() -> None:
    """Leave the process group; nothing when alone."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def share_weights(modules: Iterable[nn.Module], world: World) -> None:
    """Give every process the first one's parameters and buffers, in place."""
    if world.size == 1:
        return
    for module in modules:
        for tensor in (*module.parameters(), *module.buffers()):
            if not isinstance(tensor, DTensor):
                shared = tensor.detach().contiguous()
                dist.broadcast(shared, 0)
                tensor.detach().copy_(shared)


@torch.no_grad()
def average_gradients(parameters: Sequence[nn.Parameter], world: World) -> None:
    """Replace every gradient by its mean over the processes, in place.

    A gradient that some processes lack counts as zero there; one that all lack stays missing, so
    that optimizers leave such a parameter alone, as with one process. Sharded parameters are
    passed over: FSDP has reduced theirs.
    """
    if world.size == 1:
        return
    parameters = [p for p in parameters if not isinstance(p, DTensor)]
    present = torch.tensor([float(p.grad is not None) for p in parameters], device=world.device)
    counts = world.sum(present).tolist()
    gradients = []
    for parameter, count in zip(parameters, counts, strict=True):
        if count:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
    for bucket in _buckets(gradients):
        flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
        dist.all_reduce(flat)
        flat.div_(world.size)
        parts = flat.split([gradient.numel() for gradient in bucket])
        for gradient, part in zip(bucket, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbours of one type, together of at most `_BUCKET` elements (one larger stands alone)."""
    bucket: list[Tensor] = []
    size = 0
    for tensor in tensors:
        full = size + tensor.numel() > _BUCKET
        if bucket and (full or tensor.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += tensor.numel()
    if bucket:
        yield bucket


@dataclass(frozen=True)
class StepReport:
    """What all processes know of a step.

    figures: means over the processes that have the figure; seconds: audio of all batches;
    stop: a process was asked to stop; due: the first process's clock asks for a checkpoint.
    """

    figures: dict[str, float]
    seconds: float
    stop: bool
    due: bool


class StepReporter:
    """Makes the joint report of each step, with one small reduction.

    The processes agree on the names of figures when a new one appears; from then on only their
    values travel.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._names: list[str] = []

    def __call__(
        self, figures: Mapping[str, float], seconds: float, stop: bool, due: bool
    ) -> StepReport:
        """Every process calls it once a step with what it knows itself."""
        if self.world.size == 1:
            return StepReport(dict(figures), seconds, stop, due)
        while True:
            new = not set(figures) <= set(self._names)
            own = [float(stop), float(due and self.world.main), seconds, float(new)]
            own += [figures.get(name, 0.0) for name in self._names]
            own += [float(name in figures) for name in self._names]
            total = self.world.sum(torch.tensor(own, device=self.world.device)).tolist()
            if not total[3]:
                break
            found: list[list[str] | None] = [None] * self.world.size
            dist.all_gather_object(found, sorted(figures))
            self._names = sorted({*self._names, *(name for names in found for name in names or ())})
        values = total[4 : 4 + len(self._names)]
        counts = total[4 + len(self._names) :]
        joint = {
            name: value / count
            for name, value, count in zip(self._names, values, counts, strict=True)
            if count
        }
        return StepReport(joint, total[2], bool(total[0]), bool(total[1]))
