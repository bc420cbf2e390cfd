"""Features of speech models as targets, from models of a few thousand weights."""

import json

import numpy as np
import pytest
import torch
from tiny_whisper import write_tiny_whisper
from transformers import (
    HubertConfig,
    HubertModel,
    Wav2Vec2FeatureExtractor,
    WhisperFeatureExtractor,
)

from unisono.data.dataset import ClipSet
from unisono.errors import ConfigError, DataError
from unisono.training.speech_teacher import PASS_SECONDS, SpeechTeacher, TaughtClips


@pytest.fixture(scope="module")
def hubert(tmp_path_factory):
    """Layers of one frame each 20 ms, states 8 wide."""
    folder = tmp_path_factory.mktemp("teachers") / "hubert"
    torch.manual_seed(0)
    config = HubertConfig(
        hidden_size=8, num_hidden_layers=3, num_attention_heads=2, intermediate_size=16,
        conv_dim=(8,) * 7, num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    HubertModel(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(sampling_rate=16_000).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    folder = write_tiny_whisper(tmp_path_factory.mktemp("teachers") / "whisper", width=16)
    WhisperFeatureExtractor().save_pretrained(folder)
    return folder


def noise(seconds, seed=0):
    n = round(seconds * 16_000)
    return (0.1 * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def test_hubert_states_are_averaged_to_the_token_rate(hubert):
    teacher = SpeechTeacher(hubert, 2)
    wave = noise(2.0)
    made = teacher(wave, 16_000, 50)
    assert made.shape == (50, 8)
    normed = teacher.extractor(wave, sampling_rate=16_000, return_tensors="pt").input_values
    with torch.no_grad():
        states = HubertModel.from_pretrained(hubert).eval()(normed, output_hidden_states=True)
    layer = states.hidden_states[2][0]
    assert len(layer) == 99  # two a token, short of one
    torch.testing.assert_close(made[0], layer[:2].mean(0), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(made[-1], layer[-2:].mean(0), atol=1e-5, rtol=1e-5)
    assert (SpeechTeacher(hubert, 3)(wave, 16_000, 50) - made).abs().max() > 1e-3


def test_whisper_states_end_where_the_audio_does(whisper):
    """Its encoder hears 30 s; what it says of the padding is left out."""
    teacher = SpeechTeacher(whisper, 1)
    wave = noise(2.0)
    made = teacher(wave, 16_000, 50)
    assert made.shape == (50, 16)
    features = teacher.extractor(wave, sampling_rate=16_000, return_tensors="pt").input_features
    with torch.no_grad():
        layer = teacher.model(features, output_hidden_states=True).hidden_states[1][0]
    assert layer.shape == (1500, 16)
    torch.testing.assert_close(made, layer[:100].reshape(50, 2, 16).mean(1), atol=1e-5, rtol=1e-5)


def test_layers_that_are_not_there_and_folders_that_are_none(hubert, whisper, tmp_path):
    for folder in (hubert, whisper):
        SpeechTeacher(folder, 3)
        with pytest.raises(ConfigError, match="has 3 layers, not 4"):
            SpeechTeacher(folder, 4)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "nothing"}))
    with pytest.raises(ConfigError, match="cannot be loaded"):
        SpeechTeacher(tmp_path, 1)


def test_every_clip_has_features_of_its_own_place(corpus, hubert, tmp_path):
    clips = ClipSet([corpus])
    taught = TaughtClips(clips, tmp_path, hubert, 2, 640)
    # Short clips share a pass; each is padded to whole tokens.
    waves = [clips.read(n) for n in range(len(clips.items))]
    counts = [-(-len(wave) // 640) for wave in waves]
    padded = [np.pad(w, (0, c * 640 - len(w))) for w, c in zip(waves, counts, strict=True)]
    assert sum(counts) < PASS_SECONDS * 25
    states = SpeechTeacher(hubert, 2)(np.concatenate(padded), 16_000, sum(counts)).numpy()
    wanted = (states - states.mean(0)) / states.std(0)
    start = 0
    for clip, count in enumerate(counts):
        made = taught.read(clip, 0, count)
        np.testing.assert_allclose(made, wanted[start : start + count], atol=0.02)
        np.testing.assert_array_equal(taught.read(clip, 3, 4), made[3:7])
        start += count
    past = taught.read(0, counts[0] - 2, 5)
    assert past.shape == (5, 8) and past[:2].any() and not past[2:].any()


def test_features_are_kept_and_other_settings_refused(corpus, hubert, tmp_path, monkeypatch):
    clips = ClipSet([corpus])
    first = TaughtClips(clips, tmp_path, hubert, 2, 640).read(1, 0, 5)

    def never(*_):
        raise AssertionError("the teacher was asked again")

    monkeypatch.setattr(SpeechTeacher, "__call__", never)
    again = TaughtClips(clips, tmp_path, hubert, 2, 640).read(1, 0, 5)
    np.testing.assert_array_equal(first, again)
    with pytest.raises(DataError, match="other settings"):
        TaughtClips(clips, tmp_path, hubert, 1, 640)
