"""P's first group, where it tells pitch and voicing as they are (ours).

What a learnt code told of the pitch was a tenth of an octave off, and with it every harmonic. So
the encoder finds the pitch itself, as parametric coders do, and one code a frame says it: a level
on a logarithmic scale, and in which of the frame's hops there is voice.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unisono.quantize.gumbel import GumbelQuantizer, Quantized
from unisono.unicodec.config import UniCodecConfig
from unisono.unicodec.layers import SpectralConv, TemporalBlock
from unisono.unicodec.source import TYPICAL, Pitch
from unisono.unicodec.state import StreamState

FLOOR, CEILING = 60.0, 600.0
"""Hz, from the lowest level to the highest."""
_FINER = 2  # values of the autocorrelation for each sample of lag
_CHANNELS = 8
_HIDDEN = 192


class PitchBook(nn.Module):
    """One fixed row a code: whether P is there, octaves, a flag a hop, and waves over the levels.

    Code = pattern * levels + level. Patterns: no voice; voice in the first 1, 2 … hops; in all; in
    the last 1, 2 … hops. Without voice there is no pitch, and all levels are the same row.
    """

    codebook: Tensor
    patterns: Tensor

    def __init__(self, codes: int, dim: int, fold: int) -> None:
        super().__init__()
        self.fold, self.levels = fold, codes // (2 * fold)
        hops = torch.arange(fold)
        patterns = [hops < n for n in range(fold + 1)] + [hops >= n for n in range(1, fold)]
        self.register_buffer("patterns", torch.stack(patterns).float(), persistent=False)
        levels = torch.arange(self.levels)
        scale, octaves = levels / (self.levels - 1), self.octaves(levels) - TYPICAL
        waves = torch.cos(torch.arange(1, dim - fold - 1) * math.pi * scale[:, None])
        rows = torch.zeros(2 * fold, self.levels, dim)
        rows[..., 0] = 1
        rows[1:, :, 1] = octaves
        rows[..., 2 : 2 + fold] = self.patterns[:, None]
        rows[1:, :, 2 + fold :] = waves
        self.register_buffer("codebook", rows.flatten(0, 1))

    def codes(self, pitch: Pitch) -> Tensor:
        """Codes `[B, T]` of a pitch at `T * fold` hops: that of each frame's last voiced hop."""
        voiced = pitch.voiced.unflatten(1, (-1, self.fold))
        apart = (voiced[:, :, None] - self.patterns).abs().sum(-1)
        pattern = apart.argmin(-1)
        last = last_voiced(self.patterns[pattern]).clamp(min=1) - 1
        octaves = pitch.octaves.unflatten(1, (-1, self.fold)).gather(2, last[..., None])[..., 0]
        return self._code(pattern, octaves)

    def codes_of(self, rows: Tensor) -> Tensor:
        """Codes `[...]` of rows `[..., dim]` of this book."""
        flags = rows[..., None, 2 : 2 + self.fold]
        pattern = (flags - self.patterns).abs().sum(-1).argmin(-1)
        return self._code(pattern, rows[..., 1].float() + TYPICAL)

    def _code(self, pattern: Tensor, octaves: Tensor) -> Tensor:
        level = self.place(octaves).round().long()
        return pattern * self.levels + torch.where(pattern > 0, level, 0)

    def place(self, octaves: Tensor) -> Tensor:
        """Where `octaves` (log2 of Hz) lie among the levels, within 0 and the highest."""
        scale = (octaves - math.log2(FLOOR)) / math.log2(CEILING / FLOOR)
        return (scale * (self.levels - 1)).clamp(0, self.levels - 1)

    def octaves(self, place: Tensor) -> Tensor:
        """log2 of the Hz of a `place` among the levels."""
        return math.log2(FLOOR) + place / (self.levels - 1) * math.log2(CEILING / FLOOR)

    def transposed(self, codes: Tensor, octaves: float) -> Tensor:
        """`codes` with the pitch `octaves` higher, as far as there are levels."""
        steps = round(octaves / math.log2(CEILING / FLOOR) * (self.levels - 1))
        pattern, level = codes // self.levels, codes % self.levels
        moved = pattern * self.levels + (level + steps).clamp(0, self.levels - 1)
        return torch.where(pattern > 0, moved, codes)

    def register_of(self, codes: Tensor) -> float | None:
        """The median pitch of `codes`, as log2 of Hz; None where nothing is voiced."""
        level = (codes % self.levels)[codes >= self.levels]
        if not level.numel():
            return None
        return float(self.octaves(level.double().median()))


