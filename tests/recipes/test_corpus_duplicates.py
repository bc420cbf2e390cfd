import numpy as np
import pytest
import soxr
from recipes.corpus.clip import RATE
from recipes.corpus.duplicates import Heard, fingerprint, wave_correlation


def knock(seed, seconds=0.7):
    """Some decaying tones that begin at different times, different for every seed."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    samples = 0.001 * rng.standard_normal(time.size)
    for _ in range(6):
        since = time - rng.uniform(0, 0.8 * seconds)
        tone = np.sin(2 * np.pi * rng.uniform(150, 3500) * since)
        samples += (since > 0) * tone * np.exp(-np.maximum(since, 0) * rng.uniform(5, 40))
    return (0.2 * samples).astype(np.float32)


def half_rate(samples):
    lower = soxr.resample(samples, RATE, RATE // 2)
    return soxr.resample(lower, RATE // 2, RATE)


def delayed(samples):
    return np.concatenate([np.zeros(100, np.float32), samples[:-100]])


@pytest.mark.parametrize(
    "change",
    [lambda x: x, lambda x: 0.2 * x, half_rate, delayed, lambda x: np.round(x * 127) / 127],
    ids=["same", "quieter", "half rate", "delayed", "8 bit"],
)
def test_the_same_recording_is_recognized(change):
    heard = Heard()
    assert all(heard.is_new(knock(seed)) for seed in range(5))
    assert not heard.is_new(change(knock(3)).astype(np.float32))


def test_other_takes_and_lengths_are_new():
    heard = Heard()
    assert all(heard.is_new(knock(seed)) for seed in range(20))
    assert heard.is_new(knock(3)[: RATE // 2])


def test_fingerprints_are_unit_vectors_and_ignore_gain():
    mark = fingerprint(knock(1))
    assert mark.ndim == 1 and mark.size > 400
    assert np.linalg.norm(mark) == pytest.approx(1.0)
    np.testing.assert_allclose(fingerprint(0.1 * knock(1)), mark, atol=1e-4)
    assert np.isfinite(fingerprint(np.zeros(10, np.float32))).all()


def test_wave_correlation_finds_the_shift():
    wave = knock(2)
    assert wave_correlation(wave, wave) == pytest.approx(1.0, abs=1e-4)
    assert wave_correlation(wave, delayed(wave)) > 0.99
    assert wave_correlation(wave, knock(4)) < 0.5
