"""Whisper's fixed positions, which model folders need not hold (ours).

Whisper's encoder adds sinusoids to its frames; its checkpoints store them in float16. Computed in
float64 they come out as those very numbers, on any machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from unisono.errors import ModelError

_PREFIX = "encoder.embed_positions"
_MOST = 1 << 24  # numbers in a table: a broken config must not take all memory


def sinusoids(rows: int, width: int) -> Tensor:
    """Sines, then cosines, of wavelengths from 2 pi to 20000 pi: `[rows, width]`, float16."""
    step = math.log(10_000) / (width // 2 - 1)
    rates = torch.exp(-step * torch.arange(width // 2, dtype=torch.float64))
    angles = torch.arange(rows, dtype=torch.float64)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1).half()


def without_sinusoids(
    state: Mapping[str, Tensor],
) -> tuple[dict[str, Tensor], dict[str, list[int]]]:
    """The tensors but for positions that are `sinusoids`, and the sizes of those by name."""
    left = {
        name: list(tensor.shape)
        for name, tensor in state.items()
        if name.startswith(_PREFIX) and _is_sinusoids(tensor)
    }
    return {name: tensor for name, tensor in state.items() if name not in left}, left


def with_sinusoids(state: Mapping[str, Tensor], left: object) -> dict[str, Tensor]:
    """The tensors and those that `without_sinusoids` left out.

    Raises:
        ModelError: `left`, which comes from a config, is not what that function gave.
    """
    shapes: dict[str, Any] = left if isinstance(left, dict) else {"": left}
    wrong = {n: s for n, s in shapes.items() if not (_is_shape(s) and n.startswith(_PREFIX))}
    if wrong:
        raise ModelError(
            f'config.json: sinusoids must be like {{"{_PREFIX}.weight": [rows, width]}}, not '
            f"{left!r}; restore the file."
        )
    return {**state, **{name: sinusoids(*shape) for name, shape in shapes.items()}}


def _is_shape(shape: object) -> bool:
    whole = isinstance(shape, list) and len(shape) == 2 and all(type(n) is int for n in shape)
    return whole and shape[0] > 0 and shape[1] > 3 and shape[0] * shape[1] <= _MOST  # type: ignore[index]


def _is_sinusoids(tensor: Tensor) -> bool:
    """Whether storing them as float16 keeps all that there is."""
    if tensor.ndim != 2 or tensor.shape[1] < 4 or tensor.shape[1] % 2:
        return False
    return torch.equal(tensor.detach().float().cpu(), sinusoids(*tensor.shape).float())
