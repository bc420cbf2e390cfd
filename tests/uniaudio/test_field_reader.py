"""Fields of SAPs told from tokens: the network, what is made of it, model folders that have one."""

from __future__ import annotations

import json

import pytest
import torch

from text_models import describer
from unisono import hub, load
from unisono.errors import ModelError
from unisono.sap.schema import SAP
from unisono.uniaudio.field_folder import open_fields, save_fields
from unisono.uniaudio.field_reader import EVENTS, FieldReader, clip_statistics, tell
from unisono.uniaudio.tokenizer import UniAudioTokenizer

FIELDS = {
    "speech": ("no", "yes"),
    "gender": ("Female", "Male"),
    "timbre": ("Bright female voice.", "Deep male voice.", "Deep voice."),
    EVENTS: ("", "dog", "music", "water"),
}


def fields(dim: int, seed: int = 0) -> FieldReader:
    torch.manual_seed(seed)
    return FieldReader(dim, FIELDS, width=16, layers=1).eval()


def answering(reader: FieldReader, **wanted: str) -> FieldReader:
    """The reader with a bias so strong that it tells the values that are wanted."""
    place, bias = 0, reader.body.outward.bias.data
    for name, values in reader.fields.items():
        if name in wanted:
            bias[place + values.index(wanted[name])] += 50
        place += len(values)
    return reader


@pytest.fixture
def teller(uat):
    text = describer(uat.encoder.config)
    reader = fields(uat.encoder.config.d_model)
    return UniAudioTokenizer(uat.encoder, uat.features, None, "teller", text, fields=reader)


@torch.no_grad()
def test_padding_changes_nothing():
    reader = fields(12)
    vectors = torch.randn(2, 30, 12)
    mask = torch.ones(2, 30, dtype=torch.long)
    mask[1, 11:] = 0
    both = reader(vectors, mask)
    alone = reader(vectors[1:, :11], mask[1:, :11])
    assert {name: odds.shape for name, odds in both.items()} == {
        name: (2, len(values)) for name, values in FIELDS.items()
    }
    for name in FIELDS:
        torch.testing.assert_close(both[name][1], alone[name][0])


@torch.no_grad()
def test_places_add_up_to_the_odds():
    reader, vectors, mask = fields(12), torch.randn(1, 30, 12), torch.ones(1, 30)
    odds, places = reader(vectors, mask), reader.places(vectors, mask)
    for name in FIELDS:
        torch.testing.assert_close(places[name].sum(1), odds[name])


def test_a_sound_is_where_the_tokens_speak_for_it():
    reader = fields(4)
    for parameter in reader.body.parameters():
        parameter.data.zero_()
    answering(reader, speech="no")
    reader.body.inward.weight.data[0, 0] = 1
    # The score of "dog" is the first number of a vector; the weights stay even.
    values = sum(map(len, FIELDS.values()))
    dog = values - len(FIELDS[EVENTS]) + 1
    reader.body.outward.weight.data[dog, 0] = 100
    vectors = torch.zeros(1, 50, 4)
    vectors[0, 20:30, 0] = 1
    (told,) = tell(reader, vectors, torch.ones(1, 50), step=0.04)
    (sound,) = told.sounds
    assert sound.label == "dog"
    assert sound.start == pytest.approx(0.8, abs=0.05)
    assert sound.seconds == pytest.approx(0.4, abs=0.05)


@pytest.mark.parametrize("gender", ["Female", "Male"])
def test_a_timbre_never_contradicts_the_gender(gender):
    reader = answering(fields(12), gender=gender, timbre="Bright female voice.")
    (told,) = tell(reader, torch.randn(1, 20, 12), torch.ones(1, 20), step=0.04)
    assert told.vocal["gender"] == gender
    if gender == "Female":
        assert told.vocal["timbre"] == "Bright female voice."
    else:
        assert "female" not in told.vocal.get("timbre", "")


def test_a_clip_without_speech_has_a_sound_and_no_words(teller, voice):
    answering(teller.fields, speech="no", events="")
    sap = teller.describe((voice(2.0, 16000, 0), 16000))
    assert sap.transcription is None and sap.paralinguistics.gender is None
    events = sap.nonLinguisticEvents
    assert len(events.discreteEvents) + len(events.continuousEvents) == 1


