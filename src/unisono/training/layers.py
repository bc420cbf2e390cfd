"""What the loop does to a module's repeated layers: compile them, compute them again."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from unisono.errors import ConfigError
from unisono.training.config import CompileSection

log = logging.getLogger(__name__)


def repeated_layers(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Names and members of the outermost `nn.ModuleList`s that hold parameters.

    A list within a list stands for its members: it has no `forward` of its own.
    """
    for name, child in module.named_children():
        if isinstance(module, nn.ModuleList) and not isinstance(child, nn.ModuleList):
            if any(True for _ in child.parameters()):
                yield name, child
        else:
            for below, layer in repeated_layers(child):
                yield f"{name}.{below}", layer


def compile_layers(
    modules: Iterable[nn.Module], section: CompileSection, device: torch.device
) -> int:
    """Compile the repeated layers of each module in place, or the whole module if it has none.

    Layers and not modules, because tasks call other methods than `forward`, and because equal
    layers share one compilation. Names of parameters do not change.

    Returns:
        How many parts will be compiled.

    Raises:
        ConfigError: the backend cannot compile on this machine.
    """
    _try_compiler(section, device)
    parts: list[nn.Module] = []
    for module in modules:
        parts += [layer for _, layer in repeated_layers(module)] or [module]
    for part in parts:
        part.compile(backend=section.backend, mode=section.mode, dynamic=section.dynamic)
    return len(parts)


def checkpoint_activations(modules: Iterable[nn.Module]) -> None:
    """Let transformers' models recompute their layers in the backward pass.

    Raises:
        ConfigError: no module knows how.
    """
    parts = (part for module in modules for part in module.modules())
    able: list[Any] = [p for p in parts if getattr(p, "supports_gradient_checkpointing", False)]
    if not able:
        raise ConfigError(
            "checkpoint_activations: no module of this stage can recompute its layers; "
            "leave the option out"
        )
    for part in able:
        part.activation_checkpointing_enable({"use_reentrant": False})


def _try_compiler(section: CompileSection, device: torch.device) -> None:
    """Compile something small, so that a missing compiler shows before the data is read."""
    try:
        probe = torch.compile(_probe, backend=section.backend, mode=section.mode)
        probe(torch.zeros(8, device=device))
    except Exception as error:  # backends raise errors of their own, without a common base
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"compile: backend {section.backend} does not work here ({reason}); install a C++ "
            "compiler (Triton on GPUs), or set compile=false"
        ) from error


def _probe(x: Tensor) -> Tensor:
    return (x + 1).sin()
