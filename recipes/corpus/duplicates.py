"""Recognize the same recording again, also after another codec, rate or gain (ours)."""

from __future__ import annotations

import numpy as np

from recipes.corpus.clip import RATE

_FFT, _HOP, _BANDS, _SLICES = 512, 128, 24, 24
_SAME_PRINT = 0.985  # correlation of two prints; few takes of one session are that much alike
_SAME_WAVE = 0.9  # of two waves, at the best shift; a lower rate still gives 0.94
_SIMILAR = 0.6  # prints less alike than this are not worth comparing the waves
_LENGTHS = 0.03  # durations of duplicates differ by less than this share


class Heard:
    """The clips heard so far.

    Two clips are alike when their lengths are (3 %) and their waves (correlation 0.9), or, for
    copies whose phases changed, their fingerprints (0.985).
    """

    def __init__(self) -> None:
        self._clips: list[np.ndarray] = []
        self._prints: list[np.ndarray] = []

    def is_new(self, samples: np.ndarray) -> bool:
        """Remember a clip `[n]` at 16 kHz; False when one like it was remembered before."""
        mark = fingerprint(samples)
        for other, other_mark in zip(self._clips, self._prints, strict=True):
            if abs(other.size - samples.size) > _LENGTHS * samples.size:
                continue
            alike = float(other_mark @ mark)
            if alike > _SAME_PRINT:
                return False
            if alike > _SIMILAR and wave_correlation(other, samples) > _SAME_WAVE:
                return False
        self._clips.append(samples)
        self._prints.append(mark)
        return True


def fingerprint(samples: np.ndarray) -> np.ndarray:
    """Unit vector of a clip `[n]` at 16 kHz: its log spectrogram, coarsely.

    Some 22 bands of about equal width in log frequency times 24 equal slices of the whole clip,
    floor 60 dB below the maximum, mean removed. Gain cancels out.
    """
    padded = np.pad(samples, (0, max(0, _FFT - samples.size)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_HOP]
    power = np.square(np.abs(np.fft.rfft(windows * np.hanning(_FFT)[None], axis=1)))
    edges = np.unique(np.round(np.geomspace(2, 7_500 * _FFT / RATE, _BANDS + 1)).astype(int))
    bands = np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1)
    times = np.linspace(0, len(bands), _SLICES + 1)[:-1].astype(int)
    begins, index = np.unique(times, return_inverse=True)
    slices = np.add.reduceat(bands, begins, axis=0)[index]
    level = np.log10(np.maximum(slices, slices.max() * 1e-6 + 1e-12)).ravel()
    level -= level.mean()
    return np.asarray(level / max(float(np.linalg.norm(level)), 1e-9))


def wave_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Largest normalized correlation of two waves `[n]`, `[m]` over all shifts; 1 when equal."""
    size = 1 << (first.size + second.size - 1).bit_length()
    spectrum = np.fft.rfft(first, size) * np.conj(np.fft.rfft(second, size))
    scale = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(np.fft.irfft(spectrum, size).max()) / max(scale, 1e-9)
