"""Model weights in safetensors files, some of them as int8 or int4 with scales."""

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

__all__ = [
    "INT4_GROUP",
    "LARGE",
    "int4_roundtrip",
    "int8_roundtrip",
    "large_matrices",
    "load_weights",
    "read_metadata",
    "save_weights",
]


INT4_GROUP = 64
"""Columns that share a scale in int4."""
LARGE = 4096
"""Numbers from which a tensor is worth rounding; smaller ones weigh little and stay float32."""


def save_weights(
    path: str | os.PathLike[str],
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str] | None = None,
    int8: Iterable[str] = (),
    int4: Iterable[str] = (),
) -> None:
    """Write tensors and metadata to a safetensors file, whole or not at all.

    A tensor named in `int8` (two or more dimensions) is stored as `NAME.int8`, symmetric in each
    row of its first dimension, and `NAME.scale`, float16 `[rows]`: an error of at most half a
    step, 1/254 of the row's largest value. One named in `int4` (two dimensions, columns a multiple
    of INT4_GROUP) is stored as `NAME.int4`, two columns a byte (the first in the low half), and
    `NAME.scale`, float16 `[rows, groups]`. The others are stored in their own type; tensors that
    share memory are stored apart.
    """
    packers = {name: ("int8", _to_int8) for name in int8} | {
        name: ("int4", _to_int4) for name in int4
    }
    chosen = set(packers)
    if missing := chosen - set(tensors):
        raise ValueError(f"int8 or int4 names tensors that are not there: {sorted(missing)}")
    stored: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        if name in chosen:
            kind, pack = packers[name]
            stored[f"{name}.{kind}"], stored[f"{name}.scale"] = pack(name, plain)
            continue
        # safetensors refuses shared memory (tied weights, views of one buffer).
        memory = plain.untyped_storage().data_ptr()
        stored[name] = plain.clone() if memory in seen else plain
        seen.add(memory)
    if len(stored) != len(tensors) + len(chosen):
        raise ValueError("a tensor has the name NAME.int8, .int4 or .scale of one stored so")
    write_bytes(path, save(stored, dict(metadata or {})), ModelError)


def large_matrices(tensors: Mapping[str, Tensor]) -> set[str]:
    """Names of the tensors of two or more dimensions that are `LARGE`: what int8 is for."""
    return {name for name, t in tensors.items() if t.ndim >= 2 and t.numel() >= LARGE}


def load_weights(
    path: str | os.PathLike[str], prefixes: tuple[str, ...] = ("",)
) -> dict[str, Tensor]:
    """Tensors on the CPU as stored; those stored as int8 or int4 come back as float32.

    Only those whose names start with one of `prefixes` are read. A missing, truncated or foreign
    file raises `ModelError`.
    """
    with _opened(path) as file:
        names = [name for name in file.keys() if name.startswith(prefixes)]  # noqa: SIM118
        tensors = {name: file.get_tensor(name) for name in names}
    for kind, unpack in (("int8", _from_int8), ("int4", _from_int4)):
        for name in [n.removesuffix(f".{kind}") for n in tensors if n.endswith(f".{kind}")]:
            if f"{name}.scale" not in tensors:
                raise ModelError(f"{Path(path)} lacks {name}.scale; get the file again")
            found = unpack(tensors.pop(f"{name}.{kind}"), tensors.pop(f"{name}.scale"))
            if found is None:
                raise ModelError(f"{Path(path)} has a malformed {name}.{kind}; get the file again")
            tensors[name] = found
    return tensors


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The metadata that `save_weights` was given; empty when there was none."""
    with _opened(path) as file:
        return dict(file.metadata() or {})


def int8_roundtrip(tensor: Tensor) -> Tensor:
    """What `tensor` comes back as after being stored as int8; doing it twice changes nothing."""
    found = _from_int8(*_to_int8("tensor", tensor))
    assert found is not None
    return found


def int4_roundtrip(tensor: Tensor) -> Tensor:
    """What `tensor` comes back as after being stored as int4."""
    found = _from_int4(*_to_int4("tensor", tensor))
    assert found is not None
    return found


def _from_int8(codes: Tensor, scale: Tensor) -> Tensor | None:
    """Float32 values; None for parts that do not fit."""
    if codes.dtype != torch.int8 or scale.shape != codes.shape[:1]:
        return None
    return codes.float() * scale.float().reshape(-1, *[1] * (codes.dim() - 1))


def _from_int4(packed: Tensor, scale: Tensor) -> Tensor | None:
    """Float32 values; None for parts that do not fit."""
    half = INT4_GROUP // 2
    fits = packed.dtype == torch.uint8 and packed.dim() == scale.dim() == 2
    if not fits or packed.shape != (len(scale), scale.shape[1] * half):
        return None
    codes = torch.stack([packed & 15, packed >> 4], dim=-1).flatten(1).float() - 8
    return (codes.unflatten(1, (-1, INT4_GROUP)) * scale.float()[..., None]).flatten(1)


def _to_int4(name: str, tensor: Tensor) -> tuple[Tensor, Tensor]:
    """Packed codes -7..7 (plus 8), `[rows, columns / 2]`, and scales, float16 `[rows, groups]`.

    Of several scales for a group the one with the least squared error is taken: clipping its
    largest value a little often costs less than the coarser steps that would hold it.
    """
    if tensor.dim() != 2 or tensor.shape[1] % INT4_GROUP or not tensor.is_floating_point():
        raise ValueError(
            f"{name} must be a float matrix with a multiple of {INT4_GROUP} columns to be int4"
        )
    groups = tensor.float().unflatten(1, (-1, INT4_GROUP))
    largest = groups.abs().amax(-1)
    if not torch.isfinite(largest.half()).all():
        raise ValueError(f"{name} holds values too large, or not finite, for int4 groups")
    best = torch.full_like(largest, torch.inf)
    scale, codes = torch.zeros_like(largest), torch.zeros_like(groups)
    for share in torch.linspace(0.7, 1.0, 13).tolist():
        tried = (share * largest / 7).half().float().clamp(min=2.0**-24)[..., None]
        rounded = (groups / tried).round().clamp(-7, 7)
        error = (rounded * tried - groups).square().sum(-1)
        better = error < best
        best = torch.where(better, error, best)
        scale = torch.where(better, tried[..., 0], scale)
        codes = torch.where(better[..., None], rounded, codes)
    halves = (codes + 8).to(torch.uint8).flatten(1).unflatten(1, (-1, 2))
    return halves[..., 0] | (halves[..., 1] << 4), scale.half()


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
