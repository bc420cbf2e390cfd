"""The table of voices: what pitch and names tell, what they leave open, and what is stated."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from scene_corpus import voiced

from unisono.data.dataset import ClipSet
from unisono.data.manifest import ManifestItem, write_manifest
from unisono.errors import DataError
from unisono.sap.speakers import (
    Voice,
    clip_pitch,
    find_voice,
    measure_voices,
    read_voices,
    write_voices,
)

RATE = 16_000
PITCHES = {
    "low": [104, 108, 110, 116],
    "high": [204, 208, 210, 216],
    "between": [158, 160, 162, 164],
    "cast": [100, 105, 200, 215],
    "few": [110, 112],
    "es_MX_f_Ana": [160, 160, 161],
    "low*1.10": [120, 120, 120],
    "sped*1.50": [165, 165, 165],
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voices")
    items = []
    for speaker, pitches in PITCHES.items():
        for n, pitch in enumerate(pitches):
            name = f"{speaker.replace('*', '-')}-{n}.wav"
            soundfile.write(folder / name, voiced(pitch, 1.0), RATE)
            items.append(
                ManifestItem(path=name, duration=1.0, speaker=speaker, language="en",
                             text="fourteen letters")
            )  # fmt: skip
    write_manifest(folder / "voices.jsonl", items)
    return ClipSet([folder / "voices.jsonl"], rate=RATE)


@pytest.fixture(scope="module")
def measured(clips):
    return measure_voices(clips)


@pytest.mark.parametrize(
    ("speaker", "gender", "age", "method"),
    [
        ("low", "Male", "Adult", "pitch"),
        ("high", "Female", "Adult", "pitch"),
        ("between", None, None, "unknown"),
        ("cast", None, None, "unknown"),
        ("few", None, None, "unknown"),
        ("es_MX_f_Ana", "Female", "Adult", "name"),
        ("sped", "Male", "Adult", "pitch"),
    ],
)
def test_what_is_found(measured, speaker, gender, age, method):
    voice = measured[speaker]
    assert (voice.gender, voice.age, voice.method) == (gender, age, method)


def test_measures_are_those_of_the_recordings(measured):
    assert set(measured) == {*PITCHES} - {"low*1.10", "sped*1.50"} | {"sped"}
    # The sped-up clips of `low` are left out, those of `sped` counted back.
    assert measured["low"].clips == 4
    assert measured["low"].pitch == pytest.approx(109, rel=0.02)
    assert measured["sped"].pitch == pytest.approx(110, rel=0.02)
    assert measured["low"].pace == pytest.approx(15.0)
    assert measured["sped"].pace == pytest.approx(10.0)
    assert measured["cast"].spread > 5
    assert measured["few"].pitch is None


def test_stated_lines_keep_what_they_say_and_gain_measures(clips):
    stated = {
        "between": Voice(speaker="between", gender="Male", age="Elderly", emotion="Neutral"),
        "absent": Voice(speaker="absent", gender="Female"),
    }
    table = measure_voices(clips, stated)
    voice = table["between"]
    assert (voice.gender, voice.age, voice.emotion, voice.method) == (
        "Male", "Elderly", "Neutral", "stated"
    )  # fmt: skip
    assert voice.pitch == pytest.approx(161, rel=0.02)
    assert table["absent"] == stated["absent"]


def test_a_table_is_read_back(tmp_path, measured):
    path = tmp_path / "table.jsonl"
    write_voices(path, measured.values())
    assert read_voices(path) == measured


def test_a_voice_played_faster_is_higher_and_may_lose_its_gender():
    voices = {"joe": Voice(speaker="joe", gender="Male", age="Adult", pitch=150.0, pace=10.0)}
    faster = find_voice(voices, "joe*1.10")
    assert faster is not None
    assert (faster.gender, faster.pitch, faster.pace) == ("Male", pytest.approx(165), 11.0)
    assert find_voice(voices, "joe*1.30").gender is None
    assert find_voice(voices, "joe*0.70").gender == "Male"
    assert find_voice(voices, "jim") is None
    assert find_voice(voices, "joe*x") is None


def test_silence_and_noise_have_no_pitch():
    assert clip_pitch(np.zeros(RATE, np.float32), RATE) is None
    assert clip_pitch(voiced(120, 0.1), RATE) is None
    assert clip_pitch(voiced(120, 1.0), RATE) == pytest.approx(120, rel=0.01)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"speaker": "a", "gender": "male"}', "line 1: gender"),
        ('{"speaker": "a", "sex": "Male"}', "line 1: sex"),
        ('{"speaker": "a"}\n\n{"speaker": "a"}', "line 3: a second line for a"),
        ("{", "line 1"),
    ],
)
def test_wrong_tables_name_the_line(tmp_path, text, message):
    path = tmp_path / "table.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_voices(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_voices(tmp_path / "none.jsonl")
