"""Padding-aware helpers, so that an item in a batch gives what it gives alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def length_mask(lengths: Tensor, size: int) -> Tensor:
    """Boolean `[B, size]`, true at each item's first `lengths [B]` positions."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """Set the padding of `x [B, C, T]` to zero; `mask [B, 1, T]` of 0 and 1, `None`: no padding."""
    return x if mask is None else x * mask


class MaskedGroupNorm(nn.GroupNorm):
    """Group norm over `[B, C, T]` whose statistics leave padding out ("ours")."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """Normalise `x`; `mask [B, 1, T]` of 0 and 1 marks real frames, `None` means all."""
        if mask is None:
            return functional.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)
        grouped = x.unflatten(1, (self.num_groups, -1))
        real = mask[:, None]
        count = real.sum((2, 3), keepdim=True) * grouped.shape[2]
        mean = (grouped * real).sum((2, 3), keepdim=True) / count
        centred = (grouped - mean) * real
        variance = centred.square().sum((2, 3), keepdim=True) / count
        normal = (centred * torch.rsqrt(variance + self.eps)).flatten(1, 2)
        return normal * self.weight[:, None] + self.bias[:, None]
