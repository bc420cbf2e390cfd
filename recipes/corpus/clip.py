"""Clips on their way into the corpus: decoding, cleaning, and the rule for held-out clips."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from unisono.errors import DataError

RATE = 16_000
_FRAME = RATE // 50  # 20 ms
_KEEP = RATE * 3 // 20  # 150 ms of the silence stay, so that onsets are not cut
_LONG = RATE * 3 // 10
SHORTEST = 0.3  # seconds


@dataclass(frozen=True, eq=False)
class Clip:
    """One clip as a source yields it.

    Attributes:
        key: name that is stable between runs; decides the split.
        samples: float32 `[n]`, mono, at `rate` Hz.
        rate: sampling rate in Hz.
        text, language, speaker, label: as in the manifest.
        licence: where it differs from the source's.
    """

    key: str
    samples: np.ndarray
    rate: int
    text: str = ""
    language: str = ""
    speaker: str = ""
    label: str = ""
    licence: str = ""


def read_audio(path: Path) -> tuple[np.ndarray, int]:
    """Decode any file to mono float32 `[n]` and its rate; raw G.722 by the name's ending.

    A file without audio (asterisk-ru has one) gives an empty array, which `clean` drops.
    """
    if path.suffix == ".g722":
        return _read_g722(path), RATE
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise DataError(f"cannot decode {path}: {error}") from error
    return samples.mean(axis=1), rate


def clean(samples: np.ndarray, rate: int, *, shortest: float = SHORTEST) -> np.ndarray | None:
    """Resample to 16 kHz, trim long silence at both ends, limit the peak.

    Returns float32 `[n]`, or None for a clip that is silent (peak below -40 dBFS), shorter than
    `shortest` seconds after trimming, or damaged (NaN, infinity).
    """
    if samples.size == 0 or not np.isfinite(samples).all():
        return None
    samples = samples - samples.mean(dtype=np.float64).astype(np.float32)
    if rate != RATE:
        samples = soxr.resample(samples, rate, RATE, quality="HQ")
    peak = float(np.abs(samples).max(initial=0.0))
    if peak < 0.01:
        return None
    samples = trim(samples)
    if samples.size < round(shortest * RATE):
        return None
    return np.asarray(samples * min(1.0, 0.98 / peak), dtype=np.float32)


def trim(samples: np.ndarray) -> np.ndarray:
    """Cut leading and trailing silence of more than 0.3 s down to 0.15 s.

    Silence: 20 ms frames more than 45 dB below the loudest frame, or below -65 dBFS.
    """
    count = samples.size // _FRAME
    if count < 2:
        return samples
    frames = samples[: count * _FRAME].reshape(count, _FRAME)
    power = np.square(frames, dtype=np.float64).mean(axis=1)
    loud = np.flatnonzero(power > max(power.max() * 10**-4.5, 10**-6.5))
    if loud.size == 0:
        return samples[:0]
    first, last = int(loud[0]) * _FRAME, (int(loud[-1]) + 1) * _FRAME
    begin = first - _KEEP if first > _LONG else 0
    end = last + _KEEP if samples.size - last > _LONG else samples.size
    return samples[begin:end]


def hash_fraction(name: str) -> float:
    """A number in [0, 1) that depends on the name alone."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _read_g722(path: Path) -> np.ndarray:
    import av  # only these sources need FFmpeg

    parts: list[np.ndarray] = [np.zeros(0, dtype=np.int16)]
    with av.open(str(path), format="g722") as container:
        for frame in container.decode(audio=0):
            parts.append(frame.to_ndarray().reshape(-1))
    return np.concatenate(parts).astype(np.float32) / 32768.0
