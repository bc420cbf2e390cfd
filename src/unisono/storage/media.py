"""Sources of audio blocks: soundfile first, then PyAV, then the ffmpeg program."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from unisono.errors import AudioError, MissingExtraError

__all__ = ["MAX_CHANNELS", "MAX_RATE", "MediaSource", "open_media"]

MAX_CHANNELS = 64
MAX_RATE = 10_000_000
# Values read at once, over all channels: 4 MB of float32.
BLOCK_VALUES = 1 << 20
# What soundfile reads by itself; a file so named that it cannot read is damaged or something else.
OWN_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".mp3", ".opus", ".aif", ".aiff", ".au", ".caf"})
# FFmpeg also opens playlists, which name further files and addresses: only plain containers here.
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,aac,ac3,eac3,amr,amrnb,amrwb,ape,asf,avi,caf,dts,flac,"
    "flv,g722,g726,gsm,aiff,au,mp3,mpeg,mpegts,ogg,tta,w64,wav,wv"
)


@dataclass(frozen=True)
class MediaSource:
    """An opened file: its facts and its samples, once, in order.

    `length` (samples) is exact for what soundfile reads, an estimate from the header for other
    containers and 0 where these do not say. `blocks` yields float32 `[n, channels]`.
    """

    rate: int
    channels: int
    length: int
    format: str
    blocks: Iterator[NDArray[np.float32]]


@contextmanager
def open_media(path: str | os.PathLike[str]) -> Iterator[MediaSource]:
    """Open an audio file; `AudioError` tells in one sentence why it cannot be read."""
    path = Path(path)
    _check_path(path)
    sound = _try_soundfile(path)
    if sound is not None:
        with sound:
            facts = sound.samplerate, sound.channels, sound.frames, sound.format
            yield _checked(path, MediaSource(*facts, blocks=_soundfile_blocks(path, sound)))
    elif importlib.util.find_spec("av") is not None:
        with _open_av(path) as source:
            yield _checked(path, source)
    elif shutil.which("ffmpeg"):
        with _open_ffmpeg(path) as source:
            yield _checked(path, source)
    elif path.suffix.lower() in OWN_SUFFIXES:
        raise _not_audio(path)
    else:
        raise MissingExtraError(
            f"{path} is not wav, flac, ogg or mp3, and reading other formats needs the 'av' extra: "
            "pip install 'unisono[av]'"
        )


def _check_path(path: Path) -> None:
    try:
        if path.is_dir():
            raise AudioError(f"{path} is a folder; give an audio file")
        if not path.exists():
            raise AudioError(f"{path} does not exist; check the path")
        if path.is_file() and path.stat().st_size == 0:
            raise AudioError(f"{path} is empty (0 bytes); copy or record it again")
        with path.open("rb"):
            pass
    except OSError as error:
        raise AudioError(f"{path} cannot be opened: {error.strerror}; check its rights") from error


def _checked(path: Path, source: MediaSource) -> MediaSource:
    if not 1 <= source.channels <= MAX_CHANNELS:
        raise AudioError(
            f"{path} has {source.channels} channels, more than the {MAX_CHANNELS} that are taken; "
            "mix it down first"
        )
    if not 1 <= source.rate <= MAX_RATE:
        raise AudioError(
            f"{path} states a rate of {source.rate} Hz, which no audio has; repair its header"
        )
    return source


def _not_audio(path: Path, reason: str = "its content is no audio format known here") -> AudioError:
    return AudioError(f"{path} cannot be read as audio ({reason}); check the file or convert it")


def _broken(path: Path, at: int, reason: str) -> AudioError:
    return AudioError(
        f"{path} is damaged or truncated after {at} samples ({reason}); copy it again or save what "
        "is left of it with an audio editor"
    )


# soundfile


def _try_soundfile(path: Path) -> soundfile.SoundFile | None:
    """The file opened by libsndfile, or None where it does not know the format."""
    try:
        return soundfile.SoundFile(os.fspath(path))
    except (soundfile.LibsndfileError, TypeError):
        # TypeError: a suffix that soundfile takes for headerless samples, such as .raw.
        return None


def _soundfile_blocks(path: Path, sound: soundfile.SoundFile) -> Iterator[NDArray[np.float32]]:
    _check_promise(path, sound)
    size = max(1, BLOCK_VALUES // sound.channels)
    done = 0
    while True:
        try:
            block = sound.read(size, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            reason = error.error_string.removeprefix("Error : ").strip(" .")
            raise _broken(path, done, reason) from error
        if not len(block):
            break
        done += len(block)
        yield block
    # The length that a lossy header states may be off by the codec's padding, not by more.
    slack = 4608 if sound.format in {"MP3", "MPEG", "OGG"} else 0
    if done + slack < sound.frames:
        raise _broken(path, done, f"its header promises {sound.frames}")


def _check_promise(path: Path, sound: soundfile.SoundFile) -> None:
    """Refuse a wav or ogg that ends early: libsndfile shortens it and raises nothing."""
    found = re.search(r"data : (\d+) \(should be (\d+)\)", sound.extra_info)
    if sound.format == "OGG" and _ends_inside_page(path):
        raise _broken(path, sound.frames, "it ends inside an Ogg page")
    if found is None:
        return
    promised, present = int(found[1]), int(found[2])
    # Recorders that stream leave nearly 2**31 or 2**32 there, meaning "until the end".
    if present < promised < 0x7FFF0000:
        reason = f"its header promises {promised} bytes, {present} are there"
        raise _broken(path, sound.frames, reason)


def _ends_inside_page(path: Path) -> bool:
    """Whether the last Ogg page (RFC 3533: 27 bytes, segment table, segments) is cut short."""
    with path.open("rb") as file:
        # A page has at most 65,307 bytes.
        file.seek(max(0, path.stat().st_size - 65_307))
        tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return True
    table = page[27 : 27 + page[26]]
    return len(page) < 27 + len(table) + sum(table)


# PyAV


@contextmanager
def _open_av(path: Path) -> Iterator[MediaSource]:
    import av

    options = {"protocol_whitelist": "file", "format_whitelist": CONTAINERS}
    try:
        container = av.open(os.fspath(path.resolve()), options=options)
    except av.FFmpegError as error:
        raise _not_audio(path, f"FFmpeg: {error.strerror}") from error
    with container:
        if not container.streams.audio:
            raise AudioError(f"{path} holds no audio; give a file with an audio track")
        stream = container.streams.audio[0]
        # A raw demuxer chosen by the suffix alone finds a stream in anything, but no facts of it;
        # a damaged file may have a stream without a decoder, which has not even the attributes.
        if not getattr(stream, "channels", 0) or not getattr(stream, "rate", 0):
            raise _not_audio(path)
        length = 0
        if stream.duration is not None and stream.time_base is not None:
            length = round(stream.duration * stream.time_base * stream.rate)
        elif container.duration is not None:
            length = round(container.duration * stream.rate / 1_000_000)
        yield MediaSource(
            rate=stream.rate,
            channels=stream.channels,
            length=length,
            format=container.format.name.split(",")[0].upper(),
            blocks=_av_blocks(path, container, stream),
        )


def _av_blocks(path: Path, container: Any, stream: Any) -> Iterator[NDArray[np.float32]]:
    import av

    # Only the sample format changes here; rate and channels stay as they are.
    convert = av.AudioResampler(format="flt", layout=stream.layout, rate=stream.rate)
    done = 0
    try:
        for frame in container.decode(stream):
            for part in convert.resample(frame):
                block = _av_samples(part, stream)
                done += len(block)
                yield block
        for part in convert.resample(None):
            yield _av_samples(part, stream)
    except (av.FFmpegError, ValueError) as error:
        raise _broken(path, done, str(error).split(";")[0]) from error


def _av_samples(frame: Any, stream: Any) -> NDArray[np.float32]:
    return np.asarray(frame.to_ndarray(), dtype=np.float32).reshape(-1, stream.channels)


# The ffmpeg program


@contextmanager
def _open_ffmpeg(path: Path) -> Iterator[MediaSource]:
    # A Sun .au stream says rate and channels in 24 bytes, so one process is enough.
    command = ["ffmpeg", "-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe"]
    command += ["-format_whitelist", CONTAINERS, "-i", os.fspath(path.resolve())]
    command += ["-map", "0:a:0", "-c:a", "pcm_f32be", "-f", "au", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            head = process.stdout.read(24)
            if len(head) < 24 or head[:4] != b".snd":
                raise _not_audio(path)
            start, _, _, rate, channels = struct.unpack(">5I", head[4:])
            process.stdout.read(start - 24)
            yield MediaSource(
                rate,
                channels,
                0,
                path.suffix.lstrip(".").upper(),
                _ffmpeg_blocks(path, process, channels),
            )
        finally:
            process.kill()


def _ffmpeg_blocks(path: Path, process: Any, channels: int) -> Iterator[NDArray[np.float32]]:
    size = max(1, BLOCK_VALUES // channels) * channels * 4
    done = 0
    while data := process.stdout.read(size):
        data = data[: len(data) // (4 * channels) * 4 * channels]
        block = np.frombuffer(data, dtype=">f4").astype(np.float32).reshape(-1, channels)
        done += len(block)
        yield block
    message = process.stderr.read().decode(errors="replace").strip()
    if process.wait() or message:
        raise _broken(path, done, message.splitlines()[-1] if message else "ffmpeg failed")
