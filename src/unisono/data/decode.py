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
                length, rate = sound.frames, sound.samplerate
        else:
            with _as_path(opened, name) as path, _named(path, name), open_media(path) as source:
                length, rate = source.length, source.rate
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
                    rate = sound.samplerate
                    sound.seek(min(round(start * rate), sound.frames))
                    frames = round(duration * rate)
                    return sound.read(frames, dtype="float32", always_2d=True), rate
            except soundfile.LibsndfileError as error:
                raise AudioError(f"{name} is damaged ({error.error_string})") from error
        # Not libsndfile's: PyAV or ffmpeg, which cannot seek exactly and decode from the start.
        with _as_path(opened, name) as path, _named(path, name), open_media(path) as source:
            first = round(start * source.rate)
            last = first + round(duration * source.rate)
            return _between(source.blocks, first, last), source.rate


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
    except (soundfile.LibsndfileError, TypeError):
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
def _named(path: Path, name: str) -> Iterator[None]:
    """Errors of a temporary file speak of what it was made from."""
    try:
        yield
    except AudioError as error:
        raise AudioError(str(error).replace(str(path), name)) from error
