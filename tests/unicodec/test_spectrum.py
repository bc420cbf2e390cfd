"""Waves to compressed spectra and back."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unisono.unicodec.config import UniCodecConfig
from unisono.unicodec.spectrum import Spectrum
from unisono.unicodec.state import StreamState

SPECTRUM = Spectrum(UniCodecConfig()).requires_grad_(False)


def wave(seed, hops, batch=1):
    """Noise without the highest frequency, which the spectrum leaves out."""
    noise = torch.from_numpy(np.random.default_rng(seed).standard_normal((batch, hops * 160 + 2)))
    # The mean of three neighbours, weighted 1 2 1, is zero at half the rate.
    return ((noise[:, :-2] + 2 * noise[:, 1:-1] + noise[:, 2:]) / 4).float()


def test_one_frame_by_hand():
    """Window, transform and power, written out."""
    x = wave(0, 4)
    frame = np.fft.rfft(x[0].numpy() * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(640) / 640)))[:-1]
    wanted = np.abs(frame) ** 0.4 * np.exp(1j * np.angle(frame))
    made = SPECTRUM(x)[0, :, 3]
    np.testing.assert_allclose(made[0], wanted.real, atol=1e-3)
    np.testing.assert_allclose(made[1], wanted.imag, atol=1e-3)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), hops=st.integers(1, 30), power=st.floats(0.2, 1.0))
def test_round_trip_up_to_the_highest_bin(seed, hops, power):
    spectrum = Spectrum(UniCodecConfig(power=power)).requires_grad_(False)
    x = wave(seed, hops)
    padded = torch.cat([x, x.new_zeros(1, 480)], dim=1)
    back = spectrum.inverse(spectrum(padded))[:, spectrum.delay :]
    # Windowed anew, frames have a little of the highest bin again; at the end nothing is missing.
    torch.testing.assert_close(back, x, atol=2e-2, rtol=0)
    assert (back - x).square().mean() < 1e-5 * x.square().mean().clamp(min=1e-3)


def test_the_highest_bin_is_what_is_lost():
    alternating = torch.ones(1, 3200)
    alternating[:, 1::2] = -1
    back = SPECTRUM.inverse(SPECTRUM(alternating))
    inner = back[:, 1500:2000].abs().max()
    assert inner < 0.6  # a Hann window spreads the tone over two bins, of which one is left


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(1, 5), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_pieces_equal_the_whole(cuts, seed):
    x = wave(seed, sum(cuts), batch=2)
    whole = SPECTRUM(x)
    state, parts, waves, start = StreamState(), [], [], 0
    for cut in cuts:
        parts.append(SPECTRUM(x[:, start : start + cut * 160], state))
        waves.append(SPECTRUM.inverse(parts[-1], state))
        start += cut * 160
    torch.testing.assert_close(torch.cat(parts, 2), whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(torch.cat(waves, 1), SPECTRUM.inverse(whole), atol=1e-5, rtol=1e-5)


@settings(max_examples=15, deadline=None)
@given(hop=st.integers(1, 9), seed=st.integers(0, 99))
def test_frames_need_no_later_sample(hop, seed):
    x = wave(seed, 10)
    changed = x.clone()
    changed[:, hop * 160 :] = 7.0
    a, b = SPECTRUM(x), SPECTRUM(changed)
    assert torch.equal(a[:, :, :hop], b[:, :, :hop])
    assert not torch.equal(a[:, :, hop], b[:, :, hop])


@pytest.mark.parametrize(("power", "used"), [(-1.0, 0.2), (0.5, 0.5), (3.0, 1.0)])
def test_the_power_stays_in_its_range(power, used):
    spectrum = Spectrum(UniCodecConfig())
    with torch.no_grad():
        spectrum.power.fill_(power)
    assert float(spectrum.exponent().detach()) == pytest.approx(used)


def test_silence_has_finite_gradients():
    spectrum = Spectrum(UniCodecConfig())
    x = torch.zeros(1, 1600, requires_grad=True)
    spectrum.inverse(spectrum(x)).square().sum().backward()
    assert torch.isfinite(x.grad).all() and torch.isfinite(spectrum.power.grad)
