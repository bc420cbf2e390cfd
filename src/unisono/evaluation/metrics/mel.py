"""Mel distance: how far two log-mel spectrograms lie apart."""

from __future__ import annotations

import numpy as np
import torch

from unisono.audio import Audio
from unisono.evaluation.metrics.stoi import aligned
from unisono.synthesis.mel import MelConfig, MelSpectrogram

MEL = MelConfig(rate=16_000, n_fft=1024, hop=256, win=1024, n_mels=80, fmin=0.0, fmax=8000.0)
"""The measure is the same for every model, whatever mel it works with."""


def mel_distance(reference: Audio, other: Audio) -> float:
    """Mean absolute difference of natural-log mels at 16 kHz, 80 bands to 8 kHz, hop 256."""
    waves = aligned(reference, other, MEL.rate)
    spectrum = MelSpectrogram(MEL)
    with torch.inference_mode():
        x, y = (spectrum(torch.from_numpy(np.ascontiguousarray(wave))[None]) for wave in waves)
        return float((x - y).abs().mean())
