"""Harmonic-plus-noise source signal: what drives the vocoder (neural source filter)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class F0Predictor(nn.Module):
    """Mel `[B, mels, T]` to fundamental frequency `[B, T]` in Hz; near 0 where unvoiced."""

    def __init__(self, in_channels: int, cond_channels: int, num_class: int = 1, layers: int = 5):
        super().__init__()
        stack: list[nn.Module] = []
        for i in range(layers):
            width = in_channels if i == 0 else cond_channels
            stack += [nn.Conv1d(width, cond_channels, 3, padding=1), nn.ELU()]
        self.condnet = nn.Sequential(*stack)
        self.classifier = nn.Linear(cond_channels, num_class)

    def forward(self, mel: Tensor) -> Tensor:
        """Return F0 `[B, T]` of `mel [B, mels, T]`."""
        return self.classifier(self.condnet(mel).transpose(1, 2)).squeeze(-1).abs()


class HarmonicSource(nn.Module):
    """F0 per frame to an excitation wave: sines at multiples of F0, noise where unvoiced.

    `alpha` is the sines' amplitude, `sigma` the noise beside them, `threshold` the F0 in Hz
    from which a frame counts as voiced; `hop` samples per frame at `rate` Hz.
    """

    def __init__(
        self, rate: int, hop: int, harmonics: int, alpha: float, sigma: float, threshold: float
    ):
        super().__init__()
        self.rate, self.hop, self.harmonics = rate, hop, harmonics
        self.alpha, self.sigma, self.threshold = alpha, sigma, threshold
        self.l_linear = nn.Linear(harmonics + 1, 1)

    def draw(
        self, batch: int, frames: int, like: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Random phases `[B, H+1, 1]` (radians, 0 for the first) and noise `[B, H+1, samples]`."""
        count, device = self.harmonics + 1, generator.device if generator else like.device
        phases = torch.rand(batch, count, 1, generator=generator, device=device)
        phases = (phases * 2 - 1) * math.pi
        phases[:, 0] = 0
        noise = torch.randn(batch, count, frames * self.hop, generator=generator, device=device)
        return phases.to(like), noise.to(like)

    def advance(self, f0: Tensor, start: Tensor | None = None) -> Tensor:
        """Cycles of the fundamental, `[B, T + 1]` float64: before each frame and after the last.

        `start [B]` continues an earlier piece. Double precision, as long sums lose the phase.
        """
        steps = f0.double() * (self.hop / self.rate)
        before = torch.zeros_like(steps[:, :1]) if start is None else start.double()[:, None]
        return torch.cat([before, before + steps.cumsum(1)], 1)

    def forward(
        self, f0: Tensor, phases: Tensor, noise: Tensor, start: Tensor | None = None
    ) -> Tensor:
        """Return the source `[B, 1, T * hop]` of `f0 [B, T]` in Hz.

        `phases [B, H+1, 1]` radians, `noise [B, H+1, T * hop]` standard normal; `start [B]` are
        the cycles already passed when this is a later piece of a longer signal.
        """
        # F0 is constant within a frame, so only the frames' first phases need a running sum.
        multiples = torch.arange(1, self.harmonics + 2, device=f0.device)
        cycles = self.advance(f0, start)[:, None, :-1] * multiples[:, None]
        inside = torch.arange(1, self.hop + 1, device=f0.device, dtype=f0.dtype) / self.rate
        angle = f0[:, None, :, None] * multiples[:, None, None].to(f0) * inside
        angle = (cycles.remainder(1.0).to(f0)[..., None] + angle).flatten(2)
        voiced = (f0 > self.threshold).to(f0)[:, None]
        # Multiples above half the sample rate would fold back as false tones (ours).
        heard = f0[:, None] * multiples[:, None].to(f0) < self.rate / 2
        amplitude = (heard * voiced).to(f0) * self.alpha
        sines = torch.sin(angle * (2 * math.pi) + phases) * amplitude.repeat_interleave(self.hop, 2)
        voiced = voiced.repeat_interleave(self.hop, 2)
        level = voiced * self.sigma + (1 - voiced) * (self.alpha / 3)
        mixed = self.l_linear((sines + level * noise).transpose(1, 2))
        return torch.tanh(mixed).transpose(1, 2)
