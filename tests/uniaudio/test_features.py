"""Features of one item are Whisper's, whatever else is in the batch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import WhisperFeatureExtractor

from unisono.errors import ConfigError
from unisono.uniaudio import LogMelFeatures


@pytest.mark.parametrize("mels", [80, 128])
@pytest.mark.parametrize("samples", [1, 639, 640, 641, 16_000, 47_123])
def test_each_item_equals_whispers_extractor(wave, mels, samples):
    ours = LogMelFeatures(mels)
    clip = wave(samples, 3)
    features, mask = ours([wave(50_000), clip], multiple=4)
    whisper = WhisperFeatureExtractor(mels)
    theirs = whisper(
        clip,
        sampling_rate=16_000,
        padding="longest",
        pad_to_multiple_of=640,
        return_attention_mask=True,
        return_tensors="pt",
    )
    frames = theirs.input_features.shape[-1]
    torch.testing.assert_close(features[1, :, :frames], theirs.input_features[0], atol=1e-5, rtol=0)
    assert torch.equal(mask[1, :frames], theirs.attention_mask[0].long())
    assert not features[1, :, frames:].any() and not mask[1, frames:].any()


@settings(max_examples=40, deadline=None)
@given(samples=st.integers(1, 5000), multiple=st.integers(2, 8))
def test_any_length_gives_whole_tokens(samples, multiple):
    features, mask = LogMelFeatures()([np.zeros(samples, np.float32)], multiple)
    assert features.shape[-1] == -(-samples // (160 * multiple)) * multiple
    assert mask.sum() == -(-samples // 160)
    assert torch.isfinite(features).all()


def test_preprocessor_config_round_trip():
    features = LogMelFeatures(128)
    again = LogMelFeatures.from_preprocessor_config(
        {**WhisperFeatureExtractor(128).to_dict(), **features.to_preprocessor_config()}
    )
    assert (again.n_mels, again.n_fft, again.hop, again.rate) == (128, 400, 160, 16_000)
    with pytest.raises(ConfigError, match="Wav2Vec2"):
        LogMelFeatures.from_preprocessor_config({"feature_extractor_type": "Wav2Vec2Extractor"})
    with pytest.raises(ConfigError, match="dither"):
        LogMelFeatures.from_preprocessor_config({"dither": 0.1})
