"""Audio: float32 samples and their rate; reading, writing, resampling, streamed reading."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import ArrayLike, NDArray

from unisono.errors import AudioError
from unisono.storage.atomic import atomic_path
from unisono.storage.media import MAX_CHANNELS, MAX_RATE, open_media

__all__ = ["Audio", "AudioInfo", "probe", "read_blocks", "resampled_length"]


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Audio:
    """Samples `[channels, samples]`, float32 with full scale 1, and their rate in Hz.

    Takes `[n]` or `[channels, n]`; int8, int16, int32 and uint8 are scaled to full scale 1, floats
    are taken as they are. Empty, NaN or infinite samples and more than 64 channels raise
    `AudioError`. Treat `samples` as read-only: it may share memory with the array given.
    """

    samples: NDArray[np.float32]
    rate: int

    def __init__(self, samples: ArrayLike, rate: int) -> None:
        object.__setattr__(self, "rate", _as_rate(rate))
        array = _as_float32(np.asarray(samples))
        if array.ndim == 1:
            array = array[None]
        if array.ndim != 2 or not array.size:
            raise AudioError(
                f"audio needs at least one sample, as [n] or [channels, n]; got shape "
                f"{list(array.shape)}"
            )
        if array.shape[0] > MAX_CHANNELS:
            raise AudioError(
                f"audio of {array.shape[0]} channels exceeds the {MAX_CHANNELS} that are taken; "
                "shape is [channels, samples]: transpose the array if it is the other way round"
            )
        _check_finite(array, "audio")
        object.__setattr__(self, "samples", array)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.samples.shape[0])

    @property
    def length(self) -> int:
        """Number of samples in each channel."""
        return int(self.samples.shape[1])

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.length / self.rate

    def __repr__(self) -> str:
        return (
            f"Audio({self.channels} x {self.length} samples, {self.rate} Hz, {self.duration:.3f} s)"
        )

    def mono(self) -> Audio:
        """One channel: the mean of all."""
        return self if self.channels == 1 else Audio(_mean(self.samples), self.rate)

    def resample(self, rate: int) -> Audio:
        """The same sound at `rate` Hz (soxr, high quality), `resampled_length` samples long."""
        rate = _as_rate(rate)
        if rate == self.rate:
            return self
        parts = list(resample_blocks([self.samples], self.rate, rate))
        return Audio(np.concatenate(parts, axis=1), rate)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Audio:
        """Read a whole file: wav, flac, ogg, mp3; with the extra `av` mp4, m4a, g722 and more."""
        with open_media(path) as source:
            blocks = [block.T for block in source.blocks]
            if not sum(block.shape[1] for block in blocks):
                raise _no_samples(path)
            samples = np.ascontiguousarray(np.concatenate(blocks, axis=1))
            _check_finite(samples, os.fspath(path))
            return cls(samples, source.rate)

    def write(self, path: str | os.PathLike[str], subtype: str | None = None) -> None:
        """Write wav, flac, ogg, opus, mp3, aiff, au or caf, by the suffix; whole or not at all.

        `subtype` is soundfile's ("PCM_16", "PCM_24", "FLOAT", ...); the default is PCM_16 where
        the format has it. All but float subtypes clamp samples to full scale.
        """
        path = Path(path)
        container, default = format_of(path)
        subtype = subtype or default
        # A wav header counts bytes in 32 bits; RF64 is the same with 64.
        if container == "WAV" and self.samples.size * 4 > 0xFFF00000:
            container = "RF64"
        if not soundfile.check_format(container, subtype):
            known = ", ".join(soundfile.available_subtypes(container))
            raise AudioError(
                f"cannot write {path}: {container} has no subtype {subtype}; it has {known}"
            )
        with atomic_path(path, AudioError) as temporary:
            try:
                with soundfile.SoundFile(
                    os.fspath(temporary), "w", self.rate, self.channels, subtype, format=container
                ) as sound:
                    for start in range(0, self.length, 65_536):
                        block = self.samples[:, start : start + 65_536].T
                        sound.write(encodable(block, subtype))
            except soundfile.LibsndfileError as error:
                reason = error.error_string.strip(" .")
                raise AudioError(
                    f"cannot write {path}: {container} does not take {self.channels} channels at "
                    f"{self.rate} Hz ({reason}); write .wav or resample first"
                ) from error


@dataclass(frozen=True)
class AudioInfo:
    """Facts of a file without its samples; see `probe`."""

    rate: int
    channels: int
    length: int
    duration: float
    format: str


def probe(path: str | os.PathLike[str]) -> AudioInfo:
    """Rate (Hz), channels, length (samples), duration (s) and format name of a file.

    The length is exact for wav, flac, ogg and mp3; in other containers it is the header's
    estimate, or 0 when the header does not say.
    """
    with open_media(path) as source:
        return AudioInfo(
            rate=source.rate,
            channels=source.channels,
            length=source.length,
            duration=source.length / source.rate,
            format=source.format,
        )


def read_blocks(
    path: str | os.PathLike[str],
    rate: int | None = None,
    block_seconds: float = 30.0,
    mono: bool = True,
) -> Iterator[NDArray[np.float32]]:
    """Read a file of any length block by block in bounded memory, resampled on the way.

    Yields `[n]` (mono) or `[channels, n]` with n = round(block_seconds * output rate), the last
    block shorter. Concatenated they equal `Audio.read(path).mono().resample(rate)`, sample by
    sample. Errors come when the iteration reaches them.
    """
    if not (math.isfinite(block_seconds) and block_seconds > 0):
        raise AudioError(f"block_seconds must be positive, got {block_seconds}")
    with open_media(path) as source:
        target = source.rate if rate is None else _as_rate(rate)
        size = max(1, round(block_seconds * target))
        blocks = (block.T for block in source.blocks)
        checked = _checked_blocks(blocks, path)
        mixed = (_mean(block) for block in checked) if mono else checked
        for block in _regrouped(resample_blocks(mixed, source.rate, target), size):
            yield block[0] if mono else block


def resampled_length(length: int, rate: int, target: int) -> int:
    """Samples that `length` samples at `rate` have at `target` Hz: ceil(length * target / rate).

    Rounded up so that no sound becomes empty, and so that frames counted at the model's rate
    agree with frames counted from the original length.
    """
    return -(-length * target // rate)


def resample_blocks(
    blocks: Iterable[NDArray[np.float32]], rate: int, target: int
) -> Iterator[NDArray[np.float32]]:
    """Blocks `[channels, n]` at `rate` to blocks at `target`; the cuts leave no mark."""
    if rate == target:
        yield from blocks
        return
    stream: soxr.ResampleStream | None = None
    taken = given = channels = 0
    for block in blocks:
        if stream is None:
            channels = block.shape[0]
            stream = soxr.ResampleStream(rate, target, channels, dtype="float32", quality="HQ")
        # At most about a second at once: a whole file in one call would be held several times.
        for start in range(0, block.shape[1], 65_536):
            part = block[:, start : start + 65_536]
            taken += part.shape[1]
            out = stream.resample_chunk(np.ascontiguousarray(part.T))
            given += len(out)
            if len(out):
                yield out.T
    if stream is None:
        return
    # soxr rounds the length to the nearest; a little silence after the end fills the last sample.
    silence = np.zeros((math.ceil(Fraction(2 * rate, target)) + 1, channels), dtype=np.float32)
    rest = stream.resample_chunk(silence, last=True)
    missing = resampled_length(taken, rate, target) - given
    assert 0 <= missing <= len(rest), "the resampler ran ahead of its input"
    if missing:
        yield rest[:missing].T


def _regrouped(blocks: Iterable[NDArray[np.float32]], size: int) -> Iterator[NDArray[np.float32]]:
    """The same samples in blocks of `size`, the last one shorter."""
    kept: list[NDArray[np.float32]] = []
    count = 0
    for block in blocks:
        kept.append(block)
        count += block.shape[1]
        if count < size:
            continue
        joined = np.concatenate(kept, axis=1)
        whole = count // size * size
        for start in range(0, whole, size):
            yield np.ascontiguousarray(joined[:, start : start + size])
        kept, count = [joined[:, whole:].copy()], count - whole
    if count:
        yield np.concatenate(kept, axis=1)


def _checked_blocks(
    blocks: Iterable[NDArray[np.float32]], path: str | os.PathLike[str]
) -> Iterator[NDArray[np.float32]]:
    taken = 0
    for block in blocks:
        _check_finite(block, os.fspath(path), taken)
        taken += block.shape[1]
        yield block
    if not taken:
        raise _no_samples(path)


def _mean(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean over channels `[1, n]`; summed channel by channel, so blocks equal the whole."""
    if samples.shape[0] == 1:
        return samples
    total = samples[0].copy()
    for channel in samples[1:]:
        total += channel
    return (total / np.float32(samples.shape[0]))[None]


