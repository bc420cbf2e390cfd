"""Indexes: made once, made anew when the data change, never in the way."""

from __future__ import annotations

import io
import json
import logging
import os
import tarfile

import numpy as np
import pytest
import soundfile

from unisono.audio import Audio
from unisono.data.dataset import ClipSet
from unisono.data.sources import Opener
from unisono.data.sources import folder as folder_source
from unisono.data.sources.index import INDEX_SUFFIX, Index, kept_index
from unisono.evaluation.benchmarks.loader import write_forms

RATE = 16_000


def wave(seconds, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))


def add(tar, name, samples):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE, format="FLAC")
    info = tarfile.TarInfo(name)
    info.size = len(buffer.getvalue())
    tar.addfile(info, io.BytesIO(buffer.getvalue()))


def indexes(folder):
    return sorted(path.name for path in folder.rglob(f"*{INDEX_SUFFIX}*"))


@pytest.mark.parametrize("form", ["folder", "WebDataset", "Parquet", "Hugging Face"])
def test_the_second_opening_uses_the_index(form, tmp_path):
    clips = [(Audio(wave(0.2, n).astype(np.float32), RATE), f"é {n}") for n in range(3)]
    entry = write_forms(clips, tmp_path)[form]
    first = ClipSet([entry])
    [name] = indexes(tmp_path)
    path = next(tmp_path.rglob(name))
    tree = json.loads(path.read_text(encoding="utf-8"))
    row = tree["rows"][1]
    if form == "folder":
        row["text"] = "from the index"
    else:
        row["facts"]["text"] = "from the index"
    path.write_text(json.dumps(tree), encoding="utf-8")
    second = ClipSet([entry])
    assert [i.text for i in first.items] == ["é 0", "é 1", "é 2"]
    assert [i.text for i in second.items] == ["é 0", "from the index", "é 2"]
    np.testing.assert_array_equal(first.read(1), second.read(1))


def test_a_changed_shard_is_looked_through_again(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        add(tar, "0.flac", wave(0.2))
    assert len(ClipSet([path])) == 1
    with tarfile.open(path, "a") as tar:
        add(tar, "1.flac", wave(0.4))
    assert [round(i.duration, 3) for i in ClipSet([path]).items] == [0.2, 0.4]


def test_only_changed_files_of_a_folder_are_looked_at(tmp_path, monkeypatch):
    for n in range(4):
        soundfile.write(tmp_path / f"{n}.wav", wave(0.2), RATE)
    ClipSet([tmp_path])
    soundfile.write(tmp_path / "1.wav", wave(0.5), RATE)
    soundfile.write(tmp_path / "4.wav", wave(0.3), RATE)
    (tmp_path / "2.txt").write_text("new text")
    (tmp_path / "0.wav").unlink()
    looked = []
    real = folder_source.header_seconds
    monkeypatch.setattr(
        folder_source, "header_seconds", lambda p, n: (looked.append(p.name), real(p, n))[1]
    )
    items = ClipSet([tmp_path]).items
    assert [(i.path, i.duration) for i in items] == [
        ("1.wav", 0.5), ("2.wav", 0.2), ("3.wav", 0.2), ("4.wav", 0.3)
    ]  # fmt: skip
    assert items[1].text == "new text"
    assert looked == ["1.wav", "2.wav", "4.wav"]


def test_an_index_may_lie_in_a_folder_of_its_own(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    soundfile.write(data / "a.wav", wave(0.2), RATE)
    ClipSet([f"{data}?index={tmp_path}/one"])
    ClipSet([data], index=tmp_path / "two")
    assert not indexes(data)
    assert len(indexes(tmp_path / "one")) == len(indexes(tmp_path / "two")) == 1


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version": 0}', '{"version": 1, "stamp": [1]}']
)
def test_a_damaged_or_old_index_is_made_anew(tmp_path, content):
    (tmp_path / "i").write_text(content)
    made = Index([{"a": 1}], {"b": "c"})
    assert kept_index(tmp_path / "i", [1], lambda: made) == made
    assert kept_index(tmp_path / "i", [1], lambda: 1 / 0) == made
    other = Index([{"a": 2}])
    assert kept_index(tmp_path / "i", [2], lambda: other) == other


def test_a_place_without_rights_is_a_warning(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        made = kept_index(tmp_path / "file" / "i", [1], lambda: Index([{"a": 1}]))
    assert made.rows == [{"a": 1}]
    assert "index=FOLDER" in caplog.text


def test_the_order_of_a_folder_does_not_depend_on_the_disk(tmp_path):
    for name in ("b/2.wav", "a.wav", "b/10.wav", "a/z.wav", "c.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, wave(0.1), RATE)
    expected = ["a/z.wav", "a.wav", "b/10.wav", "b/2.wav", "c.wav"]
    assert [i.path for i in ClipSet([tmp_path]).items] == expected
    os.utime(tmp_path / "c.wav")
    [(source, weight)] = Opener().open(tmp_path)
    assert [i.path for i in source.items] == expected and weight == 1
