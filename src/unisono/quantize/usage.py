"""How a codebook is used: share of codes, entropy and perplexity, from counts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class CodeUsage:
    """Figures of one codebook over some stretch of audio.

    used: number of codes that occur at least once; codes: size of the codebook;
    tokens: number of tokens counted; entropy_bits: entropy of the code distribution in bits a
    token; perplexity: 2 ** entropy_bits, the size of an equally used codebook of that entropy.
    """

    used: int
    codes: int
    tokens: int
    entropy_bits: float
    perplexity: float

    @property
    def share(self) -> float:
        """Share of the codes that occur at least once, 0 to 1."""
        return self.used / self.codes


def code_counts(token_ids: Tensor, codes: int, mask: Tensor | None = None) -> Tensor:
    """Occurrences of each code `[codes]` (int64) in `token_ids`, where `mask` (same shape) is 1."""
    ids = token_ids if mask is None else token_ids[mask.bool()]
    return torch.bincount(ids.flatten().long(), minlength=codes)


def code_usage(counts: Tensor) -> CodeUsage:
    """Use, entropy and perplexity of the counts `[codes]` (whole numbers or weights, >= 0)."""
    counts = counts.detach().to("cpu", torch.float64)
    total = counts.sum().item()
    used = int((counts > 0).sum().item())
    entropy = 0.0
    if total > 0:
        share = counts[counts > 0] / total
        entropy = max(0.0, -(share * share.log2()).sum().item())
    return CodeUsage(used, counts.numel(), round(total), entropy, math.pow(2.0, entropy))
