"""HiFT vocoder: mel to wave by a harmonic source and a filter network that ends in an STFT."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from unisono.errors import ConfigError
from unisono.synthesis.source import F0Predictor, HarmonicSource
from unisono.synthesis.state import fold_weight_norm, load_exactly


@dataclass(frozen=True)
class HiFTConfig:
    """Sizes of a HiFT vocoder, with the reference's argument names and typical values.

    Ours: `phase_activation` "sin" as in the reference, or "none" (the phase is unbounded);
    `source_filter` mixes into the network's spectrum the source's own, with a complex gain for each
    bin, so that harmonics need not be drawn anew [after DDSP, arXiv 2001.04643].
    """

    in_channels: int = 80
    base_channels: int = 512
    nb_harmonics: int = 8
    sampling_rate: int = 22050
    nsf_alpha: float = 0.1
    nsf_sigma: float = 0.003
    nsf_voiced_threshold: float = 10
    upsample_rates: tuple[int, ...] = (8, 8)
    upsample_kernel_sizes: tuple[int, ...] = (16, 16)
    istft_params: Mapping[str, int] = field(default_factory=lambda: {"n_fft": 16, "hop_len": 4})
    resblock_kernel_sizes: tuple[int, ...] = (3, 7, 11)
    resblock_dilation_sizes: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    source_resblock_kernel_sizes: tuple[int, ...] = (7, 11)
    source_resblock_dilation_sizes: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5))
    lrelu_slope: float = 0.1
    audio_limit: float = 0.99
    f0_predictor: Mapping[str, int] = field(
        default_factory=lambda: {"num_class": 1, "in_channels": 80, "cond_channels": 512}
    )
    phase_activation: str = "sin"
    source_filter: bool = False

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> HiFTConfig:
        """Build from a plain dict; unknown keys and sizes that do not fit are `ConfigError`s."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ConfigError(f"The vocoder config has unknown keys: {', '.join(unknown)}.")
        config = cls(**{k: _tuples(v) for k, v in values.items()})
        per_level = (
            config.upsample_rates,
            config.upsample_kernel_sizes,
            config.source_resblock_kernel_sizes,
            config.source_resblock_dilation_sizes,
        )
        if len({len(values) for values in per_level}) > 1:
            raise ConfigError(
                "The vocoder config's upsample_rates, upsample_kernel_sizes and source_resblock "
                "lists must have one entry per level; make them equally long."
            )
        if len(config.resblock_kernel_sizes) != len(config.resblock_dilation_sizes):
            raise ConfigError(
                "The vocoder config's resblock kernel and dilation lists differ in length."
            )
        pairs = zip(config.upsample_rates, config.upsample_kernel_sizes, strict=True)
        if any(kernel < rate or (kernel - rate) % 2 for rate, kernel in pairs):
            raise ConfigError(
                "Each of the vocoder's upsample_kernel_sizes must exceed its upsample rate by an "
                "even number."
            )
        if config.phase_activation not in ("sin", "none"):
            raise ConfigError(
                f"The vocoder's phase_activation is {config.phase_activation!r}; "
                "it must be 'sin' or 'none'."
            )
        return config

    @property
    def hop(self) -> int:
        """Samples per mel frame."""
        return math.prod(self.upsample_rates) * self.istft_params["hop_len"]


