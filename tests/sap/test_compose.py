"""Composed scenes: sound and label are functions of seed and number, and the label is true."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
from pydantic import ValidationError
from scene_corpus import RATE, make_corpus, scene_config, voiced

from unisono.data.dataset import ClipSet
from unisono.data.effects import power
from unisono.errors import ConfigError, DataError
from unisono.sap import words
from unisono.sap.compose import SceneSet
from unisono.sap.scene_config import SceneConfig, load_scene_config
from unisono.sap.scene_sounds import change_tempo, lengthen, repeat, trim
from unisono.sap.schema import SAP
from unisono.sap.speakers import clip_pitch

EVERYTHING = {
    "speech": 1, "speech+events": 1, "speech+music": 1, "speech+events+music": 1,
    "events": 1, "music": 1, "events+music": 1,
}  # fmt: skip
CHANGES = {
    "speech": {"speed": {"probability": 0.7}, "pitch": {"probability": 0.7},
               "band": {"probability": 0.5}},
    "events": {"count": (1, 3)},
    "noise": {"probability": 0.5},
    "room": {"probability": 0.5},
}  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="module")
def mixed(corpus):
    """Forty scenes of every kind with every change, and their stems."""
    config = scene_config(corpus, EVERYTHING, **{name: dict(CHANGES[name]) for name in CHANGES})
    scenes = SceneSet(config, seed=3)
    return [scenes.compose(number) for number in range(40)]


def extent(stem, part):
    return stem[round(part.start * RATE) : round(part.end * RATE)]


def decibels(wave):
    return 10 * np.log10(power(wave))


def test_same_seed_same_scenes_in_any_order_and_after_pickling(corpus):
    config = scene_config(corpus, EVERYTHING, **{name: dict(CHANGES[name]) for name in CHANGES})
    first = SceneSet(config, seed=5)
    scenes = {number: first[number] for number in (4, 0, 9)}
    again = pickle.loads(pickle.dumps(SceneSet(config, seed=5)))
    for number in (9, 4, 0):
        assert again[number].samples.tobytes() == scenes[number].samples.tobytes()
        assert again[number].sap.canonical() == scenes[number].sap.canonical()
        assert again[number].parts == scenes[number].parts
    other = SceneSet(config, seed=6)
    assert all(other[n].samples.tobytes() != scenes[n].samples.tobytes() for n in scenes)


def test_nothing_clips_and_lengths_are_kept(mixed):
    for scene, _ in mixed:
        assert scene.samples.dtype == np.float32
        assert np.abs(scene.samples).max() <= 0.98
        assert 2 * RATE - 1 <= len(scene.samples) <= 5 * RATE


def test_loud_parts_are_turned_down_together(corpus):
    loud = scene_config(
        corpus, {"speech+events": 1}, speech={"level": (-1, 0)}, events={"snr": (-3, -3)}
    )
    for number in range(3):
        scene, stems = SceneSet(loud).compose(number)
        assert np.abs(scene.samples).max() == pytest.approx(0.98, rel=1e-4)
        assert scene.parts[0].level < -2
        for part, stem in zip(scene.parts, stems, strict=True):
            assert decibels(extent(stem, part)) == pytest.approx(part.level, abs=0.01)
        assert scene.parts[1].level - scene.parts[0].level == pytest.approx(3)


def test_levels_and_ratios_are_what_the_parts_say(mixed):
    told = 0
    for scene, stems in mixed:
        np.testing.assert_allclose(np.sum(stems, axis=0), scene.samples, atol=1e-6)
        foreground = decibels(extent(stems[0], scene.parts[0]))
        for part, stem in zip(scene.parts, stems, strict=True):
            level = decibels(extent(stem, part))
            assert level == pytest.approx(part.level, abs=0.01)
            if part.snr is not None:
                assert foreground - level == pytest.approx(part.snr, abs=0.02)
                told += 1
    assert told > 20


def test_events_lie_where_the_label_says(corpus):
    config = scene_config(corpus, {"events": 1}, events={"count": (1, 3), "loop": 0})
    scenes, several = SceneSet(config), 0
    for number in range(20):
        scene = scenes[number]
        several += len(scene.parts) > 1
        outside = np.ones(len(scene.samples), bool)
        for part in scene.parts:
            inside = extent(scene.samples, part)
            outside[round(part.start * RATE) : round(part.end * RATE)] = False
            # The corpus's silence before and after the sound belongs to no event.
            for edge in (inside[160:480], inside[-480:-160]):
                assert decibels(edge) > part.level - 6
        assert power(scene.samples[outside]) == 0
        comes = sorted((p.start, p.end) for p in scene.parts if not p.lasting)
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(comes))
    assert several > 5


def test_a_room_moves_no_event_and_keeps_its_level(corpus):
    section = {"probability": 1, "rt60": (0.3, 0.3), "direct": (6, 6)}
    config = scene_config(corpus, {"events": 1}, events={"count": (1, 1), "loop": 0}, room=section)
    for number in range(6):
        scene, (stem,) = SceneSet(config).compose(number)
        (part,) = scene.parts
        assert part.changes == {"rt60": 0.3, "direct": 6.0}
        before, start = stem[: round(part.start * RATE)], round(part.start * RATE)
        assert power(before) < 1e-12
        assert decibels(stem[start + 160 : start + 480]) > part.level - 8
        assert decibels(extent(stem, part)) == pytest.approx(part.level, abs=0.01)
        assert scene.caption.endswith(words.REVERBERANT)


@pytest.mark.parametrize("mix", EVERYTHING)
def test_every_kind_of_scene_holds_what_it_is_called_after(corpus, mix):
    scene = SceneSet(scene_config(corpus, {mix: 1}))[0]
    roles = {"speech": "speech", "events": "event", "music": "music"}
    assert {part.role for part in scene.parts} == {roles[word] for word in mix.split("+")}
    voice = scene.sap.paralinguistics
    if "speech" in mix:
        assert scene.sap.transcription == scene.text
        assert scene.speaker in ("anna", "bert")
        assert voice.gender == {"anna": "Female", "bert": "Male"}[scene.speaker]
        assert voice.age == "Adult"
        accent = {"anna": "English", "bert": "Scottish"}[scene.speaker]
        assert accent in (voice.accent or "")
        assert scene.kind == "speech"
    else:
        assert scene.sap.transcription is None
        assert scene.text == "" == scene.speaker
        assert set(voice.model_dump().values()) == {None}
        assert scene.kind == ("music" if mix == "music" else "sound")
    if mix == "speech":
        assert scene.caption in words.ALONE


def test_labels_are_valid_and_tell_every_part(mixed):
    for scene, _ in mixed:
        assert SAP.parse(scene.sap.canonical()) == scene.sap
        events = scene.sap.nonLinguisticEvents
        others = sorted((p for p in scene.parts if p.role != "speech"), key=lambda p: p.start)
        assert [e.label for e in events.discreteEvents] == [
            p.label for p in others if not p.lasting
        ]
        assert [e.label for e in events.continuousEvents] == [p.label for p in others if p.lasting]
        for part in others:
            named = words.NOUNS.get(part.label, (part.label,))
            assert any(noun.lower() in scene.caption.lower() for noun in named)


def test_transcription_is_the_text_of_the_clips_that_are_heard(corpus, mixed):
    texts = {f"{item.path}@0": item.text for item in ClipSet([corpus / "corpus.jsonl"]).items}
    joined = 0
    for scene, _ in mixed:
        if scene.parts[0].role == "speech":
            assert scene.text == " ".join(texts[clip] for clip in scene.parts[0].clips)
            assert len({clip[:4] for clip in scene.parts[0].clips}) == 1
            joined += len(scene.parts[0].clips) > 1
    assert joined > 3


@pytest.mark.parametrize(("factor", "name"), [(0.7, "very slow"), (0.8, "slow"), (1.25, "fast")])
def test_speed_is_as_told_and_said(corpus, factor, name):
    alone = {"clips": 1, "speakers": None}
    plain = SceneSet(scene_config(corpus, speech=dict(alone)))[0]
    section = {"probability": 1, "factor": (factor, factor)}
    changed = SceneSet(scene_config(corpus, speech=alone | {"speed": section}))[0]
    assert changed.parts[0].changes == {"speed": factor}
    assert changed.parts[0].clips == plain.parts[0].clips
    assert changed.parts[0].seconds == pytest.approx(plain.parts[0].seconds / factor, abs=0.01)
    prosody = changed.sap.paralinguistics.prosody or ""
    assert any(phrase in prosody.lower() for phrase in words.TEMPO[name])
    prosody = plain.sap.paralinguistics.prosody or ""
    assert any(phrase in prosody.lower() for phrase in words.TEMPO["normal"])


@pytest.mark.parametrize(("semitones", "name"), [(-3.0, "low"), (3.0, "high")])
def test_pitch_is_as_told_and_said(corpus, semitones, name):
    section = {"probability": 1, "semitones": (semitones, semitones)}
    config = scene_config(corpus, speech={"pitch": section, "speakers": None})
    for number in range(4):
        scene, (stem,) = SceneSet(config).compose(number)
        usual = {"anna": 210.0, "bert": 110.0}[scene.speaker]
        assert scene.parts[0].changes == {"semitones": semitones}
        pitch = clip_pitch(stem, RATE)
        assert 12 * np.log2(pitch / usual) == pytest.approx(semitones, abs=0.3)
        prosody = (scene.sap.paralinguistics.prosody or "").lower()
        assert any(phrase in prosody for phrase in words.PITCH[name])


def test_a_shift_never_takes_a_voice_to_the_other_gender(corpus):
    section = {"probability": 1, "semitones": (-9, 9)}
    scenes = SceneSet(scene_config(corpus, speech={"pitch": section}))
    shifts = set()
    for number in range(12):
        scene = scenes[number]
        shift = scene.parts[0].changes.get("semitones", 0.0)
        pitch = {"anna": 210.0, "bert": 110.0}[scene.speaker] * 2 ** (shift / 12)
        gender = scene.sap.paralinguistics.gender
        assert gender == ("Female" if pitch > 160 else "Male")
        shifts.add(shift)
    assert max(map(abs, shifts)) > 3


@pytest.mark.parametrize(("level", "name"), [(-34.0, "soft"), (-25.0, "normal"), (-18.0, "loud")])
def test_loudness_is_as_told_and_said(corpus, level, name):
    scene, (stem,) = SceneSet(scene_config(corpus, speech={"level": (level, level)})).compose(1)
    assert decibels(extent(stem, scene.parts[0])) == pytest.approx(level, abs=0.01)
    prosody = (scene.sap.paralinguistics.prosody or "").lower()
    assert any(phrase in prosody for phrase in words.LOUDNESS[name])


def test_lasting_sounds_become_continuous_events(corpus):
    config = scene_config(corpus, {"events": 1}, events={"count": (1, 1), "loop": 1.0})
    scenes, seen = SceneSet(config), set()
    for number in range(20):
        scene = scenes[number]
        (part,) = scene.parts
        assert part.lasting == (part.label in words.LASTING)
        if part.lasting:
            assert part.seconds >= 0.5 * scene.seconds - 1e-3
            inside = extent(scene.samples, part)
            # No gap where the sound begins anew.
            blocks = inside[160 : len(inside) // 800 * 800 - 640].reshape(-1, 160)
            assert min(decibels(block) for block in blocks[2:-2]) > part.level - 12
        seen.add(part.label)
    assert seen == {"bell", "gunshot", "water", "rain"}


def test_short_sounds_are_repeated_as_told_and_stay_one_event(corpus):
    section = {"probability": 1.0, "times": (3, 3), "pause": (0.1, 0.2), "longest": 0.6}
    events = {"count": (1, 1), "alone": 1.0, "loop": 0.0, "repeat": section, "seconds": (0.1, 2.5)}
    scenes, seen = SceneSet(scene_config(corpus, {"events": 1}, events=events)), {}
    for number in range(20):
        (part,) = scenes[number].parts
        seen[part.label] = part
        if part.label in ("bell", "gunshot"):
            assert part.changes == {"times": 3.0}
            once = 0.5 if part.label == "bell" else 0.2
            assert 3 * once + 0.16 - 0.02 < part.seconds <= min(2.5, 3 * once + 0.48 + 0.05)
        else:
            assert "times" not in part.changes  # too long to come again and again
    assert len(seen) == 4


def test_a_sound_comes_again_after_each_pause():
    wave = np.array([1, -1], np.float32)
    assert repeat(wave, [1.0, 2.4]).tolist() == [1, -1, 0, 1, -1, 0, 0, 1, -1]
    assert repeat(wave, []).tolist() == [1, -1]


def test_balance_draws_labels_alike(corpus, tmp_path):
    lines = (corpus / "corpus.jsonl").read_text().splitlines()
    bells = [line for line in lines if '"bell"' in line] * 50
    path = corpus / "bells.jsonl"
    path.write_text("\n".join(bells + [line for line in lines if '"gunshot"' in line]))
    for balance, least, most in ((1.0, 8, 24), (0.0, 0, 4)):
        events = {"sources": [str(path)], "count": (1, 1), "balance": balance}
        scenes = SceneSet(scene_config(corpus, {"events": 1}, events=events))
        shots = sum(scenes[number].parts[0].label == "gunshot" for number in range(32))
        assert least <= shots <= most


def test_rare_labels_are_left_out(corpus):
    lines = (corpus / "corpus.jsonl").read_text().splitlines()
    path = corpus / "bells.jsonl"
    path.write_text("\n".join(line for line in lines if '"bell"' in line or '"gunshot"' in line))
    with path.open("a") as file:
        file.write("\n" + next(line for line in lines if '"bell"' in line))
    events = {"sources": [str(path)], "least": 2}
    scenes = SceneSet(scene_config(corpus, {"events": 1}, events=events))
    assert scenes.events is not None
    assert scenes.events.labels == ["bell"]
    with pytest.raises(DataError, match="no label has 3 clips"):
        SceneSet(scene_config(corpus, {"events": 1}, events=events | {"least": 3}))


def test_renamed_and_left_out_labels(corpus):
    rename = {"bell": "church bell", "water": "", "rain": "", "gunshot": ""}
    events = {"rename": rename}
    scenes = SceneSet(scene_config(corpus, {"events": 1}, events=events))
    assert scenes.events is not None
    assert scenes.events.labels == ["church bell"]
    assert scenes[0].sap.nonLinguisticEvents.discreteEvents[0].label == "church bell"
    with pytest.raises(DataError, match="sound with a label"):
        SceneSet(scene_config(corpus, {"events": 1}, events={"rename": rename | {"bell": ""}}))


def test_damaged_clips_give_way_and_their_text_is_never_told(tmp_path):
    folder = make_corpus(tmp_path)
    (folder / "anna1.wav").write_bytes(b"RIFF" + bytes(40))
    scenes = SceneSet(scene_config(folder, {"speech+events": 1}))
    broken = "anna1.wav@0"
    heard = set()
    for number in range(30):
        scene = scenes[number]
        heard |= set(scene.parts[0].clips)
        assert scene.sap.paralinguistics.gender is not None
    assert broken not in heard
    assert len(heard) == 7
    assert scenes.speech is not None
    assert any("anna1" in where for where in scenes.speech.clips.failures)


def test_only_known_genders_where_asked(corpus, tmp_path):
    table = tmp_path / "voices.jsonl"
    table.write_text('{"speaker": "bert", "gender": "Male"}\n')
    speech = {"speakers": str(table), "only_known_gender": True}
    scenes = SceneSet(scene_config(corpus, speech=speech))
    assert {scenes[number].speaker for number in range(8)} == {"bert"}
    table.write_text("")
    with pytest.raises(DataError, match="gender"):
        SceneSet(scene_config(corpus, speech=speech))


def test_numbers_end_with_the_set_but_scenes_do_not(corpus):
    scenes = SceneSet(scene_config(corpus, {"music": 1}, size=2))
    assert len(scenes) == 2
    assert len(list(scenes)) == 2
    assert scenes.compose(10**9)[0].kind == "music"
    with pytest.raises(IndexError):
        scenes[-1]


def test_wrong_configs_are_refused_with_the_key(corpus, tmp_path):
    with pytest.raises(ValidationError, match="loudness"):
        scene_config(corpus, speech={"loudness": 3})
    with pytest.raises(ValidationError, match="speech"):
        scene_config(corpus, {"speech+birds": 1})
    with pytest.raises(ValidationError, match=r"music\.sources"):
        SceneConfig.model_validate({"mix": {"music": 1}})
    with pytest.raises(ValidationError, match="mix"):
        SceneConfig.model_validate({"mix": {"music": 0}})
    path = tmp_path / "scenes.yaml"
    path.write_text("mix: {music: 1}\nmusic: {sources: [a.jsonl], sound: 1}\n")
    with pytest.raises(ConfigError, match=r"scenes\.yaml: music\.sound"):
        load_scene_config(path)
    path.write_text("- a\n")
    with pytest.raises(ConfigError, match="scenes"):
        load_scene_config(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_scene_config(tmp_path / "none.yaml")


def test_sounds_are_trimmed_and_lengthened():
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    padded = np.concatenate([np.zeros(3210, np.float32), noise, np.zeros(4321, np.float32)])
    trimmed = trim(padded, RATE)
    assert len(noise) <= len(trimmed) <= len(noise) + 320
    assert len(trim(np.zeros(100, np.float32), RATE)) == 0
    longer = lengthen(noise, 4 * RATE + 7, RATE)
    assert len(longer) == 4 * RATE + 7
    assert np.array_equal(longer[: RATE - 1600], noise[: RATE - 1600])
    assert decibels(longer[RATE - 1600 : RATE]) == pytest.approx(0, abs=1.5)
    tone = voiced(150.0, 1.0)
    assert len(change_tempo(tone, 1.25, RATE)) == pytest.approx(RATE / 1.25, abs=2)
    assert clip_pitch(change_tempo(tone, 1.25, RATE), RATE) == pytest.approx(150, rel=0.01)
