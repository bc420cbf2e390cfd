"""Layers of UniCodec that mix frames: each knows its past, through padding or a stream's state.

Shapes are `[B, C, T]`, over spectra `[B, C, T, F]`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unisono.unicodec.state import StreamState

_EPS = 1e-5


class InstanceNorm(nn.Module):
    """Mean 0 and variance 1 of each channel over time (and frequency): what lasts goes.

    Causal: over the time so far, where learnt starting values count for `prior` frames [ours];
    otherwise over the whole item. `affine`: a learnt scale and offset follow.
    """

    def __init__(self, channels: int, causal: bool, prior: float, affine: bool = True) -> None:
        super().__init__()
        self.causal, self.prior = causal, prior
        if causal:
            self.mean = nn.Parameter(torch.zeros(channels))
            self.log_square = nn.Parameter(torch.zeros(channels))
        self.scale = nn.Parameter(torch.ones(channels)) if affine else None
        self.offset = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        """`x [B, C, T]` or `[B, C, T, F]`, normalised."""
        flat = x if x.dim() == 3 else x.mean(-1)
        square = x.square() if x.dim() == 3 else x.square().mean(-1)
        moments = torch.stack([flat, square], dim=1)
        moments = self._so_far(moments, state) if self.causal else moments.mean(-1, keepdim=True)
        mean = moments[:, 0]
        rest = (moments[:, 1] - mean.square()).clamp(min=0) + _EPS
        scale = rest.rsqrt()
        offset = -mean * scale
        if self.scale is not None and self.offset is not None:
            scale, offset = scale * self.scale[:, None], offset * self.scale[:, None]
            offset = offset + self.offset[:, None]
        if x.dim() == 4:
            scale, offset = scale.unsqueeze(-1), offset.unsqueeze(-1)
        return x * scale + offset

    def _so_far(self, moments: Tensor, state: StreamState | None) -> Tensor:
        """Means `[B, 2, C, T]` over all frames up to each, starting values among them."""
        start = torch.stack([self.mean, self.mean.square() + self.log_square.exp()])
        total = (start * self.prior).double()[None, ..., None].expand(len(moments), -1, -1, 1)
        count = moments.new_full((1,), self.prior, dtype=torch.float64)
        if state is not None:
            total, count = state.get(self, "total", total), state.get(self, "count", count)
        sums = total + moments.double().cumsum(-1)
        steps = torch.arange(1, moments.shape[-1] + 1, device=moments.device)
        counts = count + steps
        if state is not None:
            state.put(self, "total", sums[..., -1:])
            state.put(self, "count", counts[-1:])
        return (sums / counts).to(moments.dtype)


class SpectralConv(nn.Module):
    """Convolution over 2 frames and 5 frequencies, strided over frequencies; norm and PReLU."""

    def __init__(self, inward: int, outward: int, stride: int, norm: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inward, outward, (2, 5), (1, stride), (0, 2))
        self.norm = norm
        self.activation = nn.PReLU(outward)

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        """`x [B, C, T, F]` → `[B, outward, T, ceil(F / stride)]`."""
        x = self.conv(_with_past(self, x, 1, state))
        x = self.norm(x, state) if isinstance(self.norm, InstanceNorm) else self.norm(x)
        return self.activation(x)


class SpectralDeconv(nn.Module):
    """The transposed counterpart of `SpectralConv`: frequencies multiply by `stride`.

    Without `last`, batch norm and PReLU follow.
    """

    def __init__(self, inward: int, outward: int, stride: int, bins: int, last: bool) -> None:
        super().__init__()
        self.bins = bins
        self.conv = nn.ConvTranspose2d(inward, outward, (2, 5), (1, stride))
        self.norm = nn.Identity() if last else nn.BatchNorm2d(outward)
        self.activation = nn.Identity() if last else nn.PReLU(outward)

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        """`x [B, C, T, F]` → `[B, outward, T, bins]`."""
        made = self.conv(_with_past(self, x, 1, state))
        # Two taps in time: the first frame out belongs to the past, the last one to the future.
        first = min(2, made.shape[3] - self.bins)
        made = made[:, :, 1:-1, first : first + self.bins]
        return self.activation(self.norm(made))


class TemporalBlock(nn.Module):
    """Residual block [TF-Codec]: wider, dilated depthwise convolution, narrower again."""

    def __init__(
        self, width: int, hidden: int, dilation: int, causal: bool, norms: tuple[nn.Module, ...]
    ) -> None:
        super().__init__()
        self.past = 2 * dilation if causal else dilation
        self.future = 0 if causal else dilation
        self.widen = nn.Conv1d(width, hidden, 1)
        self.mix = DilatedTaps(hidden, dilation)
        self.narrow = nn.Conv1d(hidden, width, 1)
        self.norms = nn.ModuleList(norms)
        self.activations = nn.ModuleList(nn.PReLU(hidden) for _ in range(2))

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        """`x [B, width, T]` → the same shape."""
        inner = self._settle(self.widen(x), 0, state)
        inner = F.pad(_with_past(self, inner, self.past, state), (0, self.future))
        inner = self._settle(self.mix(inner), 1, state)
        return x + self.narrow(inner)

    def _settle(self, x: Tensor, number: int, state: StreamState | None) -> Tensor:
        norm = self.norms[number]
        x = norm(x, state) if isinstance(norm, InstanceNorm) else norm(x)
        return self.activations[number](x)


class DilatedTaps(nn.Module):
    """Depthwise convolution of kernel 3 as three shifted products: far faster than `Conv1d`'s."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.taps = nn.Parameter(torch.empty(3, channels, 1).uniform_(-1, 1) / 3**0.5)
        self.bias = nn.Parameter(torch.zeros(channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """`x [B, C, T + 2 * dilation]` → `[B, C, T]`."""
        d, length = self.dilation, x.shape[2] - 2 * self.dilation
        made = torch.addcmul(self.bias, self.taps[0], x[:, :, :length])
        made = torch.addcmul(made, self.taps[1], x[:, :, d : d + length])
        return torch.addcmul(made, self.taps[2], x[:, :, 2 * d :])


class Recurrent(nn.Module):
    """GRU over frames, added to its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gru = nn.GRU(width, width, batch_first=True)

    def forward(self, x: Tensor, state: StreamState | None = None) -> Tensor:
        """`x [B, width, T]` → the same shape."""
        before = None if state is None else state.find(self, "hidden")
        made, after = self.gru(x.transpose(1, 2), before)
        if state is not None:
            state.put(self, "hidden", after)
        return x + made.transpose(1, 2)


def _with_past(layer: nn.Module, x: Tensor, past: int, state: StreamState | None) -> Tensor:
    """`x` with the `past` frames (dimension 2) before it: the stream's, or zeros."""
    before = x.new_zeros(*x.shape[:2], past, *x.shape[3:])
    if state is None:
        return torch.cat([before, x], dim=2)
    x = torch.cat([state.get(layer, "past", before), x], dim=2)
    state.put(layer, "past", x[:, :, x.shape[2] - past :])
    return x
