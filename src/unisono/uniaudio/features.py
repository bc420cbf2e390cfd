"""Whisper log-mel features of single items, and batches of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers.audio_utils import mel_filter_bank

from unisono.errors import ConfigError


class LogMelFeatures:
    """Log-mel spectrogram as Whisper's feature extractor computes it, without 30 s padding.

    n_mels bands (80 or 128 in Whisper models), windows of n_fft samples every hop samples of
    rate Hz audio. One hop is one mel frame.
    """

    def __init__(
        self, n_mels: int = 80, n_fft: int = 400, hop: int = 160, rate: int = 16_000
    ) -> None:
        if min(n_mels, n_fft, hop, rate) < 1:
            raise ConfigError("log-mel features: every size must be at least 1")
        self.n_mels = n_mels
        self.n_fft = n_fft
        self.hop = hop
        self.rate = rate
        filters = mel_filter_bank(
            num_frequency_bins=1 + n_fft // 2,
            num_mel_filters=n_mels,
            min_frequency=0.0,
            max_frequency=8000.0,  # Whisper's, at any rate
            sampling_rate=rate,
            norm="slaney",
            mel_scale="slaney",
        )
        self._filters = torch.from_numpy(filters).float().T.contiguous()
        self._window = torch.hann_window(n_fft)

    @classmethod
    def from_preprocessor_config(cls, config: Mapping[str, Any]) -> LogMelFeatures:
        """Features that a checkpoint's `preprocessor_config.json` content describes."""
        kind = config.get("feature_extractor_type", "WhisperFeatureExtractor")
        if kind != "WhisperFeatureExtractor":
            raise ConfigError(
                f"preprocessor_config.json: feature extractor {kind!r} is unknown; "
                "only 'WhisperFeatureExtractor' can be read"
            )
        if config.get("dither"):
            raise ConfigError("preprocessor_config.json: dither makes tokens random; set it to 0")
        return cls(
            n_mels=int(config.get("feature_size", 80)),
            n_fft=int(config.get("n_fft", 400)),
            hop=int(config.get("hop_length", 160)),
            rate=int(config.get("sampling_rate", 16_000)),
        )

    def to_preprocessor_config(self) -> dict[str, Any]:
        """The content of a `preprocessor_config.json` that gives these features again."""
        return {
            "feature_extractor_type": "WhisperFeatureExtractor",
            "feature_size": self.n_mels,
            "n_fft": self.n_fft,
            "hop_length": self.hop,
            "sampling_rate": self.rate,
        }

    def __call__(
        self, waves: Sequence[NDArray[np.float32]], multiple: int = 2
    ) -> tuple[Tensor, Tensor]:
        """Features and mask of `waves` (each `[n]` float32 at `rate` Hz, n >= 1).

        Every item is padded with zeros to a multiple of `multiple` frames and transformed alone;
        items are then padded to the longest with 0.0 in the mel domain. Gives
        `input_features [B, n_mels, T]` float32 and `attention_mask [B, T]` int64, 1 where a frame
        starts within the item: ceil(n / hop) ones.
        """
        assert len(waves) > 0 and multiple * self.hop > self.n_fft // 2
        items = [self._one(np.asarray(wave, dtype=np.float32), multiple) for wave in waves]
        frames = max(item.shape[-1] for item in items)
        features = torch.zeros(len(items), self.n_mels, frames)
        mask = torch.zeros(len(items), frames, dtype=torch.int64)
        for row, (item, wave) in enumerate(zip(items, waves, strict=True)):
            features[row, :, : item.shape[-1]] = item
            mask[row, : -(-len(wave) // self.hop)] = 1
        return features, mask

    def _one(self, wave: NDArray[np.float32], multiple: int) -> Tensor:
        """Log-mel `[n_mels, T]` of one item, scaled and floored against its own maximum."""
        assert wave.ndim == 1 and len(wave) > 0
        padding = -len(wave) % (multiple * self.hop)
        samples = torch.nn.functional.pad(torch.from_numpy(wave), (0, padding))
        spectrum = torch.stft(
            samples, self.n_fft, self.hop, window=self._window, return_complex=True
        )
        power = (spectrum[:, :-1].abs() ** 2).contiguous()
        mel = (self._filters @ power).clamp(min=1e-10).log10()
        return (torch.maximum(mel, mel.max() - 8.0) + 4.0) / 4.0
