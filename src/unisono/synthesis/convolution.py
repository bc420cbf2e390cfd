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
    """Sizes: `frames` of `output_size` numbers come out of each token.

    `voice`: width of the voice vector that scales and shifts every layer, 0 for none.
    """

    input_size: int
    output_size: int = 80
    frames: int = 4
    width: int = 256
    layers: int = 3
    voice: int = 0

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ConvolutionConfig:
        """Build from a plain dict; unknown keys are refused."""
        if unknown := sorted(set(values) - set(cls.__dataclass_fields__)):
            raise ConfigError(f"The flow encoder's config has unknown keys: {', '.join(unknown)}.")
        return cls(**values)


class TokenConvolutions(nn.Module):
    """`[B, T, dim]` to `[B, T, out]`: projection, residual convolutions of 5 tokens, projection.

    With `voice` > 0 a voice vector of that width scales and shifts the input of every convolution
    [FiLM, arXiv 1709.07871]; it starts without effect.
    """

    def __init__(
        self, dim: int, out: int, width: int = 256, layers: int = 3, voice: int = 0
    ) -> None:
        super().__init__()
        self.inward = nn.Linear(dim, width)
        self.convs = nn.ModuleList(nn.Conv1d(width, width, 5, padding=2) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.outward = nn.Linear(width, out)
        if voice:
            styles = [nn.Linear(voice, 2 * width) for _ in range(layers)]
            for style in styles:
                nn.init.zeros_(style.weight)
                nn.init.zeros_(style.bias)
            self.styles = nn.ModuleList(styles)

    def forward(self, states: Tensor, mask: Tensor | None, voice: Tensor | None = None) -> Tensor:
        """Map `states [B, T, dim]`; `mask [B, T]` is 1 on real tokens, `None`: all are real.

        `voice [B, V]` is needed exactly when the module was built with one.
        """
        x = self.inward(states)
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            y = norm(x)
            if voice is not None:
                scale, shift = self.styles[i](voice)[:, None].chunk(2, -1)
                y = y * (1 + scale) + shift
            if mask is not None:
                y = y * mask[..., None]
            x = x + F.gelu(conv(y.transpose(1, 2)).transpose(1, 2))
        return self.outward(x)
