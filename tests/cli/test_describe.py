"""`unisono describe`: what it prints and writes, and what it does with bad inputs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile

from text_models import describer
from unisono.sap.schema import SAP
from unisono.uniaudio.tokenizer import UniAudioTokenizer


@pytest.fixture(scope="module")
def talker(uat):
    text = describer(uat.encoder.config)
    return UniAudioTokenizer(uat.encoder, uat.features, None, uat.model_id, text)


@pytest.fixture(scope="module")
def model(talker, tmp_path_factory):
    return talker.save_pretrained(tmp_path_factory.mktemp("talker"))


@pytest.fixture
def clips(tmp_path, voice, talker) -> Path:
    root = tmp_path / "in"
    (root / "b").mkdir(parents=True)
    soundfile.write(root / "a.wav", voice(0.6, 16000), 16000)
    soundfile.write(root / "b/long.flac", voice(5.0, 16000, 1), 16000)
    talker.encode(root / "a.wav").save(root / "c.utok")
    return root


def test_json_lines_are_what_the_library_says(cli, clips, model, talker):
    status, out, _ = cli("describe", clips, "-m", model, "--json")
    assert status == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["id"] for line in lines] == ["a.wav", "c.utok", "b/long.flac"]
    saps = talker.describe([clips / "a.wav", clips / "a.wav", clips / "b/long.flac"])
    assert [SAP.from_object(line["sap"]) for line in lines] == saps
    assert [line["seconds"] for line in lines] == [0.6, 0.6, 5.0]
    assert ["windows" in line for line in lines] == [False, False, True]
    assert [w["start"] for w in lines[2]["windows"]] == [0, 4]


def test_people_read_words_voice_and_scene(cli, clips, model, talker):
    status, out, _ = cli("describe", clips / "a.wav", "-m", model)
    sap = talker.describe(clips / "a.wav")
    assert status == 0 and "a.wav  0.6 s" in out
    assert " ".join((sap.transcription or "(none)").split()) in out
    assert " ".join(sap.nonLinguisticEvents.description.split()) in out
    assert "words " in out and "scene " in out


def test_transcripts_and_language(cli, clips, model, talker):
    status, out, _ = cli(
        "describe", clips / "c.utok", "-m", model, "--transcript", "--language", "it", "--json"
    )
    assert status == 0
    words = talker.transcribe(clips / "a.wav", language="it")
    assert json.loads(out)["transcription"] == words and "sap" not in json.loads(out)
    status, out, _ = cli("describe", clips / "c.utok", "-m", model, "--transcript")
    assert status == 0 and "words" in out and "scene" not in out
    status, _, err = cli("describe", clips, "-m", model, "--language", "it")
    assert status == 1 and "--transcript" in err


def test_failures_are_listed_and_the_rest_is_written_whole(cli, clips, model, glm):
    (clips / "text.wav").write_text("no audio")
    glm.encode(clips / "a.wav").save(clips / "foreign.utok")
    status, out, err = cli("describe", clips, "missing.wav", "-m", model, "--out", "d/all.jsonl")
    assert status == 1 and "3 described" in out and "3 failed" in err
    assert "text.wav" in err and "missing.wav" in err and "another layout" in err
    lines = [json.loads(line) for line in Path("d/all.jsonl").read_text().splitlines()]
    assert len(lines) == 3 and all(SAP.from_object(line["sap"]) for line in lines)
    assert [path.name for path in Path("d").iterdir()] == ["all.jsonl"]


def test_refusals_come_before_the_work(cli, clips, model, uat_folder):
    status, _, err = cli("describe", clips, "-m", uat_folder)
    assert status == 1 and "has no text decoder" in err and "Traceback" not in err
    status, _, err = cli("describe", clips, "-m", model, "--out", "all.txt")
    assert status == 1 and ".jsonl" in err
