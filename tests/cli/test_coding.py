"""`unisono encode --coding range` and what reads its files."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import soundfile

from unisono import AudioTokens, load
from unisono.storage.entropy import FILE_NAME, CodeStatistics


@pytest.fixture(scope="module")
def counted(uat_folder, uat, voice, tmp_path_factory) -> Path:
    """A model folder with code statistics."""
    folder = tmp_path_factory.mktemp("counted") / "model"
    shutil.copytree(uat_folder, folder)
    items = uat.encode([(voice(2.0, 16_000, seed), 16_000) for seed in range(3)])
    CodeStatistics.of(items, contexts=4).save(folder / FILE_NAME)
    return folder


@pytest.fixture
def clip(tmp_path, voice) -> Path:
    soundfile.write(tmp_path / "clip.wav", voice(3.0, 16_000, 9), 16_000)
    return tmp_path / "clip.wav"


def test_encode_info_decode(cli, clip, counted, uat) -> None:
    status, out, err = cli(
        "encode", clip, "-o", "a.utok", "-m", counted, "--coding", "range", "--json"
    )
    assert status == 0, err
    assert json.loads(out)["coding"] == "range"
    status, out, _ = cli("info", "a.utok", "--json")
    facts = json.loads(out)
    assert status == 0 and facts["coding"] == "range"
    assert (facts["model"], facts["tokens"], facts["seconds"]) == (uat.model_id, 75, 3.0)
    assert AudioTokens.load("a.utok", CodeStatistics.load(counted)) == uat.encode(clip)
    cli("encode", clip, "-o", "b.utok", "-m", counted)
    assert json.loads(cli("info", "b.utok", "--json")[1])["coding"] == "packed"
    for name in ("a", "b"):
        status, _, err = cli(
            "decode", f"{name}.utok", "-o", f"{name}.wav", "-m", counted, "--steps", 1
        )
        assert status == 0, err
    assert Path("a.wav").read_bytes() == Path("b.wav").read_bytes()


def test_decode_with_a_model_that_lacks_the_statistics(cli, clip, counted, uat_folder) -> None:
    cli("encode", clip, "-o", "a.utok", "-m", counted, "--coding", "range")
    status, _, err = cli("decode", "a.utok", "-o", "a.wav", "-m", uat_folder)
    assert status == 1 and "a.utok is range-coded" in err and FILE_NAME in err
    assert not Path("a.wav").exists()


def test_encode_with_a_model_that_lacks_statistics(cli, clip, uat_folder) -> None:
    status, _, err = cli("encode", clip, "-o", "a.utok", "-m", uat_folder, "--coding", "range")
    assert status == 1 and "has no code statistics (codes.safetensors)" in err
    assert not Path("a.utok").exists()


def test_codings_that_cannot_be_done(cli, clip, monkeypatch) -> None:
    status, _, err = cli("encode", clip, "-o", "a.utok", "--coding", "zip")
    assert status == 1 and "coding 'zip' is unknown; use packed, range" in err
    status, _, err = cli("encode", clip, "-o", "a.jsonl", "--coding", "range")
    assert status == 1 and "goes with .utok files, not with jsonl" in err
    monkeypatch.setitem(sys.modules, "constriction", None)
    status, _, err = cli("encode", clip, "-o", "a.utok", "--coding", "range")
    assert status == 1 and "pip install 'unisono[entropy]'" in err


def test_a_saved_model_keeps_its_statistics(counted, uat_folder, tmp_path) -> None:
    tokenizer = load(counted)
    assert tokenizer.statistics is not None and load(uat_folder).statistics is None
    saved = load(tokenizer.save_pretrained(tmp_path / "saved"))
    assert saved.statistics is not None
    assert saved.statistics.digest == tokenizer.statistics.digest
