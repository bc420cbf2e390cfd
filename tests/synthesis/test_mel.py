"""Mel spectrograms: frame counts and the definition."""

import math

import pytest
import torch

from unisono.synthesis import MelConfig, MelSpectrogram
from unisono.synthesis.mel import reflect_pad


@pytest.mark.parametrize("n", [1, 2, 255, 256, 257, 383, 384, 385, 511, 512, 5000])
def test_frames(n):
    mel = MelSpectrogram()(torch.rand(2, n) - 0.5)
    assert mel.shape == (2, 80, max(1, n // 256)) and mel.isfinite().all()


@pytest.mark.parametrize("n", [401, 512])
def test_own_reflection_equals_torch(n):
    wave = torch.randn(1, n)
    long = torch.nn.functional.pad(wave[:, None], (400, 400), mode="reflect")[:, 0]
    assert torch.equal(reflect_pad(wave, 400), long)
    # The general path agrees where a single reflection is enough.
    assert torch.equal(reflect_pad(wave, n)[:, n - 400 : n + n + 400], long)


def test_silence_is_the_floor_and_a_sine_peaks_at_its_filter():
    module = MelSpectrogram(MelConfig(rate=16000, n_fft=640, hop=160, win=640, fmax=None))
    assert module(torch.zeros(1, 1600)).max().item() < math.log(1e-3)
    time = torch.arange(16000) / 16000
    mel = module(0.5 * torch.sin(2 * math.pi * 1000 * time)[None])[0].mean(1)
    assert mel.argmax() == module.filters[:, 40].argmax()  # bin 40 = 1000 Hz