class HiFTVocoder(nn.Module):
    """Mel `[B, mels, T]` to wave `[B, T * hop]` and source `[B, 1, T * hop]`.

    Tensor names are the reference's; its weight norm is folded into plain weights at loading.
    """

    window: Tensor

    def __init__(self, config: HiFTConfig):
        super().__init__()
        self.config = c = config
        n_fft, channels = c.istft_params["n_fft"], c.base_channels
        self.f0_predictor = F0Predictor(**c.f0_predictor)
        self.source = HarmonicSource(
            c.sampling_rate, c.hop, c.nb_harmonics, c.nsf_alpha, c.nsf_sigma,
            c.nsf_voiced_threshold,
        )  # fmt: skip
        self.pre_conv = nn.Conv1d(c.in_channels, channels, 7, padding=3)
        self.ups, self.source_downs = nn.ModuleList(), nn.ModuleList()
        self.source_resblocks, self.resblocks = nn.ModuleList(), nn.ModuleList()
        for i, (rate, kernel) in enumerate(
            zip(c.upsample_rates, c.upsample_kernel_sizes, strict=True)
        ):
            width = channels // 2 ** (i + 1)
            self.ups.append(
                nn.ConvTranspose1d(width * 2, width, kernel, rate, padding=(kernel - rate) // 2)
            )
            below = math.prod(c.upsample_rates[i + 1 :])
            down = (
                nn.Conv1d(n_fft + 2, width, 1)
                if below == 1
                else nn.Conv1d(n_fft + 2, width, 2 * below, below, padding=below // 2)
            )
            self.source_downs.append(down)
            self.source_resblocks.append(
                SnakeBlock(
                    width, c.source_resblock_kernel_sizes[i], c.source_resblock_dilation_sizes[i]
                )
            )
            for size, dilations in zip(
                c.resblock_kernel_sizes, c.resblock_dilation_sizes, strict=True
            ):
                self.resblocks.append(SnakeBlock(width, size, dilations))
        self.post_conv = nn.Conv1d(width, n_fft + 2, 7, padding=3)
        self.register_buffer("window", torch.hann_window(n_fft), False)
        self.apply(_initialise)
        if c.source_filter:
            self.gain_conv = nn.Conv1d(width, n_fft + 2, 7, padding=3)
            nn.init.zeros_(self.gain_conv.weight)
            # Gains of 1 + 0i: from 0 training finds noise first and stays there.
            gains = torch.cat([torch.ones(n_fft // 2 + 1), torch.zeros(n_fft // 2 + 1)])
            cast(Tensor, self.gain_conv.bias).data.copy_(gains)

    @classmethod
    def from_reference(cls, config: Mapping[str, Any]) -> HiFTVocoder:
        """Build from the reference's constructor arguments as a plain dict."""
        return cls(HiFTConfig.from_dict(config))

    def load_reference_state(self, state: Mapping[str, Tensor]) -> None:
        """Load the reference's tensors (weight norm in either stored form, or folded)."""
        plain = {
            k.replace("m_source.", "source.", 1) if k.startswith("m_source.") else k: v
            for k, v in fold_weight_norm(state).items()
        }
        load_exactly(self, plain, "vocoder", ignore=("stft_window",))

    @property
    def hop(self) -> int:
        """Samples per mel frame."""
        return self.config.hop

    def f0(self, mel: Tensor) -> Tensor:
        """Fundamental frequency `[B, T]` in Hz that the vocoder reads from `mel [B, mels, T]`."""
        return self.f0_predictor(mel)

    def forward(
        self,
        mel: Tensor,
        phases: Tensor | None = None,
        noise: Tensor | None = None,
        f0: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return wave `[B, T * hop]` and source `[B, 1, T * hop]` of `mel [B, mels, T]`.

        `phases [B, H+1, 1]` and `noise [B, H+1, T * hop]` are drawn from `generator` when not
        given; `f0 [B, T]` in Hz replaces the predicted one (for training).
        """
        f0 = self.f0(mel) if f0 is None else f0
        if phases is None or noise is None:
            drawn = self.source.draw(mel.shape[0], mel.shape[2], mel, generator)
            phases = drawn[0] if phases is None else phases
            noise = drawn[1] if noise is None else noise
        source = self.source(f0, phases, noise)
        return self.filter(mel, source), source

    def filter(self, mel: Tensor, source: Tensor) -> Tensor:
        """Wave `[B, T * hop]` of `mel [B, mels, T]` driven by `source [B, 1, T * hop]`."""
        c, stft = self.config, self._spectrum(source[:, 0])
        kinds, last = len(c.resblock_kernel_sizes), len(self.ups) - 1
        x = self.pre_conv(mel)
        for i, up in enumerate(self.ups):
            x = up(functional.leaky_relu(x, c.lrelu_slope))
            if i == last:
                x = functional.pad(x, (1, 0), mode="reflect")
            x = x + self.source_resblocks[i](self.source_downs[i](stft))
            blocks = self.resblocks[i * kinds : (i + 1) * kinds]
            x = torch.stack([block(x) for block in blocks]).mean(0)
        x = functional.leaky_relu(x, 0.01)
        magnitude, phase = self.post_conv(x).chunk(2, 1)
        phase = phase.sin() if c.phase_activation == "sin" else phase
        magnitude = magnitude.exp().clamp(max=100.0)
        spectrum = torch.polar(magnitude, phase)
        if c.source_filter:
            # Harmonics of usual level have about magnitude one then, as what they are added to.
            level = c.nsf_alpha * c.istft_params["n_fft"] / 8
            spectrum = spectrum + magnitude / level * _complex(self.gain_conv(x)) * _complex(stft)
        return self._wave(spectrum)

    def _spectrum(self, source: Tensor) -> Tensor:
        """STFT of `source [B, n]`, real over imaginary: `[B, n_fft + 2, n / hop_len + 1]`."""
        n_fft, hop = self.config.istft_params["n_fft"], self.config.istft_params["hop_len"]
        spectrum = torch.stft(source, n_fft, hop, n_fft, self.window, return_complex=True)
        return torch.cat([spectrum.real, spectrum.imag], 1)

    def _wave(self, spectrum: Tensor) -> Tensor:
        """Inverse STFT of a complex spectrum `[B, n_fft / 2 + 1, frames]`."""
        n_fft, hop = self.config.istft_params["n_fft"], self.config.istft_params["hop_len"]
        wave = torch.istft(spectrum, n_fft, hop, n_fft, self.window)
        return wave.clamp(-self.config.audio_limit, self.config.audio_limit)


class Snake(nn.Module):
    """Periodic activation x + sin²(αx) / α with one α per channel (BigVGAN, arXiv 2206.04658)."""

    def __init__(self, channels: int):
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Apply to `x [B, C, T]`."""
        alpha = self.alpha[:, None]
        wave = torch.sin(x * alpha)
        return torch.addcmul(x, wave, wave / (alpha + 1e-9))


class SnakeBlock(nn.Module):
    """Residual pairs of convolutions, the first of each pair dilated, Snake before each."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]):
        super().__init__()
        self.conv1 = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, dilation=d, padding=d * (kernel - 1) // 2)
            for d in dilations
        )
        self.conv2 = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, padding=(kernel - 1) // 2) for _ in dilations
        )
        self.activations1 = nn.ModuleList(Snake(channels) for _ in dilations)
        self.activations2 = nn.ModuleList(Snake(channels) for _ in dilations)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, T]` to `[B, C, T]`."""
        for act1, conv1, act2, conv2 in zip(
            self.activations1, self.conv1, self.activations2, self.conv2, strict=True
        ):
            x = x + conv2(act2(conv1(act1(x))))
        return x


def _complex(x: Tensor) -> Tensor:
    """Real over imaginary parts `[B, 2 × bins, frames]` as one complex tensor."""
    return torch.complex(*x.chunk(2, 1))


def _initialise(module: nn.Module) -> None:
    # HiFi-GAN's start: small normal weights, so that early magnitudes stay near one.
    if isinstance(module, SnakeBlock):
        for conv in (*module.conv1, *module.conv2):
            nn.init.normal_(conv.weight, 0.0, 0.01)
    elif isinstance(module, nn.ConvTranspose1d):
        nn.init.normal_(module.weight, 0.0, 0.01)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, (list, tuple)) else value