class PitchQuantizer(nn.Module):
    """The pitch's row as it is, then a grouped quantizer: in all as `GumbelQuantizer`.

    Its bits are those of the learnt groups.
    """

    def __init__(self, dim: int, groups: int, codes: int, fold: int) -> None:
        super().__init__()
        self.groups, self.dim = groups, dim
        self.book = PitchBook(codes, dim // groups, fold)
        self.learnt = GumbelQuantizer(dim - dim // groups, groups - 1, codes)

    def forward(self, x: Tensor, temperature: float | None = None) -> Quantized:
        """See `GumbelQuantizer.forward`; the first numbers of `x` are a row of the book."""
        row, rest = x.split([self._first, self.dim - self._first], dim=-1)
        found = self.learnt(rest, temperature)
        codes = torch.cat([self.book.codes_of(row)[..., None], found.codes], dim=-1)
        return Quantized(torch.cat([row, found.vectors], dim=-1), codes, found.bits)

    def encode(self, x: Tensor) -> Tensor:
        """Codes `[..., groups]` of `x [..., dim]`."""
        row, rest = x.split([self._first, self.dim - self._first], dim=-1)
        return torch.cat([self.book.codes_of(row)[..., None], self.learnt.encode(rest)], dim=-1)

    def lookup(self, codes: Tensor) -> Tensor:
        """Vectors `[..., dim]` of codes `[..., groups]`."""
        row = self.book.codebook[codes[..., 0]]
        return torch.cat([row, self.learnt.lookup(codes[..., 1:])], dim=-1)

    @property
    def _first(self) -> int:
        return self.dim // self.groups


class PitchTracker(nn.Module):
    """Pitch and voicing of compressed spectra: what their autocorrelation says, made certain.

    The inverse transform of the compressed magnitudes, and of their squares, is looked at at the
    lag of each level, so that a voice that is twice as high looks the same, moved; temporal blocks
    then see what came before (and after, where the model is not causal).
    """

    below: Tensor
    share: Tensor

    def __init__(self, config: UniCodecConfig, levels: int) -> None:
        super().__init__()
        self.points = config.window * _FINER
        hertz = FLOOR * (CEILING / FLOOR) ** (torch.arange(levels).double() / (levels - 1))
        lags = config.rate / hertz * _FINER
        self.register_buffer("below", lags.floor().long())
        self.register_buffer("share", (lags - lags.floor()).float())
        widths = (2, _CHANNELS, _CHANNELS)
        self.convs = nn.ModuleList(
            SpectralConv(a, b, 1, nn.BatchNorm2d(b)) for a, b in pairwise(widths)
        )
        self.scores = nn.Conv2d(_CHANNELS, 1, 1)
        self.blocks = nn.ModuleList(
            TemporalBlock(
                levels, _HIDDEN, dilation, config.causal,
                (nn.BatchNorm1d(_HIDDEN), nn.BatchNorm1d(_HIDDEN)),
            )
            for dilation in (1, 2, 4)
        )  # fmt: skip
        self.outward = nn.Conv1d(levels, levels + 1, 1)

    def forward(self, size: Tensor, state: StreamState | None = None) -> tuple[Tensor, Tensor]:
        """Sizes `[B, T, F]` → log-odds of the levels `[B, T, levels]` and of voice `[B, T]`."""
        x = torch.stack([self._correlation(size), self._correlation(size.square())], dim=1)
        for conv in self.convs:
            x = conv(x, state)
        x = scores = self.scores(x)[:, 0].transpose(1, 2)
        for block in self.blocks:
            x = block(x, state)
        made = self.outward(x)
        return (scores + made[:, :-1]).transpose(1, 2), made[:, -1]

    def _correlation(self, power: Tensor) -> Tensor:
        """`[B, T, levels]`, as a share of what lag 0 has."""
        whole = torch.fft.irfft(F.pad(power, (0, 1)), self.points)
        low, high = whole[..., self.below], whole[..., self.below + 1]
        return (low + (high - low) * self.share) / (whole[..., :1] + 1e-9)


def last_voiced(flags: Tensor) -> Tensor:
    """The number, from 1, of the last hop of `flags [..., fold]` that is voiced; 0: none is."""
    hops = torch.arange(1, flags.shape[-1] + 1, device=flags.device)
    return (flags * hops).amax(-1).long()


def pitch_of_rows(
    rows: Tensor, fold: int, owner: nn.Module, state: StreamState | None = None
) -> tuple[Pitch, Tensor]:
    """What rows `[B, T, d]` of a `PitchBook` say at each hop, and whether they do `[B, T * fold]`.

    Where voice goes on from one frame to the next, so does the pitch, in a line; `owner` keeps a
    stream's last frame.
    """
    there, octaves, flags = rows[..., 0], rows[..., 1] + TYPICAL, rows[..., 2 : 2 + fold]
    here = torch.stack([octaves, there * flags[..., -1]], dim=-1)
    before = torch.zeros_like(here[:, :1])
    if state is not None:
        before = state.get(owner, "last pitch", before)
        state.put(owner, "last pitch", here[:, -1:])
    before = torch.cat([before, here[:, :-1]], dim=1)
    goes_on = before[..., 1] * flags[..., 0] > 0.5
    start = torch.where(goes_on, before[..., 0], octaves)[..., None]
    hops = torch.arange(1, fold + 1, device=rows.device)
    share = (hops / last_voiced(flags).clamp(min=1)[..., None]).clamp(max=1).to(rows.dtype)
    line = start + (octaves[..., None] - start) * share
    known = (there > 0.5)[..., None].expand_as(line)
    return Pitch(line.flatten(1), flags.flatten(1)), known.flatten(1)
