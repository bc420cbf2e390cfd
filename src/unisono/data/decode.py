"""Stretches of encoded audio to samples, and lengths from headers, for files and for bytes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from unisono.audio import Audio
from unisono.errors import AudioError
from unisono.storage.media import open_media

__all__ = ["AUDIO_SUFFIXES", "header_seconds", "read_mono"]

AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64"}
    | {".m4a", ".mp4", ".aac", ".webm", ".mka", ".wma", ".amr", ".ac3", ".ape", ".tta", ".wv"}
)
"""What counts as an audio file where a name is all there is to judge by."""


RATES = (2_000, 768_000)
"""Sample rates in Hz that are believed."""


def read_mono(
    file: Path | bytes | BinaryIO,
    name: str,
    start: float,
    duration: float,
    rate: int,
) -> NDArray[np.float32]:
    """`duration` seconds from `start` (seconds) as mono float32 `[n]` at `rate` Hz.

    Args:
        file: a path, encoded bytes, or an open binary file that can seek.
        name: what errors call it; its suffix helps where the content does not tell the format.

    Raises:
        AudioError: it cannot be decoded, has NaN or infinity, or holds less than half of what
            is asked for.
    """
    samples, own = _read(file, name, start, duration)
    wanted = round(duration * own)
    if 2 * len(samples) < wanted:
        raise AudioError(
            f"{name} ends after {len(samples)} of {wanted} samples from {start:g} s: truncated"
        )
    if not np.isfinite(samples).all():
        raise AudioError(f"{name} contains NaN or infinity")
    if own == rate:
        return samples.mean(axis=1)
    with _named(name):
        return Audio(samples.T, own).mono().resample(rate).samples[0]


def header_seconds(file: Path | bytes | BinaryIO, name: str) -> float:
    """Length in seconds by the header, without decoding.

    Raises:
        AudioError: no audio, or a header that does not say how long it is.
    """
    with _seekable(file) as opened:
        sound = _try_soundfile(opened)
        if sound is not None:
            with sound:
                length, rate = sound.frames, _plausible(sound.samplerate, name)
        else:
            with _as_path(opened, name) as path, _named(name, path), open_media(path) as source:
                length, rate = source.length, _plausible(source.rate, name)
    # libsndfile gives the largest number for a stream of unknown length.
    if not 0 < length < 2**62:
        raise AudioError(f"{name} does not say how long it is, or is empty; convert it to flac")
    return length / rate


def _read(
    file: Path | bytes | BinaryIO, name: str, start: float, duration: float
) -> tuple[NDArray[np.float32], int]:
    """Samples `[n, channels]` at the file's own rate, and that rate."""
    with _seekable(file) as opened:
        sound = _try_soundfile(opened)
        if sound is not None:
            try:
                with sound:
                    rate = _plausible(sound.samplerate, name)
                    sound.seek(min(round(start * rate), sound.frames))
                    frames = round(duration * rate)
                    return sound.read(frames, dtype="float32", always_2d=True), rate
            except (soundfile.SoundFileError, ValueError, MemoryError) as error:
                # The latter two: a damaged header that promises more than any memory holds.
                raise AudioError(f"{name} is damaged ({error})") from error
        # Not libsndfile's: PyAV or ffmpeg, which cannot seek exactly and decode from the start.
        with _as_path(opened, name) as path, _named(name, path), open_media(path) as source:
            rate = _plausible(source.rate, name)
            first = round(start * rate)
            return _between(source.blocks, first, first + round(duration * rate)), rate


def _between(blocks: Iterator[NDArray[np.float32]], first: int, last: int) -> NDArray[np.float32]:
    parts: list[NDArray[np.float32]] = []
    at = 0
    for block in blocks:
        parts.append(block[max(0, first - at) : max(0, last - at)])
        at += len(block)
        if at >= last:
            break
    return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)


def _try_soundfile(file: Path | BinaryIO) -> soundfile.SoundFile | None:
    try:
        return soundfile.SoundFile(file)
    except (soundfile.SoundFileError, TypeError):
        return None


@contextmanager
def _seekable(file: Path | bytes | BinaryIO) -> Iterator[Path | BinaryIO]:
    if isinstance(file, bytes):
        yield BytesIO(file)
    else:
        yield file


@contextmanager
def _as_path(file: Path | BinaryIO, name: str) -> Iterator[Path]:
    """A path with the content, for decoders that take nothing else."""
    if isinstance(file, Path):
        yield file
        return
    file.seek(0)
    with tempfile.TemporaryDirectory(prefix="unisono-") as folder:
        path = Path(folder) / f"audio{PurePosixPath(name).suffix}"
        path.write_bytes(file.read())
        yield path


@contextmanager
def _named(name: str, path: Path | None = None) -> Iterator[None]:
    """Errors speak of the clip, not of a temporary file; what decoders let slip is an error too."""
    try:
        yield
    except AudioError as error:
        text = str(error).replace(str(path), name)
        raise AudioError(text if name in text else f"{name}: {text}") from error
    except (AttributeError, ValueError, MemoryError) as error:
        raise AudioError(f"{name} is damaged ({error})") from error


def _plausible(rate: int, name: str) -> int:
    """The rate, if audio can have it: a damaged header would ask for any amount of memory."""
    if not RATES[0] <= rate <= RATES[1]:
        raise AudioError(f"{name} states a rate of {rate} Hz: damaged, or repair its header")
    return rate