def _no_samples(path: str | os.PathLike[str]) -> AudioError:
    return AudioError(f"{os.fspath(path)} has 0 samples; leave it out or record it again")


def _check_finite(samples: NDArray[np.float32], what: str, before: int = 0) -> None:
    # A sum is finite only if all terms are; the search for the place is for the bad case.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(samples.sum()):
            return
    wrong = np.argwhere(~np.isfinite(samples))
    if wrong.size:
        channel, position = (int(i) for i in wrong[0])
        raise AudioError(
            f"{what} contains NaN or infinity, first in channel {channel} at sample "
            f"{before + position}; replace those samples"
        )


def _as_rate(rate: Any) -> int:
    try:
        whole = int(rate)
    except (TypeError, ValueError, OverflowError):
        whole = 0
    if isinstance(rate, bool) or whole != rate or not 1 <= whole <= MAX_RATE:
        raise AudioError(f"a rate must be a whole number of Hz, 1 to {MAX_RATE}; got {rate!r}")
    return whole


def _as_float32(array: NDArray[Any]) -> NDArray[np.float32]:
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return array.astype(np.float32, copy=False)
    if array.dtype == np.uint8:
        return ((array.astype(np.float32) - 128) / 128).astype(np.float32)
    if array.dtype in (np.int8, np.int16, np.int32):
        full_scale = 2.0 ** (8 * array.dtype.itemsize - 1)
        return (array / full_scale).astype(np.float32)
    raise AudioError(
        f"samples of type {array.dtype} have no known full scale; give float, int16 or int32"
    )


