"""The three encoders: global G, local semantic S, local residual P."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from unisono.quantize.gumbel import GumbelQuantizer
from unisono.unicodec.attention import Transformer
from unisono.unicodec.config import StreamConfig, UniCodecConfig
from unisono.unicodec.layers import InstanceNorm, Recurrent, SpectralConv, TemporalBlock
from unisono.unicodec.pitch import PitchQuantizer, PitchTracker
from unisono.unicodec.source import Pitch
from unisono.unicodec.state import StreamState


class FrameEncoder(nn.Module):
    """Convolutions over the spectrum, temporal blocks, a GRU [TF-Codec].

    `instance`: instance norms take out what lasts [Disen-TF-Codec]; otherwise batch norms.
    """

    def __init__(self, config: UniCodecConfig, stream: StreamConfig, instance: bool) -> None:
        super().__init__()
        causal, prior = config.causal, config.prior

        def norm(channels: int, kind: Callable[[int], nn.Module]) -> nn.Module:
            return InstanceNorm(channels, causal, prior) if instance else kind(channels)

        widths = (2, *stream.channels)
        self.convs = nn.ModuleList(
            SpectralConv(a, b, stride, norm(b, nn.BatchNorm2d))
            for a, b, stride in zip(widths, widths[1:], stream.strides, strict=False)
        )
        self.width = stream.width(config.bins)
        hidden = stream.hidden
        self.blocks = nn.ModuleList(
            TemporalBlock(
                self.width, hidden, 2 ** (n % 4), causal,
                (norm(hidden, nn.BatchNorm1d), norm(hidden, nn.BatchNorm1d)),
            )
            for n in range(stream.blocks)
        )  # fmt: skip
        self.recurrent = Recurrent(self.width) if stream.recurrent else None

    def forward(self, spectrum: Tensor, state: StreamState | None = None) -> Tensor:
        """`spectrum [B, 2, T, F]` → `[B, width, T]`."""
        x = self.spectral(spectrum, state)
        return self.temporal(x, state)

    def spectral(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        """The convolutions alone: `[B, 2, T, F]` → `[B, width, T]`."""
        for conv in self.convs:
            x = conv(x, state)
        return x.transpose(2, 3).flatten(1, 2)

    def temporal(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        """What follows them: `[B, width, T]` → the same."""
        for block in self.blocks:
            x = block(x, state)
        return x if self.recurrent is None else self.recurrent(x, state)


class GlobalEncoder(nn.Module):
    """G: batch norms keep what lasts; the mean over the item is quantized [TiCodec, TF-Codec]."""

    def __init__(self, config: UniCodecConfig) -> None:
        super().__init__()
        stream = config.global_stream
        self.frames = FrameEncoder(config, stream, instance=False)
        self.project = nn.Sequential(
            nn.Linear(self.frames.width, stream.hidden),
            nn.PReLU(),
            nn.Linear(stream.hidden, stream.book.dim),
        )
        self.spread = Spread(stream.book.dim)
        self.quantizer = GumbelQuantizer(stream.book.dim, stream.book.groups, stream.book.codes)

    def forward(
        self, spectrum: Tensor, lengths: Tensor | None = None, state: StreamState | None = None
    ) -> Tensor:
        """`spectrum [B, 2, T, F]` → vectors `[B, dim]` before quantization.

        lengths: real frames `[B]` of each item; None: all. With a state, frames of earlier pieces
        count too.
        """
        x = self.frames(spectrum, state).transpose(1, 2)
        if lengths is None:
            lengths = torch.full((len(x),), x.shape[1], device=x.device)
        real = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
        total = (x * real[..., None]).double().sum(1)
        count = lengths.double()[:, None]
        if state is not None:
            total = total + state.get(self, "total", torch.zeros_like(total))
            count = count + state.get(self, "count", torch.zeros_like(count))
            state.put(self, "total", total)
            state.put(self, "count", count)
        return self.spread(self.project((total / count.clamp(min=1)).to(x.dtype)))


class SemanticEncoder(nn.Module):
    """S: instance norms, fold, Transformer [semantic TF-Codec]."""

    def __init__(self, config: UniCodecConfig) -> None:
        super().__init__()
        stream, width = config.semantic_stream, config.transformer.width
        self.fold = config.fold
        self.frames = FrameEncoder(config, stream, instance=True)
        self.inward = nn.Linear(self.frames.width * config.fold, width)
        self.transformer = Transformer(config.transformer, config.causal)
        self.outward = nn.Linear(width, stream.book.dim)
        self.spread = Spread(stream.book.dim)
        self.quantizer = GumbelQuantizer(stream.book.dim, stream.book.groups, stream.book.codes)

    def forward(self, spectrum: Tensor, state: StreamState | None = None) -> Tensor:
        """`spectrum [B, 2, T, F]`, T whole folds → vectors `[B, T / fold, dim]`."""
        x = folded(self.frames(spectrum, state), self.fold)
        return self.spread(self.outward(self.transformer(self.inward(x), state)))


class ResidualEncoder(nn.Module):
    """P: local features without what S tells of them [ours].

    The third encoder's features are folded, the projection of the quantized S (gradient stopped)
    is subtracted, and what remains is quantized. Its norms are instance norms too, so that what
    lasts, the voice, is left to G: with batch norms P told the speaker as well as G did. With
    `config.pitch` the first group is the pitch's, see `unicodec.pitch`.
    """

    def __init__(self, config: UniCodecConfig) -> None:
        super().__init__()
        stream = config.residual_stream
        self.fold = config.fold
        self.frames = FrameEncoder(config, stream, instance=True)
        dim = stream.book.dim
        self.inward = nn.Linear(self.frames.width * config.fold, dim)
        self.known = nn.Linear(config.semantic_stream.book.dim, dim)
        self.activation = nn.PReLU()
        groups, codes = stream.book.groups, stream.book.codes
        self.tracker: PitchTracker | None = None
        self.quantizer: GumbelQuantizer | PitchQuantizer
        if config.pitch:
            self.quantizer = PitchQuantizer(dim, groups, codes, config.fold)
            self.tracker = PitchTracker(config, self.quantizer.book.levels)
            dim = self.quantizer.learnt.dim
        else:
            self.quantizer = GumbelQuantizer(dim, groups, codes)
        self.outward = nn.Linear(self.inward.out_features, dim)
        self.spread = Spread(dim)

    def forward(
        self,
        spectrum: Tensor,
        semantic: Tensor,
        state: StreamState | None = None,
        pitch: Pitch | None = None,
    ) -> Tensor:
        """`spectrum [B, 2, T, F]`, quantized S `[B, T / fold, d]` → `[B, T / fold, dim]`.

        pitch: told instead of the one that is tracked, where the first group tells it.
        """
        x = self.inward(folded(self.frames(spectrum, state), self.fold))
        x = self.spread(self.outward(self.activation(x - self.known(semantic.detach()))))
        if not isinstance(self.quantizer, PitchQuantizer):
            return x
        book = self.quantizer.book
        if pitch is None:
            pitch = self.tracked(spectrum, state)
        return torch.cat([book.codebook[book.codes(pitch)].to(x.dtype), x], dim=-1)

    def tracked(self, spectrum: Tensor, state: StreamState | None = None) -> Pitch:
        """The pitch of a spectrum `[B, 2, T, F]` at each of its frames, `[B, T]`."""
        assert self.tracker is not None and isinstance(self.quantizer, PitchQuantizer)
        levels, voice = self.tracker(spectrum.square().sum(1).sqrt(), state)
        return Pitch(self.quantizer.book.octaves(levels.argmax(-1)), (voice > 0).to(levels.dtype))


class Spread(nn.Module):
    """Mean 0 and variance 1 of each number over what there is, before it is quantized (ours).

    Codebooks start around 0; vectors that all lie elsewhere would share one code for ever.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(dim, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """`x [..., dim]`, normalised by the batch while training, else by running averages."""
        return self.norm(x.reshape(-1, x.shape[-1])).reshape(x.shape)


def folded(x: Tensor, fold: int) -> Tensor:
    """`[B, C, T]` → `[B, T / fold, C * fold]`: so many frames in a row as one."""
    return x.transpose(1, 2).unflatten(1, (-1, fold)).flatten(2)
