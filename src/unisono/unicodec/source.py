"""What UniCodec's decoder filters: pulses at the pitch, and noise.

Ours, after neural source-filter models [arXiv 1904.12088] and DDSP [arXiv 2001.04643]: phases that
go on from frame to frame need not be learnt, and the voice of G sets the register of the pitch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unisono.unicodec.config import UniCodecConfig
from unisono.unicodec.layers import TemporalBlock
from unisono.unicodec.state import StreamState

_LOWEST, _HIGHEST = 40.0, 800.0
TYPICAL = 7.2
"""log2 of 147 Hz, between the voices of women and men: where training starts."""
_NOISE_SAMPLES = 1 << 16
_LEVEL = 1 / 16
"""Brings a frame's spectrum of noise to about 1."""


@dataclass(frozen=True)
class Pitch:
    """At each spectrum frame: octaves `[B, T]`, log2 of F0 in Hz, also where there is no voice;
    and voiced `[B, T]`, 0 to 1 (as logits while it is being predicted: `logits`)."""

    octaves: Tensor
    voiced: Tensor
    logits: Tensor | None = None

    def first(self, frames: int) -> Pitch:
        """Its first frames."""
        logits = None if self.logits is None else self.logits[:, :frames]
        return Pitch(self.octaves[:, :frames], self.voiced[:, :frames], logits)

    def extended(self, frames: int) -> Pitch:
        """Its last value for so many frames more."""
        octaves, voiced = (
            F.pad(x[:, None], (0, frames), mode="replicate")[:, 0]
            for x in (self.octaves, self.voiced)
        )
        return Pitch(octaves, voiced)


class PitchPredictor(nn.Module):
    """Contour from S and P, register from G.

    The contour's own mean over the voiced frames (so far, where the model is causal) is taken out,
    so that how high the voice is can come from G alone. Where P itself says the pitch
    (`config.pitch`) there is no contour: this is for tokens without P, and prosody is P's to tell.
    """

    def __init__(self, width: int, given: int, config: UniCodecConfig) -> None:
        super().__init__()
        hidden = config.decoder.hidden
        self.blocks = nn.ModuleList(
            TemporalBlock(
                width, hidden, dilation, config.causal,
                (nn.BatchNorm1d(hidden), nn.BatchNorm1d(hidden)),
            )
            for dilation in (1, 2)
        )  # fmt: skip
        self.causal, self.prior = config.causal, config.prior
        self.flat = config.pitch
        self.contour = nn.Conv1d(width, 1 if self.flat else 2, 1)
        self.register_of = nn.Linear(given, 1)
        nn.init.constant_(self.register_of.bias, TYPICAL)

    def forward(self, local: Tensor, glob: Tensor, state: StreamState | None = None) -> Pitch:
        """`local [B, width, T]` (S and P at the spectrum's rate), `glob [B, given]` → pitch."""
        for block in self.blocks:
            local = block(local, state)
        *contours, logits = self.contour(local).unbind(1)
        voiced, register = logits.sigmoid(), self.register_of(glob)
        if self.flat:
            return Pitch(register.expand_as(logits), voiced, logits)
        contour = contours[0] - self._mean(contours[0], voiced, state)
        return Pitch(contour + register, voiced, logits)

    def _mean(self, contour: Tensor, voiced: Tensor, state: StreamState | None) -> Tensor:
        """Mean of `contour [B, T]` weighted by `voiced`; 0 counts for a tenth of `prior` frames."""
        sums = torch.stack([contour * voiced, voiced]).double()
        if not self.causal:
            total, weight = sums.sum(-1, keepdim=True)
        else:
            before = torch.zeros_like(sums[..., :1])
            if state is not None:
                before = state.get(self, "sums", before)
            sums = before + sums.cumsum(-1)
            if state is not None:
                state.put(self, "sums", sums[..., -1:])
            total, weight = sums
        return (total / (weight + self.prior / 10)).to(contour.dtype)


class Excitation(nn.Module):
    """Pulses, all harmonics below half the rate in phase, and white noise, both of power 1.

    The noise is always the same, from a table, so that tokens say all there is to decode.
    """

    noise: Tensor

    def __init__(self, config: UniCodecConfig) -> None:
        super().__init__()
        self.rate, self.hop = config.rate, config.hop
        self.hiss = nn.Identity()  # under which a stream's past noise is kept
        self.register_buffer("noise", noise_table(), persistent=False)

    def forward(
        self, pitch: Pitch, state: StreamState | None = None
    ) -> Iterator[tuple[nn.Module, Tensor]]:
        """Pulses and noise `[B, T * hop]`, each with the layer whose stream it is."""
        yield self, self.pulses(pitch, state) * _LEVEL
        batch, count = len(pitch.octaves), pitch.octaves.shape[1] * self.hop
        start = torch.zeros(1, dtype=torch.int64, device=self.noise.device)
        if state is not None:
            start = state.get(self, "samples so far", start)
            state.put(self, "samples so far", start + count)
        places = (start + torch.arange(count, device=start.device)) % len(self.noise)
        yield self.hiss, (self.noise[places] * _LEVEL).expand(batch, -1)

    def pulses(self, pitch: Pitch, state: StreamState | None = None) -> Tensor:
        """Sum of cosines at the multiples of F0, `[B, T * hop]`, where there is voice."""
        f0 = torch.exp2(pitch.octaves.double()).clamp(_LOWEST, _HIGHEST)
        steps = f0 * (self.hop / self.rate)
        before = torch.zeros_like(steps[:, :1])
        if state is not None:
            before = state.get(self, "cycles", before)
        ends = before + steps.cumsum(1)
        if state is not None:
            state.put(self, "cycles", ends[:, -1:].remainder(1.0))
        inside = torch.arange(1, self.hop + 1, device=f0.device, dtype=f0.dtype) / self.hop
        cycles = (ends - steps)[..., None] + steps[..., None] * inside
        angle = ((cycles - cycles.round()) * (2 * math.pi)).to(pitch.octaves.dtype)
        count = (0.49 * self.rate / f0).floor()[..., None].to(angle.dtype)
        # Dirichlet's kernel: the sum in closed form.
        below = 2 * torch.sin(angle / 2)
        near = below.abs() < 1e-3
        total = torch.sin((count + 0.5) * angle) / torch.where(near, 1.0, below) - 0.5
        total = torch.where(near, count, total) * (2 / count).sqrt()
        return (total * pitch.voiced[..., None]).flatten(1)


def noise_table() -> Tensor:
    """The noise, `[65536]`: the same on every machine."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(_NOISE_SAMPLES, generator=generator)
