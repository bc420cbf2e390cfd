"""Weights split over the processes (FSDP), for models too large for one GPU."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    set_model_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import (
    FSDPModule,
    MixedPrecisionPolicy,
    fully_shard,
    register_fsdp_forward_method,
)
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers.modeling_layers import GradientCheckpointingLayer

from unisono.errors import ConfigError
from unisono.quantize.vector import VectorQuantizer
from unisono.training.layers import repeated_layers
from unisono.training.world import World

_METHODS = ("embed", "run_layers", "finish", "loss", "mel", "f0")
"""What tasks call of a module in place of `forward`."""


_LARGE = 10_000_000


def shard(modules: Mapping[str, nn.Module], world: World, precision: str) -> None:
    """Split the large modules' parameters over all processes, in place (FSDP2).

    Each transformer layer is gathered when it runs; what lies outside of such layers is gathered
    with its module. Codebooks stay whole: the quantizer rewrites them between passes. So do modules
    of less than ten million parameters, unless none is larger: every process must run a split
    module in every step, and heads often have nothing to do.

    Raises:
        ConfigError: there is one process, or the precision needs a gradient scaler.
    """
    if world.size == 1:
        raise ConfigError("sharding=full needs several processes; start it with torchrun")
    if precision == "fp16":
        raise ConfigError("sharding=full trains in bf16 or full precision; set precision=bf16")
    mesh = init_device_mesh(world.device.type, (world.size,))
    policy = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16 if precision == "bf16" else None,
        reduce_dtype=torch.float32 if precision == "bf16" else None,
    )
    for module in large_modules(modules.values()):
        kept = whole_parameters(module)
        for layer in sharded_layers(module):
            fully_shard(layer, mesh=mesh, mp_policy=policy, ignored_params=kept)
        fully_shard(module, mesh=mesh, mp_policy=policy, ignored_params=kept)
        for method in _METHODS:
            if inspect.ismethod(getattr(module, method, None)):
                register_fsdp_forward_method(module, method)


def large_modules(modules: Iterable[nn.Module]) -> list[nn.Module]:
    """Those worth splitting; at least the largest."""
    sizes = [(sum(p.numel() for p in module.parameters()), module) for module in modules]
    bound = min(_LARGE, max(size for size, _ in sizes))
    return [module for size, module in sizes if size >= bound]


def sharded_layers(module: nn.Module) -> list[nn.Module]:
    """Layers gathered on their own: those of transformers' models.

    Other repeated parts may be used by more than their `forward`, which FSDP does not see.
    """
    layers = (layer for _, layer in repeated_layers(module))
    return [layer for layer in layers if isinstance(layer, GradientCheckpointingLayer)]


def whole_parameters(module: nn.Module) -> set[nn.Parameter]:
    """Parameters that are never split: those of quantizers."""
    return {
        parameter
        for part in module.modules()
        if isinstance(part, VectorQuantizer)
        for parameter in part.parameters()
    }


def reduce_at(modules: Iterable[nn.Module], step: bool) -> None:
    """Whether the next backward pass reduces gradients: only when an optimizer step follows."""
    for module in modules:
        if isinstance(module, FSDPModule):
            module.set_requires_gradient_sync(step)


def drop_gathered(modules: Iterable[nn.Module]) -> None:
    """Forget gathered weights, so that a pass after an optimizer step sees the new ones.

    A discriminator runs again in the same step, where FSDP may still hold its weights together.
    """
    for module in modules:
        for part in module.modules():
            if isinstance(part, FSDPModule):
                part.reshard()


def whole(tensor: Tensor) -> Tensor:
    """A tensor put together from all processes' parts, on the CPU; every process must call it.

    One that is not split is given back as it is.
    """
    return tensor.full_tensor().cpu() if isinstance(tensor, DTensor) else tensor


def like_parameter(tensor: Tensor, parameter: Tensor) -> Tensor:
    """A whole tensor split as `parameter` is."""
    if not isinstance(parameter, DTensor):
        return tensor
    here = tensor.to(parameter.device)
    return distribute_tensor(here, parameter.device_mesh, parameter.placements)


def module_state(module: nn.Module) -> dict[str, Any]:
    """Whole weights; of a sharded module on the CPU and on the first process only."""
    if not isinstance(module, FSDPModule):
        return module.state_dict()
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    return get_model_state_dict(module, options=options)


def load_module(module: nn.Module, state: dict[str, Any]) -> None:
    """Take whole weights, each process its own part of them."""
    if not isinstance(module, FSDPModule):
        module.load_state_dict(state)
        return
    set_model_state_dict(module, state, options=StateDictOptions(full_state_dict=True))
