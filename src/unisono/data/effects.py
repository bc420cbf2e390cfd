"""Changes of sound, each a plain function of samples `[n]` (float32, mono) and its settings.

What is random comes in as a generator or as samples; nothing here keeps a state.
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from unisono.errors import require_extra

Wave = NDArray[np.float32]

__all__ = [
    "add_noise",
    "band_limit",
    "change_gain",
    "change_pitch",
    "change_speed",
    "decibels_of",
    "impulse_response",
    "pink_noise",
    "power",
    "reverberate",
    "telephone",
    "white_noise",
]

TELEPHONE_BAND = (300.0, 3400.0)
"""Pass band in Hz of analogue and G.711 telephony."""


def change_gain(wave: Wave, decibels: float) -> Wave:
    """Louder (positive) or softer by `decibels`."""
    return wave * np.float32(10 ** (decibels / 20))


def white_noise(length: int, rng: np.random.Generator) -> Wave:
    """Noise of equal power at all frequencies, RMS about 1."""
    return rng.standard_normal(length, dtype=np.float32)


def pink_noise(length: int, rng: np.random.Generator) -> Wave:
    """Noise whose power falls by 3 dB an octave, RMS about 1: white noise shaped by 1/√f."""
    # A length that transforms fast; the rest is cut off.
    size = max(2, 1 << (max(length, 1) - 1).bit_length())
    spectrum = np.fft.rfft(rng.standard_normal(size))
    shape = np.zeros(len(spectrum))
    shape[1:] = 1 / np.sqrt(np.arange(1, len(spectrum)))
    noise = np.fft.irfft(spectrum * shape, size)
    return (noise / np.sqrt(np.mean(noise**2)))[:length].astype(np.float32)


def add_noise(wave: Wave, noise: Wave, snr: float) -> Wave:
    """`wave` with `noise` of the same length at a signal-to-noise ratio of `snr` dB over all.

    Both must hold some sound: of silence there is no ratio.
    """
    scale = np.sqrt(power(wave) / power(noise) * 10 ** (-snr / 10))
    return wave + noise * np.float32(scale)


def impulse_response(rt60: float, direct: float, rate: int, rng: np.random.Generator) -> Wave:
    """A made-up room: the direct sound, then noise that dies away exponentially (Polack's model).

    Args:
        rt60: seconds until the reverberation has fallen by 60 dB.
        direct: energy of the direct sound over that of the reverberation, dB.
    """
    length = max(2, round(1.2 * rt60 * rate))
    # 60 dB is a factor of 1000 in amplitude.
    decay = 10.0 ** (-3 * np.arange(length) / (rt60 * rate))
    tail = rng.standard_normal(length) * decay
    tail[0] = 0
    tail *= np.sqrt(10 ** (-direct / 10) / np.sum(tail**2))
    tail[0] = 1
    return tail.astype(np.float32)


def reverberate(wave: Wave, response: Wave) -> Wave:
    """`wave` heard in the room of an impulse response: as long and as loud (RMS) as before."""
    signal = require_extra("scipy.signal", "train")
    wet = signal.fftconvolve(wave, response)[: len(wave)]
    loudness = power(wet)
    if loudness > 0:
        wet = wet * np.sqrt(power(wave) / loudness)
    return wet.astype(np.float32)


def band_limit(wave: Wave, cutoff: float, rate: int) -> Wave:
    """Nothing above `cutoff` Hz, as after a lower sample rate: down to 2·cutoff and back."""
    low = soxr.resample(wave, rate, 2 * cutoff, quality="HQ")
    return _of_length(soxr.resample(low, 2 * cutoff, rate, quality="HQ"), len(wave))


def telephone(wave: Wave, rate: int) -> Wave:
    """As over a telephone: 300 to 3400 Hz at 8 kHz, 8 bits by the µ-law (as in G.711)."""
    signal = require_extra("scipy.signal", "train")
    low = soxr.resample(wave, rate, 8000, quality="HQ")
    passed = signal.sosfiltfilt(
        signal.butter(2, TELEPHONE_BAND, "bandpass", fs=8000, output="sos"), low, padlen=0
    )
    peak = np.abs(passed).max(initial=0.0)
    if peak > 0:
        # The line is driven at full scale, so that quantization is that of a good call.
        folded = np.sign(passed) * np.log1p(255 * np.abs(passed) / peak) / np.log(256)
        steps = np.round(folded * 127) / 127
        passed = np.sign(steps) * np.expm1(np.abs(steps) * np.log(256)) / 255 * peak
    back = soxr.resample(passed.astype(np.float32), 8000, rate, quality="HQ")
    return _of_length(back, len(wave))


def change_speed(wave: Wave, factor: float, rate: int) -> Wave:
    """Played `factor` times as fast: shorter by it, and higher by it, as a tape would be."""
    return soxr.resample(wave, rate * factor, rate, quality="HQ")


def change_pitch(wave: Wave, semitones: float, rate: int) -> Wave:
    """Higher (positive) or lower by `semitones`, as long as before (Signalsmith Stretch)."""
    stretch = require_extra("python_stretch", "train").Signalsmith.Stretch()
    stretch.preset(1, rate)
    stretch.setTransposeSemitones(semitones)
    shifted = stretch.process(np.ascontiguousarray(wave[None]))[0]
    return _of_length(np.asarray(shifted, np.float32), len(wave))


def power(wave: NDArray[np.floating]) -> float:
    """Mean square; 0 for no samples."""
    return float(np.mean(np.square(wave, dtype=np.float64))) if len(wave) else 0.0


def decibels_of(ratio: float) -> float:
    """An amplitude ratio in dB."""
    return float(20 * np.log10(ratio))


def _of_length(wave: Wave, length: int) -> Wave:
    """Cut, or filled with silence; resampling back and forth may miss by a sample or two."""
    return wave[:length] if len(wave) >= length else np.pad(wave, (0, length - len(wave)))
