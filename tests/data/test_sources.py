"""Every form of data gives the same clips, and what is unknown or wrong is named."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import webdataset

from unisono.audio import Audio
from unisono.data.dataset import ClipSet
from unisono.data.manifest import ManifestItem, write_manifest
from unisono.data.sources import Opener, parse_entry
from unisono.data.sources.base import set_name
from unisono.data.sources.find import expand_braces
from unisono.data.sources.huggingface import HuggingFaceSource
from unisono.data.sources.parquet import KeptGroups
from unisono.errors import ConfigError, DataError
from unisono.evaluation.benchmarks.loader import write_forms

FORMS = ("folder", "manifest", "WebDataset", "Parquet", "Hugging Face")
RATE = 16_000


def tone(number, seconds, rate=RATE):
    time = np.arange(round(seconds * rate)) / rate
    # Multiples of 1/32768, so that 16 bits hold them exactly.
    return np.round(8000 * np.sin(2 * np.pi * (200 + 50 * number) * time)) / np.float32(32768)


def encode(wave, rate=RATE, form="WAV"):
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, rate, format=form, subtype="PCM_16")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    clips = [(Audio(tone(n, 0.2 + 0.05 * n), RATE), f"text {n}") for n in range(70)]
    return clips, write_forms(clips, tmp_path_factory.mktemp("forms"))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_clips(forms, form):
    clips, entries = forms
    found = ClipSet([entries[form]])
    assert not found.failures
    assert [item.text for item in found.items] == [text for _, text in clips]
    for n in (0, 1, 33, 69):
        wave = clips[n][0].samples[0]
        assert found.items[n].duration == pytest.approx(len(wave) / RATE, abs=1e-9)
        np.testing.assert_array_equal(found.read(n), wave)
        part = found.read(n, 0.05, 0.1)
        np.testing.assert_array_equal(part, wave[800:2400])
        assert part.dtype == np.float32


@pytest.mark.parametrize("form", FORMS)
def test_a_pickled_copy_reads_the_same(forms, form):
    found = ClipSet([forms[1][form]])
    before = found.read(3)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(found)).read(3), before)


def test_shards_of_the_webdataset_package_are_read(tmp_path):
    with webdataset.TarWriter(str(tmp_path / "train-0.tar")) as sink:
        for n in range(3):
            sink.write({
                "__key__": f"a/clip{n}",
                "wav": encode(tone(n, 0.3)),
                "txt": f"said {n}",
                "cls": "bell",
                "json": {"language": "en", "speaker": 7, "duration": 9, "odd": [1]},
            })  # fmt: skip
    found = ClipSet([f"{tmp_path}/train-0.tar?kind=sound"], kinds=["sound"])
    assert [i.path for i in found.items] == [f"train-0.tar/a/clip{n}.wav" for n in range(3)]
    item = found.items[1]
    assert (item.text, item.label, item.language, item.speaker) == ("said 1", "bell", "en", "7")
    assert item.duration == pytest.approx(0.3)
    np.testing.assert_array_equal(found.read(2), tone(2, 0.3))


def test_parquet_of_the_reference(tmp_path):
    """Bare bytes, one of text, caption, emotion, sap a row; a list with weights."""
    sap = json.dumps({"transcription": "hi"})
    for name, column, value in (("a", "text", "hi"), ("b", "sap", sap), ("c", "emotion", "Anger")):
        table = pa.table({"audio": [encode(tone(0, 0.2))] * 2, column: [value] * 2})
        pq.write_table(table, tmp_path / f"{name}.parquet")
    (tmp_path / "list.txt").write_text("# sets\na.parquet\n\nb.parquet 3\nc.parquet?source=x\n")
    items = ClipSet([f"{tmp_path}/list.txt?weight=2"]).items
    assert [item.text for item in items].count("hi") == 4
    assert [item.sap for item in items].count(sap) == 12
    assert [(i.emotion, i.source) for i in items].count(("Anger", "x")) == 4
    assert len(items) == 20


def test_a_sap_struct_becomes_json(tmp_path):
    rows = {"audio": [encode(tone(0, 0.2))], "sap": [{"transcription": "hé"}]}
    pq.write_table(pa.table(rows), tmp_path / "a.parquet")
    [item] = ClipSet([tmp_path / "a.parquet"]).items
    assert json.loads(item.sap) == {"transcription": "hé"}
    assert "hé" in item.sap


@pytest.mark.parametrize(("stated", "used"), [(0.31, True), (310.0, False)])
def test_a_duration_column_counts_only_in_seconds(tmp_path, stated, used, caplog):
    rows = {"audio": [encode(tone(0, 0.3))], "duration": [stated], "text": ["x"]}
    pq.write_table(pa.table(rows), tmp_path / "a.parquet")
    [item] = ClipSet([tmp_path / "a.parquet"]).items
    assert item.duration == pytest.approx(stated if used else 0.3)
    assert ("duration" in caplog.text) is not used


def test_row_groups_kept_or_passed_through_give_the_same(tmp_path):
    rows = {"audio": [bytes([n]) * 5000 for n in range(200)]}
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(rows), path, row_group_size=70)
    for limit in (1 << 20, 400_000, 1000):
        kept = KeptGroups(limit)
        found = [kept.value(path, "audio", n // 70, n % 70) for n in (199, 0, 69, 70, 139, 33, 0)]
        assert found == [rows["audio"][n] for n in (199, 0, 69, 70, 139, 33, 0)]
        assert kept.kept_bytes() <= limit
        assert (kept.kept_bytes() > 0) is (limit > 1000)


def test_parquet_files_of_one_set_share_what_they_keep(tmp_path):
    for n in range(3):
        pq.write_table(pa.table({"audio": [encode(tone(n, 0.2))]}), tmp_path / f"{n}.parquet")
    clips = ClipSet([f"{tmp_path}/{{0..1}}.parquet", tmp_path / "2.parquet"])
    for n in range(3):
        np.testing.assert_array_equal(clips.read(n), tone(n, 0.2))
    assert len({id(source._kept) for source in clips._sources}) == 1
    assert clips._sources[0]._kept.kept_bytes() > 3 * 6400


def test_hugging_face_splits_labels_and_paths(tmp_path):
    soundfile.write(tmp_path / "x.wav", tone(1, 0.2), RATE)
    audio = [{"bytes": None, "path": str(tmp_path / "x.wav")}]
    audio.append({"bytes": encode(tone(2, 0.3)), "path": None})
    made = datasets.Dataset.from_dict({"voice": audio, "label": [1, 0]})
    made = made.cast_column("voice", datasets.Audio())
    made = made.cast_column("label", datasets.ClassLabel(names=["dog", "cat"]))
    whole = datasets.DatasetDict({"train": made, "validation": made.select([0])})
    whole.save_to_disk(str(tmp_path / "set"))
    train, valid = (ClipSet([tmp_path / "set"], split=split) for split in ("train", "valid"))
    assert [i.label for i in train.items] == ["cat", "dog"]
    assert [i.label for i in valid.items] == ["cat"]
    np.testing.assert_array_equal(train.read(0), tone(1, 0.2))
    np.testing.assert_array_equal(train.read(1), tone(2, 0.3))
    assert [i.label for i in ClipSet([HuggingFaceSource(made)]).items] == ["cat", "dog"]


def test_what_datasets_loads_from_a_local_folder(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    table = pa.table({"audio": [{"bytes": encode(tone(4, 0.2)), "path": "a.wav"}], "text": ["x"]})
    pq.write_table(table, tmp_path / "data" / "train-00000-of-00001.parquet")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    found = ClipSet([f"hf:{tmp_path}"])
    assert [i.text for i in found.items] == ["x"]
    np.testing.assert_array_equal(found.read(0), tone(4, 0.2))


def test_streaming_sets_are_refused():
    stream = datasets.Dataset.from_dict({"audio": [b""]}).to_iterable_dataset()
    with pytest.raises(DataError, match="random access"):
        HuggingFaceSource(stream)


def test_folders_with_texts_labels_splits_and_other_formats(tmp_path):
    for name in ("train/dog/a.wav", "train/cat/b.flac", "dev-clean/cat/c.ogg", ".hidden/d.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / name, tone(1, 0.3), RATE)
    (tmp_path / "train/dog/a.txt").write_text("wow\n")
    entry = f"{tmp_path}?kind=sound&labels=true&language=en"
    train = ClipSet([entry], kinds=["sound"]).items
    assert [(i.path, i.label, i.text) for i in train] == [
        ("train/cat/b.flac", "cat", ""),
        ("train/dog/a.wav", "dog", "wow"),
    ]
    assert train[0].language == "en" and train[0].source == tmp_path.name
    [held] = ClipSet([entry], kinds=["sound"], split="valid").items
    assert held.path == "dev-clean/cat/c.ogg"


def test_other_rates_and_channels_come_as_mono_at_the_rate(tmp_path):
    stereo = np.stack([tone(0, 1.0, 44100), tone(1, 1.0, 44100)], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, 44100, subtype="FLOAT")
    found = ClipSet([tmp_path], rate=22050)
    expected = Audio.read(tmp_path / "a.wav").mono().resample(22050).samples[0]
    np.testing.assert_array_equal(found.read(0), expected)


def test_bytes_that_only_pyav_reads(tmp_path):
    import av

    path = tmp_path / "a.m4a"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=RATE, layout="mono")
        wave = tone(2, 1.0)[None].astype(np.float32)
        for start in range(0, RATE, 1024):
            frame = av.AudioFrame.from_ndarray(wave[:, start : start + 1024], "fltp", "mono")
            frame.rate, frame.pts = RATE, start
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(path, "a.m4a")
    from_tar, from_file = (ClipSet([tmp_path / "a.tar"]), ClipSet([f"{tmp_path}/*.tar"]))
    assert from_tar.items[0].duration == pytest.approx(1.0, abs=0.1)
    part = from_tar.read(0, 0.3, 0.5)
    assert len(part) == RATE // 2
    assert np.abs(np.fft.rfft(part)).argmax() == 150
    np.testing.assert_array_equal(part, from_file.read(0, 0.3, 0.5))


def test_options_of_an_entry(tmp_path):
    items = [ManifestItem(path=f"{n}.wav", duration=1.0) for n in range(400)]
    items.append(ManifestItem(path="e.wav", duration=1.0, kind="sound", split="eval"))
    write_manifest(tmp_path / "m.jsonl", items)
    entry = f"{tmp_path}/m.jsonl?kind=music&hold_out=0.1&source=mine"
    train = ClipSet([entry], kinds=["music"]).items
    valid = ClipSet([entry], kinds=["music"], split="valid").items
    assert len(train) + len(valid) == 400 and 20 < len(valid) < 60
    assert {i.source for i in train} == {"mine"}
    assert len(ClipSet([entry], kinds=["sound"], split="eval")) == 1
    plain = ClipSet([tmp_path / "m.jsonl"])
    assert plain.items == items[:400]


@pytest.mark.parametrize(
    ("entry", "part"),
    [("a.wav?kind=speach", "kind"), ("a.wav?knd=speech", "knd"), ("a.wav?weight=1.5", "weight"),
     ("a.wav?loud", "key=value")],
)  # fmt: skip
def test_a_wrong_option_is_named(entry, part):
    with pytest.raises(ConfigError, match=part):
        parse_entry(entry)


def test_a_path_may_hold_a_question_mark(tmp_path):
    path = tmp_path / "what?.jsonl"
    path.write_text("")
    assert parse_entry(str(path))[0] == str(path)


@pytest.mark.parametrize(
    ("path", "name"),
    [("speech-00012.tar", "speech"), ("bells/train-00000-of-00010.parquet", "bells"),
     ("my_set.2_07.tar", "my_set"), ("lot/0003.tar", "lot"), ("plain.parquet", "plain")],
)  # fmt: skip
def test_all_shards_of_a_set_have_its_name(path, name):
    assert set_name(Path(path)) == name


def test_braces():
    assert expand_braces("a-{08..11}.tar") == ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]
    assert expand_braces("{a,b}/{1..2}") == ["a/1", "a/2", "b/1", "b/2"]
    with pytest.raises(DataError, match="range"):
        expand_braces("{1-3}.tar")


def test_what_is_not_there_or_unknown_is_named_with_the_accepted_forms(tmp_path):
    (tmp_path / "x.csv").write_text("a,b")
    (tmp_path / "empty").mkdir()
    (tmp_path / "self.txt").write_text("self.txt\n")
    (tmp_path / "lost.txt").write_text("here.parquet\n")
    for name, part in (
        ("none.tar", "none.tar.*JSONL.*Parquet.*WebDataset.*hf:"),
        ("x.csv", "x.csv.*no known kind.*JSONL"),
        ("empty", "empty.*no audio"),
        ("a-{0..3}.tar", "a-0.tar does not exist"),
        ("self.txt", "itself"),
        ("lost.txt", "lost.txt, line 1.*here.parquet"),
    ):
        with pytest.raises(DataError, match=part):
            list(Opener().open(tmp_path / name))


def test_a_folder_of_mixed_kinds_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(1, 0.2), RATE)
    pq.write_table(pa.table({"audio": [encode(tone(0, 0.2))]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="Parquet and audio"):
        ClipSet([tmp_path])
    assert len(ClipSet([f"{tmp_path}/*.parquet"])) == 1


def test_compressed_shards_and_wrong_columns_are_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w:gz"):
        pass
    with pytest.raises(DataError, match="compressed"):
        ClipSet([tmp_path / "a.tar"])
    pq.write_table(pa.table({"sound": [b""], "text": ["x"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="no column 'audio', only sound, text"):
        ClipSet([tmp_path / "a.parquet"])
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(DataError, match=r"b\.parquet: not a whole Parquet"):
        ClipSet([tmp_path / "b.parquet"])


def test_no_clip_of_a_kind_says_how_to_name_it(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(1, 0.2), RATE)
    with pytest.raises(DataError, match=r"no valid clip.*split="):
        ClipSet([tmp_path], split="valid")
    assert len(ClipSet([f"{tmp_path}?split=valid"], split="valid")) == 1
