"""Discriminator of waves by their compressed spectra [TF-Codec]."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

_POWER = 0.3
_TINY = 1e-6


class SpectrumDiscriminator(nn.Module):
    """2-D convolutions over real and imaginary parts, magnitudes compressed.

    Args:
        window, hop: of the spectrum, samples.
        channels: widths of the layers; each halves the frequencies.
    """

    hann: Tensor

    def __init__(
        self, window: int = 320, hop: int = 160, channels: Sequence[int] = (8, 8, 16, 16)
    ) -> None:
        super().__init__()
        self.window, self.hop = window, hop
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, (3, 5), (1, 2), (1, 2)))
            for a, b in pairwise((2, *channels))
        )
        self.score = weight_norm(nn.Conv2d(channels[-1], 1, 3, padding=1))
        self.register_buffer("hann", torch.hann_window(window), persistent=False)

    def forward(self, wave: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Scores `[B, 1, T, F]` (one tensor) and all inner features of `wave [B, n]`."""
        spectrum = torch.stft(
            wave, self.window, self.hop, self.window, self.hann, return_complex=True
        )
        x = torch.stack([spectrum.real, spectrum.imag], dim=1).transpose(2, 3)
        x = x * (x.square().sum(1, keepdim=True) + _TINY).sqrt() ** (_POWER - 1)
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            features.append(x)
        return [self.score(x)], features
