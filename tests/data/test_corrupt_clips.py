"""Damaged clips: passed over, counted and named; the batch stays a function of its numbers."""

from __future__ import annotations

import io
import itertools
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from unisono.audio import Audio
from unisono.data.dataset import ClipSet, read_sequence, replacements, take_sequence
from unisono.data.decode import header_seconds, read_mono
from unisono.data.manifest import ManifestItem, write_manifest
from unisono.errors import AudioError, DataError
from unisono.evaluation.benchmarks.loader import write_forms

RATE = 16_000


def wave(number, seconds=0.5):
    return (0.1 * np.random.default_rng(number).standard_normal(round(seconds * RATE))).astype("f4")


@pytest.fixture
def corpus(tmp_path):
    """Ten clips of a manifest; 2 is missing, 5 is no audio, 7 has NaN, 8 is cut short."""
    items = []
    for n in range(10):
        soundfile.write(tmp_path / f"{n}.wav", wave(n, 0.5 + 0.1 * n), RATE, subtype="FLOAT")
        items.append(ManifestItem(path=f"{n}.wav", duration=0.5 + 0.1 * n, text=str(n)))
    (tmp_path / "2.wav").unlink()
    (tmp_path / "5.wav").write_bytes(b"not audio at all" * 99)
    broken = wave(7, 1.2)
    broken[5000] = np.nan
    soundfile.write(tmp_path / "7.wav", broken, RATE, subtype="FLOAT")
    data = (tmp_path / "8.wav").read_bytes()
    (tmp_path / "8.wav").write_bytes(data[: len(data) // 4])
    write_manifest(tmp_path / "m.jsonl", items)
    return tmp_path / "m.jsonl"


BAD = {2, 5, 7, 8}


def test_a_bad_clip_gives_way_to_a_good_one_and_is_named_once(corpus, caplog):
    clips = ClipSet([corpus])
    taken = [clips.take(n) for n in range(10)] + [clips.take(n) for n in range(10)]
    for number, clip in zip([*range(10), *range(10)], taken, strict=True):
        assert clip.index not in BAD
        assert (clip.index == number) is (number not in BAD)
        np.testing.assert_array_equal(clip.samples, wave(clip.index, 0.5 + 0.1 * clip.index))
    assert {name[-5] for name in clips.failures} == set("2578")
    reasons = " ".join(clips.failures.values())
    for part in ("does not exist", "audio", "NaN", "8.wav ends after"):
        assert part in reasons
    assert caplog.text.count("passed over") == 4


def test_what_is_read_does_not_depend_on_what_was_read_before(corpus):
    straight = [ClipSet([corpus]).take(n) for n in range(10)]
    clips = ClipSet([corpus])
    order = np.random.default_rng(0).permutation(10)
    walked = {int(n): clips.take(int(n)) for n in order}
    for n in range(10):
        assert walked[n].index == straight[n].index
        np.testing.assert_array_equal(walked[n].samples, straight[n].samples)


def test_crops_of_a_replacement_fit_into_it(corpus):
    clips = ClipSet([corpus])
    for n in range(10):
        crop = clips.read(n, clips.items[n].duration - 0.4, 0.4)
        assert len(crop) == round(0.4 * RATE)
    beyond = clips.take(8, 1.1, 1.3)
    assert len(beyond.samples) / RATE == min(1.3, clips.items[beyond.index].duration)


def test_sequences_say_which_clips_they_hold(corpus):
    clips = ClipSet([corpus])
    samples, taken = take_sequence(clips, [1, 2, 3])
    assert taken[0] == 1 and taken[2] == 3 and taken[1] not in BAD
    np.testing.assert_array_equal(samples, read_sequence(clips, [1, 2, 3]))
    np.testing.assert_array_equal(read_sequence(clips, [1, 3]), read_sequence(clips, [1, 3]))


def test_more_than_half_bad_is_an_error(corpus):
    clips = ClipSet([corpus])
    for n in (0, 1):
        (corpus.parent / f"{n}.wav").unlink()
    with pytest.raises(DataError, match=r"6 of 10 clips cannot be read.*disk"):
        [clips.take(n) for n in range(10)]


def test_a_lone_bad_clip_is_an_error(tmp_path):
    write_manifest(tmp_path / "m.jsonl", [ManifestItem(path="none.wav", duration=1.0)])
    with pytest.raises(DataError, match=r"no clip can be read.*none\.wav does not exist"):
        ClipSet([tmp_path / "m.jsonl"]).read(0)


@given(st.integers(1, 500), st.data())
def test_replacements_are_other_clips_each_once(size, data):
    index = data.draw(st.integers(0, size - 1))
    found = list(replacements(index, size))
    assert len(set(found)) == len(found) == min(size - 1, 64)
    assert index not in found and all(0 <= other < size for other in found)
    assert found == list(replacements(index, size))


def test_replacements_of_neighbours_are_spread():
    firsts = [next(replacements(n, 100_000)) for n in range(200)]
    assert np.median(np.abs(np.diff(firsts))) > 5000


@pytest.mark.parametrize("form", ["folder", "WebDataset", "Parquet", "Hugging Face"])
def test_a_clip_without_a_header_is_left_out_and_named(form, tmp_path):
    clips = [(Audio(wave(n), RATE), f"text {n}") for n in range(3)]
    entries = write_forms(clips, tmp_path)
    whole = (tmp_path / "folder" / "000001.flac").read_bytes()
    noise = bytes(np.random.default_rng(0).integers(0, 256, len(whole), np.uint8))
    changed = 0
    for path in tmp_path.rglob("*"):
        if path.is_file() and whole in path.read_bytes():
            path.write_bytes(path.read_bytes().replace(whole, noise))
            changed += 1
    assert changed >= 1 + (form == "WebDataset")
    if form == "Parquet":
        rows = {"audio": [noise if n == 1 else whole for n in range(3)], "text": list("012")}
        pq.write_table(pa.table(rows), tmp_path / "clips.parquet")
    for _ in range(2):
        found = ClipSet([entries[form]])
        assert [item.text[-1] for item in found.items] == ["0", "2"]
        assert len(found.failures) == 1
        [(where, why)] = found.failures.items()
        assert "1" in where and "audio" in why


def test_damage_after_the_header_is_passed_over_in_a_shard(tmp_path):
    entry = write_forms([(Audio(wave(n), RATE), str(n)) for n in range(6)], tmp_path)["WebDataset"]
    [path] = tmp_path.glob("*.tar")
    whole = (tmp_path / "folder" / "000003.flac").read_bytes()
    hurt = whole[:200] + bytes(len(whole) - 200)
    path.write_bytes(path.read_bytes().replace(whole, hurt))
    clips = ClipSet([entry])
    assert len(clips) == 6
    assert clips.take(3).index != 3
    [(where, _)] = clips.failures.items()
    assert where.endswith("shard-00000.tar/000003.flac")


@pytest.mark.parametrize("keep", [0.3, 0.55, 0.9])
def test_a_shard_cut_short_gives_what_is_whole(tmp_path, keep):
    entry = write_forms([(Audio(wave(n), RATE), str(n)) for n in range(8)], tmp_path)["WebDataset"]
    [path] = tmp_path.glob("*.tar")
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    clips = ClipSet([entry])
    assert 0 < len(clips) < 8 and clips.failures
    assert [i.text for i in clips.items[:-1]] == [str(n) for n in range(len(clips) - 1)]
    for n in range(len(clips)):
        np.testing.assert_allclose(clips.read(n), wave(n), atol=1e-4)


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "MP3"])
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_any_damage_gives_samples_or_an_audio_error(form, data):
    buffer = io.BytesIO()
    soundfile.write(buffer, wave(0), RATE, format=form)
    encoded = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        # Half of the damage in the header, where it hurts most.
        end = data.draw(st.sampled_from([min(120, len(encoded)), len(encoded)]))
        encoded[data.draw(st.integers(0, end - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([len(encoded), len(encoded) // 2, 20]))
    name = f"clip.{form.lower()}"
    try:
        seconds = header_seconds(bytes(encoded[:cut]), name)
        samples = read_mono(bytes(encoded[:cut]), name, 0.0, min(seconds, 60.0), RATE)
    except AudioError as error:
        assert name in str(error)
    else:
        assert samples.dtype == np.float32 and np.isfinite(samples).all()


def test_a_name_that_is_no_utf8_and_a_text_that_is_none_are_named(tmp_path):
    for name in (b"good.wav", b"b\xe4d.wav", b"text.wav"):
        soundfile.write(tmp_path / "x.wav", wave(0), RATE)
        (tmp_path / "x.wav").rename(os.fsdecode(bytes(tmp_path) + b"/" + name))
    (tmp_path / "text.txt").write_bytes(b"b\xe4d")
    for _ in range(2):
        clips = ClipSet([tmp_path])
        assert [item.path for item in clips.items] == ["good.wav"]
        assert sorted(Path(where).name for where in clips.failures) == [r"b\udce4d.wav", "text.wav"]


@pytest.mark.parametrize("form", ["tar", "parquet"])
def test_a_damaged_file_among_others_is_named_and_passed_over(form, tmp_path):
    write_forms([(Audio(wave(n), RATE), str(n)) for n in range(3)], tmp_path)
    good = next(iter(tmp_path.glob(f"*.{form}")))
    folder = tmp_path / "set"
    folder.mkdir()
    good.rename(folder / f"set-1.{form}")
    (folder / f"set-0.{form}").write_bytes(b"PAR1 neither this nor that" * 50)
    (tmp_path / "list.txt").write_text(f"set/set-0.{form}\nset/set-1.{form}\n")
    entries = [folder, f"{folder}/set-{{0..1}}.{form}", f"{folder}/*.{form}", tmp_path / "list.txt"]
    for entry in entries:
        clips = ClipSet([entry])
        assert len(clips) == 3
        [where] = clips.failures
        assert where.endswith(f"set-0.{form}")
    with pytest.raises(DataError, match=rf"1 failed, as .*set-0\.{form}"):
        ClipSet([folder / f"set-0.{form}"])


def test_rows_without_audio_or_with_a_wrong_kind_are_named(tmp_path):
    buffer = io.BytesIO()
    soundfile.write(buffer, wave(0), RATE, format="WAV")
    good = buffer.getvalue()
    rows = {"audio": [good, None, good, b""], "kind": ["speech", "speech", "talk", "speech"]}
    pq.write_table(pa.table(rows), tmp_path / "a.parquet")
    clips = ClipSet([tmp_path / "a.parquet"])
    assert len(clips) == 1
    reasons = list(itertools.chain(clips.failures.values()))
    assert len(reasons) == 3
    assert "holds no audio" in reasons[0] and "kind" in reasons[1]
    assert all("row group 0, row" in where for where in clips.failures)
