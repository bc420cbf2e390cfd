"""Losses of waveforms and spectra, as modules without weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MultiResolutionSTFTLoss(nn.Module):
    """Spectral convergence + L1 of log magnitudes over several windows [Parallel WaveGAN].

    Args:
        windows: FFT sizes in samples; the hop is a quarter of each.
    """

    def __init__(self, windows: Sequence[int] = (256, 512, 1024, 2048)) -> None:
        super().__init__()
        self.windows = tuple(windows)

    def forward(self, made: Tensor, real: Tensor) -> Tensor:
        """`made`, `real`: waves `[B, n]`, n at least the largest window. Returns a scalar."""
        total = made.new_zeros(())
        for size in self.windows:
            a, b = magnitude(made, size), magnitude(real, size)
            convergence = torch.linalg.vector_norm(b - a) / torch.linalg.vector_norm(b)
            total = total + convergence + F.l1_loss(a.log(), b.log())
        return total / len(self.windows)


def magnitude(wave: Tensor, size: int) -> Tensor:
    """STFT magnitude `[B, size // 2 + 1, frames]` with a floor of 1e-4."""
    window = torch.hann_window(size, device=wave.device, dtype=wave.dtype)
    spectrum = torch.stft(wave, size, size // 4, size, window, return_complex=True)
    return torch.sqrt(spectrum.real.square() + spectrum.imag.square() + 1e-8)


def masked_l1(made: Tensor, real: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute error over the real frames of `[B, T, C]` under `mask [B, T]`."""
    error = (made - real).abs().mean(dim=-1)
    mask = mask.to(error.dtype)
    return (error * mask).sum() / mask.sum().clamp(min=1)


def discriminator_loss(real: Sequence[Tensor], made: Sequence[Tensor]) -> Tensor:
    """Least-squares GAN loss of a discriminator's scores [LSGAN]."""
    terms = [(r - 1).square().mean() + m.square().mean() for r, m in zip(real, made, strict=True)]
    return torch.stack(terms).mean()


def generator_loss(made: Sequence[Tensor]) -> Tensor:
    """Least-squares GAN loss of a generator [LSGAN]."""
    return torch.stack([(m - 1).square().mean() for m in made]).mean()


def feature_matching(real: Sequence[Tensor], made: Sequence[Tensor]) -> Tensor:
    """Mean L1 between the discriminator's features, each over its own size [MelGAN]."""
    terms = [
        F.l1_loss(m, r.detach()) / r.detach().abs().mean().clamp(min=1e-4)
        for r, m in zip(real, made, strict=True)
    ]
    return torch.stack(terms).mean()
