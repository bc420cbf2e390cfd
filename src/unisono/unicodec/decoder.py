"""One decoder for all three streams [Disen-TF-Codec]."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unisono.unicodec.config import UniCodecConfig
from unisono.unicodec.layers import InstanceNorm, Recurrent, SpectralDeconv, TemporalBlock
from unisono.unicodec.source import Pitch, PitchPredictor
from unisono.unicodec.state import StreamState


class FusionDecoder(nn.Module):
    """S and P joined frame by frame, G as scale and bias at three points, then the spectrum.

    The points are the input, before the GRU and after it; an instance norm goes before each.
    With a source [ours] five planes come out instead of two: beside the spectrum itself the
    complex filter of the pulses and the level of the noise; and the pitch is told.
    """

    def __init__(self, config: UniCodecConfig) -> None:
        super().__init__()
        sizes, streams = config.decoder, config.streams
        self.fold = config.fold
        bins = [config.bins]
        for stride in sizes.strides:
            bins.append(-(-bins[-1] // stride))
        self.shape = sizes.channels[-1], bins[-1]
        width = self.width = self.shape[0] * self.shape[1]
        local = streams["semantic"].book.dim + streams["residual"].book.dim
        self.inward = nn.Linear(local, width * config.fold)
        given = streams["global"].book.dim
        self.voices = nn.ModuleList(GlobalScale(width, given, config) for _ in range(3))

        def blocks() -> nn.ModuleList:
            hidden = sizes.hidden
            return nn.ModuleList(
                TemporalBlock(
                    width, hidden, 2 ** (n % 4), config.causal,
                    (nn.BatchNorm1d(hidden), nn.BatchNorm1d(hidden)),
                )
                for n in range(sizes.blocks)
            )  # fmt: skip

        self.before, self.after = blocks(), blocks()
        self.recurrent = Recurrent(width)
        self.pitch = PitchPredictor(width, given, config) if sizes.source else None
        widths = [5 if sizes.source else 2, *sizes.channels]
        self.deconvs = nn.ModuleList(
            SpectralDeconv(widths[n + 1], widths[n], sizes.strides[n], bins[n], last=n == 0)
            for n in reversed(range(len(sizes.channels)))
        )

    def forward(
        self,
        glob: Tensor,
        semantic: Tensor,
        residual: Tensor,
        state: StreamState | None = None,
        tell_pitch: bool = True,
    ) -> tuple[Tensor, Pitch | None]:
        """G `[B, dg]`, S `[B, T, ds]`, P `[B, T, dp]` → planes `[B, 2|5, T * fold, F]`, pitch.

        tell_pitch: False where nobody needs to be told, which saves the time.
        """
        x = self.inward(torch.cat([semantic, residual], dim=-1))
        x = x.unflatten(-1, (self.fold, self.width)).flatten(1, 2).transpose(1, 2)
        pitch = None
        if self.pitch is not None and tell_pitch:
            pitch = self.pitch(x, glob, state)
        x = self.voices[0](x, glob, state)
        for block in self.before:
            x = block(x, state)
        x = self.recurrent(self.voices[1](x, glob, state), state)
        x = self.voices[2](x, glob, state)
        for block in self.after:
            x = block(x, state)
        x = x.unflatten(1, self.shape[::-1]).permute(0, 2, 3, 1)
        for deconv in self.deconvs:
            x = deconv(x, state)
        return x, pitch


class GlobalScale(nn.Module):
    """Instance norm, then scale and bias from G's vector [Disen-TF-Codec]."""

    def __init__(self, width: int, given: int, config: UniCodecConfig) -> None:
        super().__init__()
        self.norm = InstanceNorm(width, config.causal, config.prior, affine=False)
        self.project = nn.Linear(given, 2 * width)
        nn.init.zeros_(self.project.bias)

    def forward(self, x: Tensor, glob: Tensor, state: StreamState | None = None) -> Tensor:
        """`x [B, width, T]`, `glob [B, given]` → `[B, width, T]`."""
        scale, offset = self.project(glob).unsqueeze(-1).chunk(2, dim=1)
        return self.norm(x, state) * (1 + scale) + offset