def test_speech_gets_the_words_of_the_text_decoder(teller, voice):
    answering(teller.fields, speech="yes", gender="Male", events="music")
    clips = [(voice(s, 16000, n), 16000) for n, s in enumerate((1.0, 3.0))]
    for sap, words in zip(teller.describe(clips), teller.transcribe(clips), strict=True):
        assert SAP.parse(sap.canonical()) == sap
        assert (sap.transcription or "") == words
        assert sap.paralinguistics.gender == "Male"
        assert [event.label for event in sap.nonLinguisticEvents.continuousEvents] == ["music"]


def test_answers_do_not_depend_on_the_batch(teller, voice):
    clips = [(voice(s, 16000, n), 16000) for n, s in enumerate((0.4, 2.3, 3.9))]
    assert teller.describe(clips) == [teller.describe(clip) for clip in clips]


@pytest.mark.parametrize("int8", [False, True])
def test_a_folder_keeps_them(teller, voice, tmp_path, int8):
    hub.save(teller, tmp_path / "model", int8=int8)
    again = load(tmp_path / "model")
    assert again.fields.fields == teller.fields.fields
    if not int8:
        clip = (voice(2.0, 16000, 0), 16000)
        assert again.describe(clip) == teller.describe(clip)
    hub.save(again, tmp_path / "again", int8=int8)
    for name in ("config.json", "fields.safetensors"):
        assert (tmp_path / "model" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_a_broken_folder_says_what_is_wrong(teller, tmp_path):
    hub.save(teller, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["fields"]["values"].pop("gender")
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"fields.safetensors and section fields"):
        load(tmp_path)
    (tmp_path / "fields.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no fields.safetensors; restore"):
        load(tmp_path)


def whole(dim):
    torch.manual_seed(1)
    return FieldReader(dim, FIELDS, width=16, layers=1, whole=True).eval()


@torch.no_grad()
def test_statistics_answer_whatever_the_padding_and_the_convolutions():
    reader, vectors = whole(12), torch.randn(1, 30, 12)
    alone = reader(vectors, torch.ones(1, 30))
    padded = torch.cat([vectors, 100 * torch.ones(1, 9, 12)], 1)
    mask = (torch.arange(39) < 30)[None]
    for parameter in reader.body.parameters():
        parameter.data.normal_()
    for name, odds in reader(padded, mask).items():
        torch.testing.assert_close(odds, alone[name])


@torch.no_grad()
def test_statistics_are_mean_deviation_and_maximum():
    vectors = torch.tensor([[[1.0, -4.0], [3.0, 0.0], [9.0, 9.0]]])
    found = clip_statistics(vectors, torch.tensor([[1, 1, 0]]))
    torch.testing.assert_close(found, torch.tensor([[2.0, -2.0, 1.0, 2.0, 3.0, 0.0]]))
    reader = whole(2)
    reader.whole.standardise(torch.tensor([[0.0] * 6, [4.0] * 6]))
    wanted = reader.whole.outward((found - 2) / 2)
    torch.testing.assert_close(reader.whole(vectors, torch.tensor([[1, 1, 0]])), wanted)


@torch.no_grad()
def test_statistics_say_what_and_convolutions_where():
    reader = whole(4)
    for parameter in reader.parameters():
        parameter.data.zero_()
    values = sum(map(len, FIELDS.values()))
    dog = values - len(FIELDS[EVENTS]) + 1
    reader.whole.outward.bias.data[dog] = 9
    reader.whole.outward.bias.data[0] = 9  # nobody speaks
    reader.body.inward.weight.data[0, 0] = 1
    reader.body.outward.weight.data[dog, 0] = 100
    vectors = torch.zeros(1, 50, 4)
    vectors[0, 20:30, 0] = 1
    (told,) = tell(reader, vectors, torch.ones(1, 50), step=0.04)
    (sound,) = told.sounds
    assert sound.label == "dog" and sound.start == pytest.approx(0.8, abs=0.05)


def test_a_folder_keeps_the_statistics(tmp_path):
    reader = whole(12)
    reader.whole.standardise(torch.randn(9, 36))
    again = open_fields(tmp_path, save_fields(reader, tmp_path, int8=False)).eval()
    vectors, mask = torch.randn(2, 7, 12), torch.ones(2, 7)
    for name, odds in again(vectors, mask).items():
        torch.testing.assert_close(odds, reader(vectors, mask)[name])
