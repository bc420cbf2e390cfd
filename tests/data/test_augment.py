"""Augmentation: from the seed alone, nothing without probability, and what it says it did."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from unisono.data import effects
from unisono.data.augment import Augmenter, AugmentSection

RATE = 16_000
EFFECTS = ("speed", "pitch", "room", "noise", "band", "gain")


def noise(seconds=0.5, seed=0):
    samples = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return (0.1 * samples).astype(np.float32)


def sine(frequency, seconds=1.0, rate=RATE):
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)).astype(
        np.float32
    )


def loudest(wave, rate=RATE):
    """Frequency of the strongest component, Hz."""
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 1 << 18))
    return spectrum.argmax() * rate / (1 << 18)


def section(*names, **more):
    return AugmentSection(**{name: {"probability": 1.0} for name in names}, **more)


def band_power(wave, low, high, rate=RATE):
    spectrum = np.abs(np.fft.rfft(wave)) ** 2
    frequencies = np.fft.rfftfreq(len(wave), 1 / rate)
    return spectrum[(frequencies >= low) & (frequencies < high)].sum()


@given(
    st.integers(0, 2**31), st.integers(0, 10**6), st.integers(0, 500),
    st.sets(st.sampled_from(EFFECTS)), st.integers(1, 6000), st.floats(1e-4, 30),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_same_place_same_sound_finite_and_limited(seed, position, item, names, length, scale):
    wave = noise(0.5)[:length] * np.float32(scale)
    before = wave.copy()
    options = AugmentSection(**{name: {"probability": 0.7} for name in names})
    first = Augmenter(options, RATE, seed)(wave, position, item)
    again = Augmenter(options, RATE, seed)(wave, position, item)
    np.testing.assert_array_equal(first.samples, again.samples)
    assert first.applied == again.applied
    np.testing.assert_array_equal(wave, before)
    assert first.samples.dtype == np.float32 and np.isfinite(first.samples).all()
    if first.applied:
        assert np.abs(first.samples).max() <= options.peak
    else:
        assert first.samples is wave
    assert (len(first.samples) == length) or first.changed_length
    assert {effect.name for effect in first.applied} <= names | {"limit"}


@given(st.integers(0, 2**31), st.integers(0, 10**6), st.floats(0.5, 100))
def test_without_probability_nothing_changes(seed, position, scale):
    wave = noise(0.05) * np.float32(scale)
    assert not AugmentSection().active
    done = Augmenter(AugmentSection(), RATE, seed)(wave, position)
    assert done.samples is wave and done.applied == ()


def test_seed_position_and_item_all_count():
    augmenter = Augmenter(section(*EFFECTS), RATE, 1)
    sounds = [
        augmenter(noise(), 3, 4), augmenter(noise(), 4, 3), augmenter(noise(), 3, 5),
        Augmenter(section(*EFFECTS), RATE, 2)(noise(), 3, 4),
    ]  # fmt: skip
    assert len({s.samples.tobytes() for s in sounds}) == 4


def test_another_process_makes_the_same_sound():
    code = (
        "import hashlib, numpy as np; from unisono.data.augment import *\n"
        f"names = {EFFECTS!r}\n"
        "section = AugmentSection(**{n: {'probability': 1.0} for n in names})\n"
        "wave = (0.1 * np.random.default_rng(0).standard_normal(8000)).astype(np.float32)\n"
        "print(hashlib.sha256(Augmenter(section, 16000, 5)(wave, 7, 8).samples).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = Augmenter(section(*EFFECTS), RATE, 5)(noise(), 7, 8)
    assert done.stdout.strip() == hashlib.sha256(here.samples).hexdigest()


def test_effects_happen_as_often_as_said_and_independently():
    options = AugmentSection(gain={"probability": 0.3}, noise={"probability": 0.6})
    alone = AugmentSection(gain={"probability": 0.3})
    wave = noise(0.02)
    both = [Augmenter(options, RATE, 0)(wave, n).applied for n in range(1500)]
    gains = [next((e.values for e in done if e.name == "gain"), None) for done in both]
    assert sum(g is not None for g in gains) / 1500 == pytest.approx(0.3, abs=0.04)
    noisy = sum(any(e.name == "noise" for e in done) for done in both)
    assert noisy / 1500 == pytest.approx(0.6, abs=0.04)
    only = [Augmenter(alone, RATE, 0)(wave, n).applied for n in range(1500)]
    assert gains == [next((e.values for e in d if e.name == "gain"), None) for d in only]


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_stated_gain_and_ranges(position):
    options = AugmentSection(gain={"probability": 1, "decibels": (-20, -3)})
    wave = noise()
    done = Augmenter(options, RATE)(wave, position)
    [effect] = done.applied
    assert -20 <= effect.values["decibels"] <= -3
    change = 10 * np.log10(effects.power(done.samples) / effects.power(wave))
    assert change == pytest.approx(effect.values["decibels"], abs=1e-3)


def test_the_limiter_says_what_it_did():
    options = AugmentSection(gain={"probability": 1, "decibels": (40, 40)}, peak=0.5)
    done = Augmenter(options, RATE)(noise(), 0)
    gain, limit = done.applied
    assert np.abs(done.samples).max() == pytest.approx(0.5, rel=1e-4)
    change = 10 * np.log10(effects.power(done.samples) / effects.power(noise()))
    total = gain.values["decibels"] + limit.values["decibels"]
    assert change == pytest.approx(total, abs=1e-3)


@pytest.mark.parametrize("colour", ["white", "pink"])
@given(st.floats(-10, 40), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_noise_reaches_its_ratio(colour, snr, position):
    options = AugmentSection(noise={"probability": 1, "snr": (snr, snr), "colours": [colour]})
    wave = 0.05 * noise(seed=3)
    done = Augmenter(options, RATE)(wave, position)
    assert done.applied[0].values == {"snr": snr, "colour": colour}
    added = done.samples.astype(np.float64) - wave
    found = 10 * np.log10(effects.power(wave) / effects.power(added))
    assert found == pytest.approx(snr, abs=0.1)


def test_pink_noise_falls_three_decibels_an_octave_and_white_does_not():
    rng = np.random.default_rng(0)
    for make, ratio in ((effects.pink_noise, 1.0), (effects.white_noise, 2.0)):
        wave = make(1 << 17, rng)
        assert effects.power(wave) == pytest.approx(1, abs=0.1)
        octaves = [band_power(wave, 125 * 2**n, 250 * 2**n) for n in range(5)]
        np.testing.assert_allclose(np.array(octaves[1:]) / octaves[:-1], ratio, rtol=0.1)


def test_noise_from_clips_is_cut_repeated_and_named(tmp_path):
    (tmp_path / "rain").mkdir()
    soundfile.write(tmp_path / "rain" / "a.wav", sine(1000, 0.3), RATE)
    noises = {
        "probability": 1, "snr": (0, 0), "colours": ["clips"],
        "sources": [f"{tmp_path}?kind=sound&labels=true"],
    }  # fmt: skip
    done = Augmenter(AugmentSection(noise=noises), RATE)(noise(1.0), 0)
    assert done.applied[0].values == {"snr": 0.0, "colour": "clips", "label": "rain"}
    added = done.samples - noise(1.0)
    assert loudest(added) == pytest.approx(1000, abs=5)
    assert effects.power(added) == pytest.approx(effects.power(noise(1.0)), rel=0.01)


@pytest.mark.parametrize("rt60", [0.1, 0.4, 1.5])
@pytest.mark.parametrize("direct", [-5.0, 10.0])
def test_a_room_has_its_reverberation_time_and_ratio(rt60, direct):
    response = effects.impulse_response(rt60, direct, RATE, np.random.default_rng(0)).astype(float)
    assert response[0] == 1
    tail = response.copy()
    tail[0] = 0
    assert 10 * np.log10(1 / np.sum(tail**2)) == pytest.approx(direct, abs=0.01)
    # Schroeder's integral, fitted from -5 to -35 dB as in ISO 3382.
    level = 10 * np.log10(np.cumsum(tail[::-1] ** 2)[::-1] / np.sum(tail**2) + 1e-12)
    fit = (level < -5) & (level > -35)
    slope = np.polyfit(np.flatnonzero(fit) / RATE, level[fit], 1)[0]
    assert -60 / slope == pytest.approx(rt60, rel=0.1)


def test_reverberation_keeps_length_loudness_and_place():
    wave = np.zeros(RATE, np.float32)
    wave[4000:5000] = noise(1.0)[:1000]
    done = Augmenter(section("room"), RATE)(wave, 1)
    assert len(done.samples) == len(wave)
    assert not np.abs(done.samples[:3900]).max() > 1e-6
    assert effects.power(done.samples) == pytest.approx(effects.power(wave), rel=0.01)
    assert np.abs(done.samples[5200:7000]).max() > 1e-4


@pytest.mark.parametrize("cutoff", [1500.0, 3000.0, 6000.0])
def test_a_band_limit_removes_what_is_above_and_keeps_what_is_below(cutoff):
    options = AugmentSection(band={"probability": 1, "cutoff": (cutoff, cutoff), "telephone": 0})
    wave = noise(2.0)
    done = Augmenter(options, RATE)(wave, 0)
    assert done.applied[0].values == {"cutoff": cutoff}
    above = band_power(done.samples, 1.02 * cutoff, 8000) / band_power(wave, 1.02 * cutoff, 8000)
    assert 10 * np.log10(above) < -40
    below = slice(0, int(0.85 * cutoff * 2))
    np.testing.assert_allclose(
        np.fft.rfft(done.samples[1000:-1000] - wave[1000:-1000])[below], 0, atol=3
    )


def test_a_limit_beyond_the_band_is_none():
    options = AugmentSection(band={"probability": 1, "cutoff": (9000, 9000), "telephone": 0})
    wave = noise()
    done = Augmenter(options, RATE)(wave, 0)
    assert done.samples is wave and not done.applied


def test_a_telephone_passes_its_band_only():
    wave = noise(2.0)
    done = Augmenter(AugmentSection(band={"probability": 1, "telephone": 1}), RATE)(wave, 0)
    assert done.applied[0].values == {"line": "telephone"}

    def kept(low, high):
        return 10 * np.log10(band_power(done.samples, low, high) / band_power(wave, low, high))

    assert abs(kept(600, 2800)) < 1
    assert kept(20, 100) < -10 and kept(4200, 8000) < -30


@given(st.floats(0.5, 2.0))
@settings(max_examples=15, deadline=None)
def test_speed_changes_length_and_pitch_together(factor):
    options = AugmentSection(speed={"probability": 1, "factor": (factor, factor)})
    assert options.changes_length
    done = Augmenter(options, RATE)(sine(440), 0)
    assert done.changed_length
    assert len(done.samples) == pytest.approx(RATE / factor, abs=2)
    assert loudest(done.samples) == pytest.approx(440 * factor, rel=0.005)


@given(st.floats(-12, 12), st.sampled_from([16_000, 24_000]))
@settings(max_examples=15, deadline=None)
def test_pitch_moves_the_fundamental_and_keeps_the_length(semitones, rate):
    options = AugmentSection(pitch={"probability": 1, "semitones": (semitones, semitones)})
    assert not options.changes_length
    done = Augmenter(options, rate)(sine(330, 2.0, rate), 0)
    assert len(done.samples) == 2 * rate and not done.changed_length
    middle = done.samples[rate // 2 : -rate // 2]
    assert loudest(middle, rate) == pytest.approx(330 * 2 ** (semitones / 12), rel=0.01)


@pytest.mark.parametrize("name", EFFECTS)
@pytest.mark.parametrize("wave", [np.zeros(0, np.float32), np.zeros(400, np.float32)])
def test_silence_stays_silence(name, wave):
    done = Augmenter(section(name), RATE)(wave, 0)
    assert done.samples is wave and not done.applied


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"echo": {}}, "echo"),
        ({"gain": {"db": 3}}, "db"),
        ({"gain": {"probability": 1.5}}, "probability"),
        ({"noise": {"snr": (30, 5)}}, "smaller first"),
        ({"speed": {"factor": (0, 1)}}, "factor"),
        ({"noise": {"colours": ["brown"]}}, "colours"),
        ({"noise": {"colours": ["clips"]}}, "sources"),
        ({"gain": {"decibels": (0, float("inf"))}}, "finite"),
    ],
)
def test_a_wrong_option_is_named(options, part):
    with pytest.raises(ValidationError, match=part):
        AugmentSection(**options)
