"""Mixed precision by device."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from unisono.errors import ConfigError

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def choose_precision(asked: str, device: torch.device, mixed: bool = True) -> str:
    """What `precision: auto` means on a device: bf16, fp16 or no.

    CPUs stay in full precision: without hardware for it, bfloat16 is hundreds of times slower
    there. `mixed` is whether the stage can do with less than float32 at all.

    Raises:
        ConfigError: less than float32 was asked of a stage that needs it.
    """
    if not mixed and asked in _TYPES:
        raise ConfigError(f"precision={asked}: this stage needs float32; set precision=auto")
    if asked != "auto":
        return asked
    if device.type == "cuda" and mixed:
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "no"


def autocast(precision: str, device: torch.device) -> AbstractContextManager[None]:
    """The context of forward passes; weights stay in float32."""
    return torch.autocast(
        device.type, dtype=_TYPES.get(precision, torch.bfloat16), enabled=precision in _TYPES
    )


def gradient_scaler(precision: str, device: torch.device) -> torch.amp.GradScaler:
    """Keeps float16 gradients from vanishing; does nothing in the other precisions."""
    # It warns where it is switched off for want of a GPU; asking for CPU says the same silently.
    kind = device.type if precision == "fp16" else "cpu"
    return torch.amp.GradScaler(kind, enabled=precision == "fp16")
