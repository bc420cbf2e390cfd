"""Discriminators of waveforms: periods and spectra; sizes from the config."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm


class WaveDiscriminator(nn.Module):
    """Multi-period [HiFi-GAN] and multi-resolution spectral [UnivNet] discriminators together.

    Args:
        periods: of the period discriminators, in samples.
        windows: FFT sizes of the spectral ones.
        channels: width of each one's first layer.
    """

    def __init__(
        self,
        periods: Sequence[int] = (2, 3, 5, 7, 11),
        windows: Sequence[int] = (512, 1024, 2048),
        channels: int = 32,
    ) -> None:
        super().__init__()
        parts: list[nn.Module] = [PeriodDiscriminator(period, channels) for period in periods]
        parts += [SpectralDiscriminator(window, channels) for window in windows]
        self.parts = nn.ModuleList(parts)

    def forward(self, wave: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Scores (one tensor a part) and all inner features of `wave [B, n]`."""
        scores: list[Tensor] = []
        features: list[Tensor] = []
        for part in self.parts:
            maps = part(wave)
            scores.append(maps[-1])
            features += maps[:-1]
        return scores, features


class PeriodDiscriminator(nn.Module):
    """Strided 2-D convolutions over a wave folded at `period` samples [HiFi-GAN]."""

    def __init__(self, period: int, channels: int) -> None:
        super().__init__()
        self.period = period
        widths = (1, channels, 2 * channels, 4 * channels, 4 * channels)
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, (5, 1), (3, 1), (2, 0))) for a, b in pairwise(widths)
        )
        self.score = weight_norm(nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, wave: Tensor) -> list[Tensor]:
        """`wave [B, n]` → feature maps, the last one the score."""
        wave = F.pad(wave, (0, -wave.shape[-1] % self.period))
        x = wave.unflatten(-1, (-1, self.period)).unsqueeze(1)
        return _run(self.layers, self.score, x)


class SpectralDiscriminator(nn.Module):
    """2-D convolutions over log magnitudes, strided along frequency [UnivNet]."""

    def __init__(self, window: int, channels: int) -> None:
        super().__init__()
        self.window = window
        widths = (1, channels, channels, channels, channels)
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, (5, 3), (2, 1), (2, 1))) for a, b in pairwise(widths)
        )
        self.score = weight_norm(nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, wave: Tensor) -> list[Tensor]:
        """`wave [B, n]` → feature maps, the last one the score."""
        window = torch.hann_window(self.window, device=wave.device, dtype=wave.dtype)
        spectrum = torch.stft(
            wave, self.window, self.window // 4, self.window, window, return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()
        return _run(self.layers, self.score, torch.log(power + 1e-5).unsqueeze(1))


def _run(layers: nn.ModuleList, score: nn.Module, x: Tensor) -> list[Tensor]:
    maps = []
    for layer in layers:
        x = F.leaky_relu(layer(x), 0.1)
        maps.append(x)
    return [*maps, score(x)]
