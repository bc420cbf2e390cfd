"""Disguised spectra: what moves, what stays."""

from __future__ import annotations

import pytest
import torch

from unisono.training.disguise import disguise, draw_disguises
from unisono.training.pitch_track import track_pitch


def tone(bin_of, frames=3, bins=64):
    spectrum = torch.zeros(1, 2, frames, bins)
    spectrum[0, 0, :, bin_of] = 0.6
    spectrum[0, 1, :, bin_of] = -0.8
    return spectrum


def test_nothing_is_changed_by_no_shift_and_no_colour():
    torch.manual_seed(0)
    spectrum = torch.randn(2, 2, 5, 64)
    same = disguise(spectrum, torch.zeros(2), torch.zeros(2, 6))
    torch.testing.assert_close(same, spectrum, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("octaves", "place"), [(1.0, 40), (-1.0, 10), (0.5, 28)])
def test_frequencies_are_stretched_and_phases_kept(octaves, place):
    moved = disguise(tone(20), torch.tensor([octaves]), torch.zeros(1, 6))
    size = moved.square().sum(1)[0, 0]
    assert abs(int(size.argmax()) - place) <= 1
    peak = moved[0, :, 0, int(size.argmax())]
    assert peak[0] / peak[1] == pytest.approx(-0.75, rel=1e-3)


def test_what_is_moved_beyond_the_highest_frequency_is_gone():
    assert not disguise(tone(40), torch.tensor([1.0]), torch.zeros(1, 6)).any()


def test_colour_is_a_gain_in_a_line_between_its_knots():
    flat = torch.ones(1, 2, 2, 61)
    colour = torch.tensor([[0.0, 1.0, 0.0, 0.0, 0.0, -2.0]])
    made = disguise(flat, torch.zeros(1), colour)[0, 0, 0].log()
    assert made[12] == pytest.approx(1.0, abs=1e-5) and made[6] == pytest.approx(0.5, abs=1e-5)
    assert made[30] == pytest.approx(0.0, abs=1e-5) and made[60] == pytest.approx(-2.0, abs=1e-5)


def test_drawn_shares_and_sizes():
    generator = torch.Generator().manual_seed(0)
    shifts, colour, band = draw_disguises(4000, 0.4, 0.3, 0.75, generator, narrow=0.4)
    plain = shifts == 0
    assert float(plain.float().mean()) == pytest.approx(0.25, abs=0.03)
    assert not colour[plain].any() and shifts.abs().max() <= 0.4
    assert float(colour[~plain].std()) == pytest.approx(0.3, abs=0.01)
    assert float((band < 1).float().mean()) == pytest.approx(0.3, abs=0.03)
    assert (band[plain] == 1).all() and 0.3 <= band.min() < 0.35


def test_the_upper_band_is_taken_away():
    flat = torch.ones(2, 2, 2, 64)
    made = disguise(flat, torch.zeros(2), torch.zeros(2, 6), torch.tensor([0.5, 1.0]))
    assert made[0, :, :, :32].all() and not made[0, :, :, 32:].any()
    assert made[1].all()


def test_pitch_of_a_pulse_train_is_told_at_every_hop():
    rate, seconds = 16_000, 1
    wave = torch.zeros(rate * seconds)
    wave[:: rate // 125] = 0.9
    octaves, voiced = track_pitch(wave.numpy(), rate, 160)
    assert octaves.shape == voiced.shape == (100,)
    assert voiced[10:90].min() == 1.0
    assert abs(2 ** octaves[10:90] - 125).max() < 1.0


def test_silence_has_no_voice():
    octaves, voiced = track_pitch(torch.zeros(16_000).numpy(), 16_000, 160)
    assert not voiced.any() and (octaves == octaves[0]).all()
