"""Convolutions at token rate: a small token encoder for models trained with little (ours).

Several frames come out of each token, so that the length regulator has detail to stretch. The
encoder stage trains the same network on mel frames, and the flow decoder can start from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from unisono.errors import ConfigError


@dataclass(frozen=True)
class ConvolutionConfig:
    """Sizes: `frames` of `output_size` numbers come out of each token."""

    input_size: int
    output_size: int = 80
    frames: int = 4
    width: int = 256
    layers: int = 3

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ConvolutionConfig:
        """Build from a plain dict; unknown keys are refused."""
        if unknown := sorted(set(values) - set(cls.__dataclass_fields__)):
            raise ConfigError(f"The flow encoder's config has unknown keys: {', '.join(unknown)}.")
        return cls(**values)


class TokenConvolutions(nn.Module):
    """`[B, T, dim]` to `[B, T, out]`: projection, residual convolutions of 5 tokens, projection."""

    def __init__(self, dim: int, out: int, width: int = 256, layers: int = 3) -> None:
        super().__init__()
        self.inward = nn.Linear(dim, width)
        self.convs = nn.ModuleList(nn.Conv1d(width, width, 5, padding=2) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.outward = nn.Linear(width, out)

    def forward(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """Map `states [B, T, dim]`; `mask [B, T]` is 1 on real tokens, `None`: all are real."""
        x = self.inward(states)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            y = norm(x) if mask is None else norm(x) * mask[..., None]
            x = x + F.gelu(conv(y.transpose(1, 2)).transpose(1, 2))
        return self.outward(x)
