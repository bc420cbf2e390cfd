"""Audio: formats, scales, resampling, whole against streamed."""

import os
import stat
import sys
import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unisono.audio import Audio, probe, read_blocks, resampled_length
from unisono.errors import AudioError, MissingExtraError

FILES = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
RATES = [8000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000]


def noise(samples: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    numbers = np.random.default_rng(seed)
    return (0.2 * numbers.standard_normal((channels, samples))).astype(np.float32)


def tone(rate: int, seconds: float, hertz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype("f4")


def encode_with_av(path: Path, codec: str, samples: np.ndarray, rate: int, kind: str) -> None:
    layout = "mono" if samples.shape[0] == 1 else "stereo"
    if kind == "s16":
        samples = (samples * 32767).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = layout
        frame = av.AudioFrame.from_ndarray(samples, format=kind, layout=layout)
        frame.sample_rate = rate
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)


# Audio itself


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([0, 2**14, -(2**15)], np.int16), [0, 0.5, -1]),
        (np.array([0, 2**30, -(2**31)], np.int32), [0, 0.5, -1]),
        (np.array([0, 64, -128], np.int8), [0, 0.5, -1]),
        (np.array([128, 192, 0], np.uint8), [0, 0.5, -1]),
        (np.array([0, 0.5, -1.5], np.float64), [0, 0.5, -1.5]),
        ([0.0, 0.25], [0, 0.25]),
    ],
)
def test_arrays_come_to_full_scale_one(array, expected) -> None:
    audio = Audio(array, 16_000)
    assert audio.samples.dtype == np.float32
    assert audio.samples.tolist() == [expected]


def test_facts_and_mono() -> None:
    audio = Audio([[1.0, 0.0, 0.5], [0.0, -1.0, 0.5]], 2)
    assert (audio.channels, audio.length, audio.duration) == (2, 3, 1.5)
    assert audio.mono().samples.tolist() == [[0.5, -0.5, 0.5]]
    assert "2 x 3 samples" in repr(audio)
    with pytest.raises(AttributeError):
        audio.rate = 5


# Resampling


@settings(deadline=None)
@given(st.integers(1, 3000), st.sampled_from(RATES), st.sampled_from(RATES))
def test_resampled_length_is_the_ceiling(samples: int, rate: int, target: int) -> None:
    out = Audio(noise(samples, 2), rate).resample(target)
    assert out.rate == target
    assert out.length == resampled_length(samples, rate, target) == -(-samples * target // rate)


@pytest.mark.parametrize("rate", RATES)
def test_resampling_keeps_a_tone(rate: int) -> None:
    out = Audio(tone(rate, 1.0), rate).resample(16_000).samples[0]
    middle = slice(1000, 15_000)
    np.testing.assert_allclose(out[middle], tone(16_000, 1.0)[middle], atol=1e-3)


def test_same_rate_is_the_same_audio() -> None:
    audio = Audio(noise(100), 16_000)
    assert audio.resample(16_000) is audio


@FILES
@given(
    samples=st.integers(1, 60_000),
    channels=st.integers(1, 3),
    rate=st.sampled_from(RATES),
    target=st.sampled_from([None, *RATES]),
    seconds=st.floats(0.001, 3.0),
    mono=st.booleans(),
)
def test_streamed_equals_whole(tmp_path, samples, channels, rate, target, seconds, mono) -> None:
    path = tmp_path / "a.wav"
    Audio(noise(samples, channels, samples), rate).write(path, "FLOAT")
    whole = Audio.read(path)
    whole = (whole.mono() if mono else whole).resample(target or rate)
    blocks = list(read_blocks(path, target, seconds, mono))
    size = max(1, round(seconds * whole.rate))
    assert all(block.shape[-1] == size for block in blocks[:-1])
    assert 1 <= blocks[-1].shape[-1] <= size
    joined = np.concatenate(blocks, axis=-1)
    np.testing.assert_array_equal(joined, whole.samples[0] if mono else whole.samples)


def test_streaming_a_long_file_takes_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "hour.wav"
    with soundfile.SoundFile(path, "w", 8000, 1, "PCM_16") as file:
        for _ in range(60):
            file.write(np.zeros(8000 * 60, np.int16))
    tracemalloc.start()
    try:
        count = sum(len(block) for block in read_blocks(path, 16_000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 16_000 * 3600
    # The whole hour would be 230 MB of float32.
    assert peak < 30e6


# Files


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".caf"])
def test_every_sample_type_reads_on_one_scale(tmp_path: Path, subtype, suffix) -> None:
    if (suffix, subtype) == (".caf", "PCM_U8"):
        subtype = "PCM_S8"
    path = tmp_path / f"a{suffix}"
    # Eighths and full scale are exact in every type.
    exact = np.array([[0, 0.125, -0.5, 0.875, -1.0, 0.25]], np.float32)
    Audio(exact, 16_000).write(path, subtype)
    np.testing.assert_array_equal(Audio.read(path).samples, exact)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_all_16_bit_values_survive(tmp_path: Path, suffix: str) -> None:
    every = np.arange(-32_768, 32_768).astype(np.int16)
    Audio(every, 16_000).write(tmp_path / f"a{suffix}")
    stored, _ = soundfile.read(tmp_path / f"a{suffix}", dtype="int16")
    np.testing.assert_array_equal(stored, every)
    np.testing.assert_array_equal(
        Audio.read(tmp_path / f"a{suffix}").samples, Audio(every, 1).samples
    )


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32"])
def test_too_loud_is_clamped_not_wrapped(tmp_path: Path, subtype: str) -> None:
    Audio([2.0, -2.0, 1.0], 16_000).write(tmp_path / "a.wav", subtype)
    np.testing.assert_allclose(Audio.read(tmp_path / "a.wav").samples[0], [1, -1, 1], atol=1e-4)


def test_float_files_keep_what_is_too_loud(tmp_path: Path) -> None:
    Audio([2.0, -3.0], 16_000).write(tmp_path / "a.wav", "FLOAT")
    assert Audio.read(tmp_path / "a.wav").samples.tolist() == [[2.0, -3.0]]


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".au"])
@pytest.mark.parametrize("channels", [1, 2])
def test_formats_by_suffix(tmp_path: Path, suffix: str, channels: int) -> None:
    path = tmp_path / f"a{suffix}"
    original = Audio(np.stack([tone(48_000, 0.5)] * channels), 48_000)
    original.write(path)
    info = probe(path)
    assert (info.rate, info.channels, info.length) == (48_000, channels, 24_000)
    assert info.duration == 0.5
    back = Audio.read(path)
    assert back.samples.shape == original.samples.shape
    middle = slice(4800, 19_200)
    np.testing.assert_allclose(back.samples[:, middle], original.samples[:, middle], atol=0.05)


