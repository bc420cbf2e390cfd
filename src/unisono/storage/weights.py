"""Model weights in safetensors files, some of them as int8 with a scale for each row."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from unisono.errors import ModelError
from unisono.storage.atomic import write_bytes

__all__ = ["int8_roundtrip", "load_weights", "read_metadata", "save_weights"]


def save_weights(
    path: str | os.PathLike[str],
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str] | None = None,
    int8: Iterable[str] = (),
) -> None:
    """Write tensors and metadata to a safetensors file, whole or not at all.

    A tensor named in `int8` (two or more dimensions) is stored as `NAME.int8`, symmetric in each
    row of its first dimension, and `NAME.scale`, float16 `[rows]`: an error of at most half a
    step, 1/254 of the row's largest value. The others are stored in their own type; tensors that
    share memory are stored apart.
    """
    chosen = set(int8)
    if missing := chosen - set(tensors):
        raise ValueError(f"int8 names tensors that are not there: {sorted(missing)}")
    stored: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        if name in chosen:
            stored[f"{name}.int8"], stored[f"{name}.scale"] = _to_int8(name, plain)
            continue
        # safetensors refuses shared memory (tied weights, views of one buffer).
        memory = plain.untyped_storage().data_ptr()
        stored[name] = plain.clone() if memory in seen else plain
        seen.add(memory)
    if len(stored) != len(tensors) + len(chosen):
        raise ValueError("a tensor has the name NAME.int8 or NAME.scale of one stored as int8")
    write_bytes(path, save(stored, dict(metadata or {})), ModelError)


def load_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Tensors on the CPU as stored; those stored as int8 come back as float32.

    A missing, truncated or foreign file raises `ModelError`.
    """
    with _opened(path) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for name in [n.removesuffix(".int8") for n in tensors if n.endswith(".int8")]:
        if f"{name}.scale" not in tensors:
            raise ModelError(f"{Path(path)} lacks {name}.scale; get the file again")
        values, scale = tensors.pop(f"{name}.int8"), tensors.pop(f"{name}.scale")
        if values.dtype != torch.int8 or scale.shape != values.shape[:1]:
            raise ModelError(f"{Path(path)} has a malformed {name}.int8; get the file again")
        tensors[name] = values.float() * scale.float().reshape(-1, *[1] * (values.dim() - 1))
    return tensors


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The metadata that `save_weights` was given; empty when there was none."""
    with _opened(path) as file:
        return dict(file.metadata() or {})


def int8_roundtrip(tensor: Tensor) -> Tensor:
    """What `tensor` comes back as after being stored as int8; doing it twice changes nothing."""
    codes, scale = _to_int8("tensor", tensor)
    return codes.float() * scale.float().reshape(-1, *[1] * (codes.dim() - 1))


def _to_int8(name: str, tensor: Tensor) -> tuple[Tensor, Tensor]:
    """Codes -127..127 of the tensor's shape and scales, float16 `[rows]`."""
    if tensor.dim() < 2 or not tensor.is_floating_point():
        raise ValueError(f"{name} must be a float tensor of two or more dimensions to be int8")
    rows = tensor.float().flatten(1)
    largest = rows.abs().amax(dim=1)
    scale = (largest / 127).half()
    # Tiny scales are coarse in float16: one rounded down would clip the row's largest value, and
    # one rounded to zero would lose the row. Rows of zeros take any scale.
    low = (scale.float() * 127.5 < largest) | (scale == 0)
    scale = torch.where(low, scale + 2.0**-24, scale)
    if not torch.isfinite(scale).all():
        raise ValueError(f"{name} holds values too large, or not finite, for int8 rows")
    codes = (rows / scale.float()[:, None]).round().clamp(-127, 127)
    return codes.to(torch.int8).reshape(tensor.shape), scale


def _opened(path: str | os.PathLike[str]) -> safe_open:
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path} does not exist; check the path or get the model again")
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{path} is not a whole safetensors file ({error}); get the model again"
        ) from error
