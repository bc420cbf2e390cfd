"""Log-mel spectrograms of the kind that neural vocoders are trained on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class MelConfig:
    """Settings of a mel spectrogram; the defaults are those of the reference's speech decoder.

    `rate` in Hz; `n_fft`, `hop`, `win` in samples; `fmin`, `fmax` in Hz (`None`: half the rate).
    """

    rate: int = 22050
    n_fft: int = 1024
    hop: int = 256
    win: int = 1024
    n_mels: int = 80
    fmin: float = 0.0
    fmax: float | None = 8000.0

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.rate / self.hop


class MelSpectrogram(nn.Module):
    """Waves `[B, n]` to natural-log mel `[B, n_mels, n // hop]` (HiFi-GAN's recipe).

    Reflection padding of `(n_fft - hop) / 2` on both sides, Hann window, magnitude, slaney mel
    filters, clamped at 1e-5 before the logarithm. Inputs shorter than one hop are padded with
    zeros to one hop, so there is always at least one frame.
    """

    filters: Tensor
    window: Tensor

    def __init__(self, config: MelConfig | None = None):
        super().__init__()
        from transformers.audio_utils import mel_filter_bank

        self.config = c = config or MelConfig()
        filters = mel_filter_bank(
            num_frequency_bins=c.n_fft // 2 + 1,
            num_mel_filters=c.n_mels,
            min_frequency=c.fmin,
            max_frequency=c.fmax if c.fmax is not None else c.rate / 2,
            sampling_rate=c.rate,
            norm="slaney",
            mel_scale="slaney",
        )
        self.register_buffer("filters", torch.from_numpy(filters.T.copy()).float(), False)
        self.register_buffer("window", torch.hann_window(c.win), False)

    def forward(self, waves: Tensor) -> Tensor:
        """Return log-mel `[B, n_mels, max(1, n // hop)]` of `waves [B, n]` (values about ±1)."""
        c = self.config
        if waves.shape[-1] < c.hop:
            waves = functional.pad(waves, (0, c.hop - waves.shape[-1]))
        padded = reflect_pad(waves, (c.n_fft - c.hop) // 2)
        spectrum = torch.stft(
            padded, c.n_fft, c.hop, c.win, self.window, center=False, return_complex=True
        )
        magnitude = (spectrum.real.square() + spectrum.imag.square() + 1e-9).sqrt()
        return (self.filters @ magnitude).clamp(min=1e-5).log()


def reflect_pad(waves: Tensor, pad: int) -> Tensor:
    """Mirror `waves [..., n]` by `pad` samples on both sides, as often as a short wave needs."""
    n = waves.shape[-1]
    if n > pad:
        return functional.pad(waves[:, None], (pad, pad), mode="reflect")[:, 0]
    index = torch.arange(-pad, n + pad, device=waves.device)
    period = max(2 * (n - 1), 1)
    index = index.remainder(period)
    return waves[..., torch.minimum(index, (period - index).clamp(max=n - 1)).clamp(max=n - 1)]
