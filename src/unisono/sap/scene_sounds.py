"""Changes of sound that scenes need beyond `unisono.data.effects`; plain functions of samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unisono.data import effects
from unisono.data.effects import Wave
from unisono.errors import require_extra

__all__ = ["change_tempo", "fade", "in_room", "lengthen", "repeat", "trim"]

_BLOCK = 0.01
"""Seconds over which loudness is taken to find where a sound begins and ends."""


def trim(wave: Wave, rate: int, depth: float = 40.0) -> Wave:
    """Without what lies more than `depth` dB under the loudest 10 ms, at both ends."""
    block = max(1, round(_BLOCK * rate))
    padded = np.pad(wave, (0, -len(wave) % block)).astype(np.float64)
    powers = np.mean(padded.reshape(-1, block) ** 2, axis=1)
    loud = np.flatnonzero(powers > powers.max(initial=0.0) * 10 ** (-depth / 10))
    if not len(loud):
        return wave[:0]
    return wave[loud[0] * block : (loud[-1] + 1) * block]


def fade(wave: Wave, rate: int, seconds: float) -> Wave:
    """Faded in and out over `seconds`, or half of its length where that is shorter."""
    length = min(round(seconds * rate), len(wave) // 2)
    ramp = np.sin(np.linspace(0, np.pi / 2, length, dtype=np.float32)) ** 2
    faded = wave.copy()
    faded[:length] *= ramp
    faded[len(wave) - length :] *= ramp[::-1]
    return faded


def lengthen(wave: Wave, length: int, rate: int) -> Wave:
    """A lasting sound as `length` samples: cut, or repeated with cross-fades of equal power."""
    overlap = min(round(0.1 * rate), len(wave) // 3)
    if len(wave) >= length or overlap == 0:
        return wave[:length]
    ramp = np.sin(np.linspace(0, np.pi / 2, overlap, dtype=np.float32))
    piece = wave.copy()
    piece[:overlap] *= ramp
    piece[-overlap:] *= ramp[::-1]
    hop = len(wave) - overlap
    whole = np.zeros(length + len(wave), np.float32)
    for start in range(0, length, hop):
        # The very first beginning has nothing to fade from.
        part = wave[:overlap] if start == 0 else piece[:overlap]
        whole[start : start + overlap] += part
        whole[start + overlap : start + len(wave)] += piece[overlap:]
    return whole[:length]


def repeat(wave: Wave, pauses: Sequence[float]) -> Wave:
    """A sound once and once more after each of `pauses`, in samples."""
    gaps = (np.zeros(round(pause), np.float32) for pause in pauses)
    return np.concatenate([wave, *(part for gap in gaps for part in (gap, wave))])


def change_tempo(wave: Wave, factor: float, rate: int) -> Wave:
    """`factor` times as fast and as much shorter, the pitch kept (Signalsmith Stretch)."""
    stretch = require_extra("python_stretch", "train").Signalsmith.Stretch()
    stretch.preset(1, rate)
    stretch.setTimeFactor(factor)
    return np.asarray(stretch.process(np.ascontiguousarray(wave[None]))[0], np.float32)


def in_room(wave: Wave, response: Wave) -> Wave:
    """`wave` in the room of an impulse response, with the tail that follows it."""
    return effects.reverberate(np.pad(wave, (0, len(response))), response)