@pytest.mark.parametrize(
    ("name", "codec", "kind", "rate", "channels"),
    [
        ("a.m4a", "aac", "fltp", 44_100, 2),
        ("a.mp4", "aac", "fltp", 48_000, 1),
        ("a.g722", "g722", "s16", 16_000, 1),
        ("a.webm", "libopus", "flt", 48_000, 1),
    ],
)
def test_other_containers_through_pyav(tmp_path: Path, name, codec, kind, rate, channels) -> None:
    path = tmp_path / name
    sound = tone(rate, 1.0)
    encode_with_av(path, codec, np.stack([sound] * channels), rate, kind)
    back = Audio.read(path)
    assert (back.rate, back.channels) == (rate, channels)
    assert abs(back.duration - 1.0) < 0.06
    assert abs(probe(path).duration - 1.0) < 0.08
    spectrum = np.abs(np.fft.rfft(back.samples[0][: rate // 2]))
    assert abs(int(spectrum.argmax()) * 2 - 440) <= 2
    # Half a full scale in each channel; the encoders leave some ripple.
    loudness = np.sqrt((back.samples[:, rate // 4 : rate // 2] ** 2).mean(axis=1))
    np.testing.assert_allclose(loudness, 0.5 / np.sqrt(2), rtol=0.1)
    joined = np.concatenate(list(read_blocks(path, 16_000, 0.3)))
    np.testing.assert_array_equal(joined, back.mono().resample(16_000).samples[0])


def test_a_video_without_sound(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "v.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 32
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    with pytest.raises(AudioError, match=r"v\.mp4 holds no audio"):
        Audio.read(tmp_path / "v.mp4")


@pytest.fixture
def without_av(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without PyAV and with an empty PATH folder, which is returned."""
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setitem(sys.modules, "av", None)
    return tools


def test_without_pyav_and_ffmpeg_the_extra_is_named(tmp_path: Path, without_av: Path) -> None:
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    with pytest.raises(MissingExtraError, match=r"a\.m4a .*pip install 'unisono\[av\]'"):
        Audio.read(tmp_path / "a.m4a")
    (tmp_path / "a.wav").write_text("no audio")
    with pytest.raises(AudioError, match=r"a\.wav cannot be read as audio"):
        Audio.read(tmp_path / "a.wav")


def stand_in_for_ffmpeg(folder: Path, body: str) -> None:
    """A program named ffmpeg: what it writes to its standard output is what the real one would."""
    program = folder / "ffmpeg"
    program.write_text(f"#!{sys.executable}\nimport sys\n{body}")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def test_the_ffmpeg_program_is_read_as_au(tmp_path: Path, without_av: Path) -> None:
    samples = noise(5000, 2)
    reference = tmp_path / "reference.au"
    Audio(samples, 22_050).write(reference, "FLOAT")
    body = f"sys.stdout.buffer.write(open({os.fspath(reference)!r}, 'rb').read())"
    stand_in_for_ffmpeg(without_av, body)
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    back = Audio.read(tmp_path / "a.m4a")
    assert back.rate == 22_050
    np.testing.assert_array_equal(back.samples, samples)


def test_the_ffmpeg_program_fails(tmp_path: Path, without_av: Path) -> None:
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    stand_in_for_ffmpeg(without_av, "sys.exit('Invalid data')")
    with pytest.raises(AudioError, match=r"a\.m4a cannot be read"):
        Audio.read(tmp_path / "a.m4a")
    reference = tmp_path / "reference.au"
    Audio(noise(50), 8000).write(reference, "FLOAT")
    body = f"sys.stdout.buffer.write(open({os.fspath(reference)!r}, 'rb').read())\n"
    stand_in_for_ffmpeg(without_av, body + "sys.exit('moov atom lost')")
    with pytest.raises(AudioError, match=r"a\.m4a is damaged .*moov atom lost"):
        Audio.read(tmp_path / "a.m4a")
