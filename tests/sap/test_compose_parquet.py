"""Scenes written as Parquet: read back whole, resumed, and refused when they are not the same."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import typer
import yaml
from scene_corpus import make_corpus, scene_config
from typer.testing import CliRunner

from unisono.cli.compose import compose
from unisono.data.dataset import ClipSet
from unisono.errors import ConfigError, DataError
from unisono.sap.compose import SceneSet
from unisono.sap.parquet import scene_row, write_scenes
from unisono.sap.schema import SAP
from unisono.sap.speakers import read_voices

MIX = {"speech": 1, "speech+events": 1, "music": 1, "events": 1}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="module")
def scenes(corpus):
    return SceneSet(scene_config(corpus, MIX), seed=2)


@pytest.fixture(scope="module")
def written(scenes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    return folder, write_scenes(scenes, folder, count=10, rows=4, weight=3)


def call(*arguments):
    app = typer.Typer()
    app.command()(compose)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_what_is_written_is_read_back_by_the_loader(scenes, written):
    _, listed = written
    assert listed.read_text().split() == [
        "train-00000.parquet", "3", "train-00001.parquet", "3", "train-00002.parquet", "3"
    ]  # fmt: skip
    clips = ClipSet([listed], ("speech", "music", "sound"))
    assert len(clips) == 30
    assert not clips.failures
    for index in range(4):
        # Weight 3: every clip thrice, one after another.
        scene, item = scenes[index], clips.items[3 * index]
        assert SAP.parse(item.sap) == scene.sap
        assert (item.kind, item.language, item.speaker) == (
            scene.kind, scene.language, scene.speaker
        )  # fmt: skip
        assert item.duration == scene.seconds
        read = clips.read(3 * index)
        assert len(read) == len(scene.samples)
        assert np.abs(read - scene.samples).max() <= 0.51 / 32768


def test_the_reference_finds_audio_bytes_and_sap(written):
    folder, _ = written
    table = pq.read_table(folder / "train-00000.parquet")
    assert {"audio", "sap"} <= set(table.column_names)
    assert not {"text", "caption", "emotion"} & set(table.column_names)
    assert table.column("audio")[0].as_py().startswith(b"fLaC")
    for row in table.to_pylist():
        assert SAP.parse(row["sap"])
        assert json.loads(row["parts"])[0]["snr"] is None


def test_a_stopped_run_goes_on_and_ends_alike(scenes, written, tmp_path):
    folder, _ = written
    write_scenes(scenes, tmp_path, count=4, rows=4)
    (tmp_path / "train-00001.parquet").write_bytes(b"PAR1 half a file")
    first = (tmp_path / "train-00000.parquet").stat().st_mtime_ns
    calls = []
    write_scenes(scenes, tmp_path, count=10, rows=4, done=lambda: calls.append(1))
    assert (tmp_path / "train-00000.parquet").stat().st_mtime_ns == first
    assert len(calls) == 10
    for name in ("train-00000.parquet", "train-00001.parquet", "train-00002.parquet"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_other_scenes_do_not_join_them(corpus, scenes, written):
    folder, _ = written
    with pytest.raises(DataError, match="another config, seed"):
        write_scenes(SceneSet(scenes.config, seed=3), folder, count=10, rows=4)
    (folder.parent / "file").write_text("")
    with pytest.raises(DataError, match="cannot be used"):
        write_scenes(scenes, folder.parent / "file", count=1)


def test_fields_are_written_as_asked(scenes):
    row = scene_row(scenes[0], ("caption", "text"))
    assert row["caption"] == scenes[0].caption
    assert row["text"] == scenes[0].text
    assert "sap" not in row


def test_the_command_measures_voices_and_writes_scenes(corpus, tmp_path):
    table = tmp_path / "voices.jsonl"
    config = scene_config(corpus, {"speech": 1}).model_dump(mode="json")
    config["speech"]["speakers"] = str(table)
    path = tmp_path / "scenes.yaml"
    path.write_text(yaml.safe_dump(config))
    answer = call(path, "--voices")
    assert answer.exit_code == 0, answer.output
    assert {name: voice.gender for name, voice in read_voices(table).items()} == {
        "anna": "Female", "bert": "Male"
    }  # fmt: skip
    answer = call(path, tmp_path / "out", "-n", 3, "--seed", 7, "--fields", "sap,text")
    assert answer.exit_code == 0, answer.output
    clips = ClipSet([tmp_path / "out" / "scenes.txt"])
    expected = SceneSet(scene_config(corpus, {"speech": 1}, speech={"speakers": str(table)}), 7)
    assert [item.text for item in clips.items] == [expected[n].text for n in range(3)]
    assert [SAP.parse(item.sap) for item in clips.items] == [expected[n].sap for n in range(3)]


def test_wrong_calls_say_what_to_do(corpus, tmp_path):
    path = tmp_path / "scenes.yaml"
    path.write_text(yaml.safe_dump(scene_config(corpus).model_dump(mode="json")))
    for arguments, message in (
        ((path,), "needs a folder"),
        ((path, tmp_path / "o", "--fields", "sap,wit"), "wit"),
        ((path, tmp_path / "o", "--split", "dev"), "dev"),
        ((tmp_path / "none.yaml", tmp_path / "o"), "cannot be read"),
    ):
        answer = call(*arguments)
        assert isinstance(answer.exception, ConfigError)
        assert message in str(answer.exception)


def test_scenes_are_streamed_from_their_config(corpus, tmp_path):
    config = scene_config(corpus, {"speech": 1, "events": 1}, size=6)
    path = tmp_path / "mini.yaml"
    path.write_text(json.dumps(config.model_dump(mode="json")))
    clips = ClipSet([f"{path}?seed=4"], kinds=["speech", "sound"], rate=config.rate)
    assert len(clips) == 6
    expected = SceneSet(config, seed=4)
    for item in clips.items:
        number = int(item.path.rpartition("#")[2])
        scene = expected[number]
        assert (item.sap, item.duration) == (scene.sap.canonical(), scene.seconds)
        assert item.split == "train" and item.language == scene.language
    number = int(clips.items[2].path.rpartition("#")[2])
    np.testing.assert_array_equal(clips.read(2), expected[number].samples)
    part = clips.read(2, offset=0.5, duration=0.25)
    np.testing.assert_array_equal(part, expected[number].samples[config.rate // 2 :][: len(part)])
    others = ClipSet([f"{path}?seed=5"], kinds=["speech", "sound"])
    assert [i.sap for i in others.items] != [i.sap for i in clips.items]
