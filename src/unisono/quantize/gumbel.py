"""Grouped distance-Gumbel quantizer with rate control [TF-Codec, arXiv 2207.08363]."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SHARPNESS = 5.0
"""Logits are minus so many times the squared distance."""


@dataclass(frozen=True)
class Quantized:
    """What a quantizer made of vectors `[..., D]`.

    vectors: `[..., D]`, the codebooks' rows (with gradients to both sides while training); codes:
    int64 `[..., groups]`; bits: entropy of the mean distribution over codes, summed over groups.
    """

    vectors: Tensor
    codes: Tensor
    bits: Tensor


class GumbelQuantizer(nn.Module):
    """Each of `groups` equal parts of a vector is replaced by the nearest of `codes` rows.

    While training a row is drawn: hard Gumbel-softmax over `-5 |x - e|²` at a temperature, whose
    gradient goes to all rows and to the vector alike, so that no commitment loss is needed.
    Otherwise it is the nearest row.
    """

    def __init__(self, dim: int, groups: int, codes: int) -> None:
        super().__init__()
        if dim % groups:
            raise ValueError(f"{dim} numbers cannot be split into {groups} equal groups")
        self.groups = groups
        self.codebook = nn.Parameter(torch.empty(groups, codes, dim // groups).uniform_(-1, 1))

    @property
    def dim(self) -> int:
        """Size of the vectors."""
        return self.groups * self.codebook.shape[-1]

    def forward(self, x: Tensor, temperature: float | None = None) -> Quantized:
        """Quantize `x [..., D]`; `temperature` None: nearest rows, as for real tokens."""
        parts = x.reshape(-1, self.groups, self.codebook.shape[-1]).transpose(0, 1)
        logits = -SHARPNESS * self._distances(parts)
        share = logits.softmax(-1).mean(1)
        # Shares that underflow must not have an infinite gradient.
        bits = -(share * share.clamp(min=1e-9).log2()).sum()
        if temperature is None:
            codes = logits.argmax(-1)
            vectors = self._rows(codes)
        else:
            chosen = F.gumbel_softmax(logits, temperature, hard=True)
            codes = chosen.argmax(-1)
            vectors = chosen @ self.codebook
        shape = x.shape[:-1]
        return Quantized(
            vectors.transpose(0, 1).reshape(*shape, self.dim),
            codes.T.reshape(*shape, self.groups),
            bits,
        )

    def encode(self, x: Tensor) -> Tensor:
        """Codes `[..., groups]` of the rows nearest to `x [..., D]`."""
        parts = x.reshape(-1, self.groups, self.codebook.shape[-1]).transpose(0, 1)
        return self._distances(parts).argmin(-1).T.reshape(*x.shape[:-1], self.groups)

    def lookup(self, codes: Tensor) -> Tensor:
        """Vectors `[..., D]` of codes `[..., groups]`."""
        rows = self._rows(codes.reshape(-1, self.groups).T)
        return rows.transpose(0, 1).reshape(*codes.shape[:-1], self.dim)

    def _rows(self, codes: Tensor) -> Tensor:
        groups = torch.arange(self.groups, device=codes.device)[:, None]
        return self.codebook[groups, codes]

    def _distances(self, parts: Tensor) -> Tensor:
        """Squared distances `[groups, N, codes]` of `parts [groups, N, d]` from all rows."""
        products = parts @ self.codebook.transpose(1, 2)
        lengths = parts.square().sum(-1, keepdim=True)
        rows = self.codebook.square().sum(-1).unsqueeze(1)
        return lengths - 2 * products + rows


def gumbel_temperature(
    step: int, start: float = 2.0, decay: float = 0.9999995, least: float = 0.5
) -> float:
    """Temperature at a training step: falls by `decay` a step, never below `least` [TF-Codec]."""
    return max(start * decay**step, least)
