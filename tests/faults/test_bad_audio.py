"""Bad audio: one sentence with the file and the problem, and nothing half-written."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unisono.audio import Audio, probe, read_blocks
from unisono.errors import AudioError, UnisonoError
from unisono.storage.atomic import atomic_path
from unisono.tokens import AudioTokens, TokenLayout, TokenStream


def noise(samples: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(samples)).astype(np.float32)


def refused(path: Path, problem: str) -> None:
    """Whole and streamed reading give the same single sentence that names the file."""
    messages = []
    for read in (Audio.read, lambda p: list(read_blocks(p, 16_000))):
        with pytest.raises(AudioError, match=problem) as caught:
            read(path)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert str(path) in messages[0]
    assert "\n" not in messages[0] and len(messages[0]) < 250 + len(str(path))


def test_missing(tmp_path: Path) -> None:
    refused(tmp_path / "none.wav", "does not exist; check the path")


def test_empty(tmp_path: Path) -> None:
    (tmp_path / "e.wav").write_bytes(b"")
    refused(tmp_path / "e.wav", "is empty")


def test_folder(tmp_path: Path) -> None:
    refused(tmp_path, "is a folder")


@pytest.mark.parametrize("name", ["t.wav", "t.flac", "t.mp3", "t.m4a", "t.txt", "t.raw", "t"])
def test_text_as_audio(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("This is a text and not a sound.\n" * 200)
    refused(tmp_path / name, "cannot be read as audio")


def test_a_playlist_is_not_followed(tmp_path: Path) -> None:
    Audio(noise(1000), 16_000).write(tmp_path / "a.wav")
    entry = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\na.wav\n#EXT-X-ENDLIST\n"
    for name in ("list.m3u8", "list.wav"):
        (tmp_path / name).write_text(entry)
        refused(tmp_path / name, "cannot be read as audio")


@pytest.mark.parametrize("suffix", [".flac", ".wav", ".mp3", ".ogg"])
def test_truncated(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    Audio(noise(80_000), 16_000).write(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(path, "is damaged or truncated after .*copy it again")


def test_flac_damaged_far_inside_is_named_while_streaming(tmp_path: Path) -> None:
    path = tmp_path / "d.flac"
    Audio(noise(2_000_000), 16_000).write(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 9 // 10])
    blocks = read_blocks(path, block_seconds=10)
    assert len(next(blocks)) == 160_000
    with pytest.raises(AudioError, match="damaged or truncated"):
        list(blocks)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF])
def test_wav_of_a_streaming_recorder_is_whole(tmp_path: Path, size: int) -> None:
    path = tmp_path / "s.wav"
    Audio(noise(5000), 16_000).write(path)
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", size)
    data[4:8] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(data)
    assert Audio.read(path).length == 5000


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_a_number(tmp_path: Path, value: float) -> None:
    samples = noise(700_000)
    samples[600_001] = value
    soundfile.write(tmp_path / "n.wav", samples, 16_000, subtype="FLOAT")
    refused(tmp_path / "n.wav", "NaN or infinity, first in channel 0 at sample 600001")


@pytest.mark.parametrize("suffix", [".wav", ".ogg"])
def test_no_samples(tmp_path: Path, suffix: str) -> None:
    soundfile.write(tmp_path / f"z{suffix}", np.zeros(0), 16_000)
    refused(tmp_path / f"z{suffix}", "has 0 samples")


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
@pytest.mark.parametrize("rate", [8000, 48_000])
def test_one_sample_is_audio(tmp_path: Path, suffix: str, rate: int) -> None:
    path = tmp_path / f"o{suffix}"
    Audio([0.5], rate).write(path)
    assert Audio.read(path).length == probe(path).length == 1
    assert sum(map(len, read_blocks(path, 16_000))) == (2 if rate == 8000 else 1)


def test_a_thousand_channels(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "c.wav", np.zeros((10, 1000)), 16_000)
    refused(tmp_path / "c.wav", "has 1000 channels, more than the 64")
    with pytest.raises(AudioError, match="1000 channels"):
        probe(tmp_path / "c.wav")


@pytest.mark.parametrize(
    ("samples", "rate", "problem"),
    [
        ([], 16_000, "at least one sample"),
        (np.zeros((2, 0)), 16_000, "at least one sample"),
        (np.zeros((1, 2, 3)), 16_000, r"shape \[1, 2, 3\]"),
        (np.zeros((1000, 2)), 16_000, "1000 channels.*transpose"),
        ([0.0, np.nan], 16_000, "NaN or infinity.* at sample 1"),
        ([1e300], 16_000, "NaN or infinity"),
        ([True], 16_000, "type bool"),
        (np.array([1], np.int64), 16_000, "type int64"),
        (["a"], 16_000, "type"),
        ([1j], 16_000, "type complex"),
        ([0.0], 0, "rate"),
        ([0.0], -5, "rate"),
        ([0.0], 0.5, "rate"),
        ([0.0], "fast", "rate"),
        ([0.0], None, "rate"),
    ],
)
def test_bad_arrays(samples, rate, problem: str) -> None:
    with pytest.raises(AudioError, match=problem):
        Audio(samples, rate)


def test_bad_block_length(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="block_seconds"):
        next(read_blocks(tmp_path / "a.wav", block_seconds=0))


def writers():
    layout = TokenLayout((TokenStream("audio", 25, 1, 8),))
    tokens = AudioTokens({"audio": [1]}, 640, 16_000, layout)
    return [(Audio(noise(100), 16_000).write, "a.wav"), (tokens.save, "a.utok")]


@pytest.mark.parametrize("which", [0, 1])
def test_unwritable_output(tmp_path: Path, which: int) -> None:
    write, name = writers()[which]
    (tmp_path / "file").write_text("kept")
    (tmp_path / name).mkdir()
    for path, problem in (
        (tmp_path / "no such folder" / name, "no such folder does not exist; create it"),
        (tmp_path / "file" / name, "cannot write .*Not a directory"),
        (tmp_path / name, "it is a folder"),
        (tmp_path / ("x" * 300 + name), "cannot write .*File name too long"),
    ):
        with pytest.raises(UnisonoError, match=problem):
            write(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["file", name])
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize(
    ("name", "rate", "channels", "subtype", "problem"),
    [
        ("a.xyz", 16_000, 1, None, r"suffix '\.xyz' is not one of"),
        ("a", 16_000, 1, None, "suffix"),
        ("a.mp3", 12_345, 1, None, "12345 Hz"),
        ("a.opus", 44_100, 1, None, "44100 Hz"),
        ("a.mp3", 16_000, 3, None, "3 channels"),
        ("a.flac", 16_000, 9, None, "9 channels"),
        ("a.flac", 16_000, 1, "FLOAT", "no subtype FLOAT; it has .*PCM_16"),
    ],
)
def test_what_a_format_does_not_take(
    tmp_path: Path, name: str, rate: int, channels: int, subtype: str | None, problem: str
) -> None:
    with pytest.raises(AudioError, match=problem):
        Audio(np.stack([noise(100)] * channels), rate).write(tmp_path / name, subtype)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="stopped"), atomic_path(path) as temporary:
        temporary.write_text("half")
        assert path.read_text() == "old"
        raise RuntimeError("stopped")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    with atomic_path(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    problem = OSError(28, "No space left on device")
    with pytest.raises(UnisonoError, match=r"a\.txt: No space left on device"):  # noqa: SIM117
        with atomic_path(tmp_path / "a.txt"):
            raise problem
    assert not list(tmp_path.iterdir())