def format_of(path: Path) -> tuple[str, str]:
    """Container and default subtype for a suffix, by soundfile's names."""
    formats = {
        ".wav": ("WAV", "PCM_16"),
        ".flac": ("FLAC", "PCM_16"),
        ".ogg": ("OGG", "VORBIS"),
        ".opus": ("OGG", "OPUS"),
        ".mp3": ("MP3", "MPEG_LAYER_III"),
        ".aif": ("AIFF", "PCM_16"),
        ".aiff": ("AIFF", "PCM_16"),
        ".au": ("AU", "PCM_16"),
        ".caf": ("CAF", "PCM_16"),
    }
    try:
        return formats[path.suffix.lower()]
    except KeyError:
        raise AudioError(
            f"cannot write {path}: the suffix {path.suffix!r} is not one of "
            f"{', '.join(sorted(formats))}"
        ) from None


def encodable(block: NDArray[np.float32], subtype: str) -> NDArray[Any]:
    """Block `[n, channels]` as soundfile writes it without a loss that we did not choose.

    libsndfile scales floats to 16 bits by 32767 but reads by 1/32768; scaled here by a power of
    two, integer samples survive a round trip bit by bit.
    """
    bits = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}.get(subtype)
    if subtype in {"FLOAT", "DOUBLE"}:
        return block
    if bits is None:
        return np.clip(block, -1.0, 1.0)
    top = 2.0 ** (bits - 1)
    whole = np.clip(np.rint(block.astype(np.float64) * top), -top, top - 1)
    return np.left_shift(whole.astype(np.int32), 32 - bits)
