"""The voice vector: what it measures, and what a decoder does with it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import unisono
from unisono import hub
from unisono.audio import Audio
from unisono.errors import ConfigError, UnisonoError
from unisono.synthesis import SpeechDecoder
from unisono.synthesis.voice import voice_vector

MELS = 20
FLOW = {
    "input_size": 24,
    "output_size": MELS,
    "spk_embed_dim": 0,
    "vocab_size": 64,
    "encoder_kind": "convolution",
    "encoder": {
        "input_size": 24, "output_size": 10, "frames": 4, "width": 16, "layers": 2,
        "voice": 2 * MELS,
    },
    "length_regulator": {"channels": MELS, "sampling_ratios": [1]},
    "decoder": {
        "estimator": {
            "in_channels": 3 * MELS, "out_channels": MELS, "channels": [16, 16],
            "attention_head_dim": 8, "n_blocks": 1, "num_mid_blocks": 1, "num_heads": 2,
        }
    },
}  # fmt: skip
VOICES = {"low": [0.5] * 2 * MELS, "high": [-0.5] * 2 * MELS}


@pytest.fixture(scope="module")
def speaker_model(golden_state, uat_folder):
    """The tiny release's tokenizer with a decoder that takes voices."""
    tokenizer = unisono.load(uat_folder)
    torch.manual_seed(0)
    decoder = SpeechDecoder.from_config(
        {
            "flow": FLOW,
            "hift": tokenizer.decoder.config.hift,
            "mel": tokenizer.decoder.config.mel,
            "steps": 1,
            "voices": VOICES,
            "voice": "low",
        }
    ).eval()
    for style in decoder.flow.encoder.styles:
        torch.nn.init.normal_(style.weight, std=0.5)
    tokenizer.decoder = decoder
    return tokenizer


@pytest.fixture(scope="module")
def tokens(speaker_model, voice):
    return speaker_model.encode((voice(1.0, 16000), 16000))


def test_the_vector_knows_colour_and_not_level():
    mel = torch.randn(MELS, 200, generator=torch.Generator().manual_seed(0))
    vector = voice_vector(mel)
    assert vector.shape == (2 * MELS,)
    torch.testing.assert_close(voice_vector(mel + 3.0), vector)
    brighter = mel + torch.linspace(-1, 1, MELS)[:, None]
    assert voice_vector(brighter)[MELS - 1] > vector[MELS - 1] + 0.3


def test_the_vector_leaves_pauses_out():
    speech = torch.randn(MELS, 100, generator=torch.Generator().manual_seed(0))
    padded = [torch.cat([speech, torch.full((MELS, n), -11.5)], 1) for n in (60, 600)]
    torch.testing.assert_close(voice_vector(padded[0]), voice_vector(padded[1]))


def test_a_voice_changes_the_wave_and_nothing_else(speaker_model, tokens):
    low, high, average = (speaker_model.decode(tokens, voice=v) for v in ("low", "high", "average"))
    assert low.length == high.length == average.length
    assert np.array_equal(low.samples, speaker_model.decode(tokens).samples)  # its own choice
    assert not np.allclose(low.samples, high.samples)
    assert not np.allclose(low.samples, average.samples)


def test_a_batch_speaks_like_its_items(speaker_model, tokens, voice):
    other = speaker_model.encode((voice(1.7, 16000, 3), 16000))
    together = speaker_model.decode([tokens, other], voice="high")
    for item, audio in zip([tokens, other], together, strict=True):
        alone = speaker_model.decode(item, voice="high")
        np.testing.assert_allclose(audio.samples, alone.samples, atol=1e-5)


def test_a_recording_is_a_voice(speaker_model, tokens, voice, tmp_path):
    wave = (0.5 * voice(2.0, 44100, 5)).astype(np.float32)
    recording = Audio(np.stack([wave, wave]), 44100)
    path = recording.write(tmp_path / "voice.wav") or tmp_path / "voice.wav"
    from_path = speaker_model.decode(tokens, voice=path)
    from_audio = speaker_model.decode(tokens, voice=Audio.read(path))
    np.testing.assert_allclose(from_path.samples, from_audio.samples, atol=1e-4)
    assert not np.allclose(from_path.samples, speaker_model.decode(tokens).samples)


def test_unknown_voices_are_named(speaker_model, tokens, uat, voice):
    assert speaker_model.voices == ("average", "high", "low")
    with pytest.raises(ConfigError, match=r"'bass' is neither one of average, high, low nor"):
        speaker_model.decode(tokens, voice="bass")
    assert uat.voices == ()
    with pytest.raises(ConfigError, match="takes no voice"):
        uat.decode(uat.encode((voice(0.5, 16000), 16000)), voice="low")
    with pytest.raises(UnisonoError, match="int"):
        speaker_model.decode(tokens, voice=3)
    with pytest.raises(ConfigError, match="do not say whose voice it is"):
        speaker_model.decode(tokens, voice=tokens)


def test_voices_are_saved(speaker_model, tokens, tmp_path):
    hub.save(speaker_model, tmp_path / "model")
    again = unisono.load(tmp_path / "model")
    assert again.voices == speaker_model.voices
    np.testing.assert_allclose(
        again.decode(tokens).samples, speaker_model.decode(tokens).samples, atol=1e-5
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"voice": "alto"}, "alto"),
        ({"voices": {"short": [0.0]}, "voice": "short"}, "short are not 40 numbers"),
        ({"flow": {**FLOW, "spk_embed_dim": 8}}, "not both"),
    ],
)
def test_impossible_settings_are_refused(speaker_model, change, words):
    config = speaker_model.decoder.config.to_dict()
    with pytest.raises(ConfigError, match=words):
        SpeechDecoder.from_config({**config, **change})


def test_unknown_sampling_options_are_refused(speaker_model):
    with pytest.raises(ConfigError, match="temprature"):
        speaker_model.decoder.waves([torch.zeros(5, dtype=torch.long)], temprature=0.5)
