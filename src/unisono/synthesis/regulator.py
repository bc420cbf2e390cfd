"""Length regulator: token frames to mel frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from unisono.errors import ConfigError
from unisono.synthesis.masks import MaskedGroupNorm, length_mask, masked


class LengthRegulator(nn.Module):
    """Stretch `[B, T, C]` to mel frames by nearest interpolation, then smooth by convolutions."""

    def __init__(
        self,
        channels: int,
        sampling_ratios: tuple[int, ...] = (1, 1, 1, 1),
        out_channels: int | None = None,
        groups: int = 1,
    ):
        super().__init__()
        layers: list[nn.Module] = []
        for _ in sampling_ratios:
            layers += [
                nn.Conv1d(channels, channels, 3, padding=1),
                MaskedGroupNorm(groups, channels),
                nn.Mish(),
            ]
        layers.append(nn.Conv1d(channels, out_channels or channels, 1))
        self.model = nn.Sequential(*layers)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LengthRegulator:
        """Build from the reference's arguments."""
        allowed = {"channels", "sampling_ratios", "out_channels", "groups"}
        if unknown := sorted(set(values) - allowed):
            raise ConfigError(f"The length regulator has unknown keys: {', '.join(unknown)}.")
        return cls(**values)

    def forward(
        self, x: Tensor, lengths: Tensor | None, frames: Tensor, mask: Tensor | None
    ) -> Tensor:
        """Return `[B, C, max(frames)]` of `x [B, T, C]`.

        `lengths [B]` are real positions of `x` (`None`: all), `frames [B]` the wanted numbers
        of frames; `mask [B, 1, max(frames)]` marks them (`None` when all are equal).
        """
        if lengths is None:
            lengths = torch.full_like(frames, x.shape[1])
        x = stretch(x, lengths, frames).transpose(1, 2)
        for layer in self.model:
            if isinstance(layer, MaskedGroupNorm):
                x = layer(x, mask)
            elif isinstance(layer, nn.Conv1d):
                x = layer(masked(x, mask))
            else:
                x = layer(x)
        return masked(x, mask)


def stretch(x: Tensor, lengths: Tensor, frames: Tensor) -> Tensor:
    """Nearest interpolation of each item's first `lengths` positions to `frames` positions.

    `x [B, T, C]` to `[B, max(frames), C]`; frame t takes position floor(t · length / frames),
    rounded as torch's own interpolation rounds. Beyond an item's frames: zeros.
    """
    size = int(frames.max())
    steps = torch.arange(size, device=x.device, dtype=torch.float32)
    index = (steps * (lengths.float() / frames.float())[:, None]).long()
    index = torch.minimum(index, lengths[:, None] - 1)
    out = x.gather(1, index[..., None].expand(-1, -1, x.shape[2]))
    return out * length_mask(frames, size)[..., None]
