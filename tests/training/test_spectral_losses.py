"""Losses between waves that UniCodec is trained with."""

import numpy as np
import pytest
import torch

from unisono.training.losses import CompressedSpectralLoss, MultiScaleMelLoss


def noise(seed, n=8000):
    return torch.from_numpy(0.1 * np.random.default_rng(seed).standard_normal((1, n))).float()


def test_compressed_spectra_by_hand():
    loss = CompressedSpectralLoss(640, 160, power=0.3)
    made, real = noise(0), noise(1)
    window = torch.hann_window(640)
    a, b = (torch.stft(x, 640, 160, 640, window, return_complex=True)[0] for x in (made, real))
    low_a, low_b = a.abs() ** 0.3, b.abs() ** 0.3
    phased = (torch.polar(low_a, a.angle()) - torch.polar(low_b, b.angle())).abs()
    wanted = 0.5 * ((low_a - low_b) ** 2).mean() + 0.5 * (phased**2).mean()
    assert float(loss(made, real)) == pytest.approx(float(wanted), rel=1e-3)
    assert float(loss(made, made)) == 0


def test_a_turned_phase_counts_half():
    """Magnitudes agree, complex values do not."""
    loss, x = CompressedSpectralLoss(), noise(0)
    spectrum = torch.stft(x, 640, 160, 640, torch.hann_window(640), return_complex=True)
    wanted = 0.5 * ((2 * spectrum.abs() ** 0.3) ** 2).mean()
    assert float(loss(-x, x)) == pytest.approx(float(wanted), rel=1e-3)


def test_silence_has_finite_gradients():
    made = torch.zeros(1, 4000, requires_grad=True)
    (
        CompressedSpectralLoss()(made, noise(0, 4000))
        + MultiScaleMelLoss(16_000)(made, noise(0, 4000))
    ).backward()
    assert torch.isfinite(made.grad).all() and made.grad.any()


def test_mels_of_all_windows_are_compared():
    loss, x = MultiScaleMelLoss(16_000), noise(0)
    assert len(loss.mels) == 5 and float(loss(x, x)) == 0
    # Twice as loud is log 2 in every band of every window.
    assert float(loss(2 * x, x)) == pytest.approx(np.log(2), rel=0.02)
    click = x.clone()
    click[:, 4000] += 1
    assert float(loss(click, x)) > 0
