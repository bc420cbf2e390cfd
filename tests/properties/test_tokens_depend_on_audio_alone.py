"""Promises 2 and 3: tokens depend on the audio alone, and decoding keeps its length."""

from __future__ import annotations

import math

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from unisono import Audio

MODELS = ("uat", "glm")
HOP = {"uat": 640, "glm": 1280}


@pytest.fixture(params=MODELS)
def named(request):
    return request.param, request.getfixturevalue(request.param)


def test_a_batch_is_its_clips_alone(named, voice):
    _, tokenizer = named
    lengths = (0.04, 3.7, 0.9, 9.1, 1.0 / 16000, 2.00006, 4.0, 5.3)
    clips = [(voice(s, 16000, i), 16000) for i, s in enumerate(lengths)]
    alone = [tokenizer.encode(clip) for clip in clips]
    for seconds in (0.5, 8, 60):
        assert tokenizer.encode(clips, batch_seconds=seconds) == alone
    assert tokenizer.encode(clips[::-1]) == alone[::-1]
    assert tokenizer.encode(clips) == alone


def test_codes_vary_with_the_sound(named, voice):
    """The properties here would hold for a constant; the models are not constant."""
    _, tokenizer = named
    assert len(np.unique(tokenizer.encode((voice(9.0, 16000), 16000))["audio"])) > 3


def test_token_count_for_every_short_length(named, voice):
    name, tokenizer = named
    wave = voice(0.2, 16000)
    clips = [(wave[:n], 16000) for n in range(1, 2001)]
    counts = [t["audio"].shape[1] for t in tokenizer.encode(clips, batch_seconds=30)]
    assert counts == [math.ceil(n / HOP[name]) for n in range(1, 2001)]


def test_token_count_for_random_lengths(uat, voice):
    wave = voice(13.0, 16000)
    random = np.random.default_rng(7)
    lengths = [int(n) for n in random.integers(2000, len(wave), 20)] + [64000, 64001, 63999]
    tokens = uat.encode([(wave[:n], 16000) for n in lengths])
    assert [t["audio"].shape[1] for t in tokens] == [math.ceil(n / 640) for n in lengths]


@given(samples=st.integers(1, 30_000), rate=st.sampled_from([8000, 11025, 22050, 44100, 48000]))
@settings(max_examples=25, deadline=None, database=None)
def test_any_rate_and_length_gives_the_layouts_count_and_length_back(uat, samples, rate):
    wave = np.sin(np.arange(samples) * 0.05).astype(np.float32)
    tokens = uat.encode((wave, rate))
    assert (tokens.samples, tokens.rate) == (samples, rate)
    assert tokens["audio"].shape == (1, math.ceil(samples * 25 / rate))
    assert uat.decoded_length(tokens) == max(1, round(samples * 22050 / rate))


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_files_of_every_rate_and_depth(uat, voice, tmp_path, rate, subtype):
    path = tmp_path / "clip.wav"
    wave = voice(1.234, rate)
    soundfile.write(path, np.stack([wave, wave], 1), rate, subtype=subtype)
    tokens = uat.encode(path)
    assert tokens == uat.encode(Audio.read(path))
    assert tokens == uat.encode(Audio.read(path).mono())
    assert tokens["audio"].shape == (1, math.ceil(len(wave) * 25 / rate))


def test_stereo_is_the_mean_of_its_channels(uat, voice):
    left, right = voice(2.0, 16000, 1), voice(2.0, 16000, 2)
    assert uat.encode((np.stack([left, right]), 16000)) == uat.encode(((left + right) / 2, 16000))


def test_streamed_and_whole_files_agree(uat, voice, tmp_path):
    wave = voice(14.6, 44100)
    path = tmp_path / "long.flac"
    soundfile.write(path, wave, 44100)
    whole = uat.encode(Audio.read(path))
    assert uat.encode(path) == whole
    parts = list(uat.encode_stream(np.array_split(Audio.read(path).samples[0], 37), 44100))
    assert len(parts) == 4
    assert np.array_equal(np.concatenate([p["audio"] for p in parts], 1), whole["audio"])


@pytest.mark.parametrize("samples", [1, 2, 640, 641, 12_345])
def test_decoding_gives_the_length_back(named, voice, samples):
    _, tokenizer = named
    tokens = tokenizer.encode((voice(1.0, 16000)[:samples], 16000))
    audio = tokenizer.decode(tokens, steps=1)
    assert audio.rate == 22050
    assert audio.length == max(1, round(samples * 22050 / 16000))


def test_same_seed_same_waveform(uat, voice):
    tokens = uat.encode((voice(1.0, 16000), 16000))
    first, again, other = (uat.decode(tokens, seed=s, steps=2).samples for s in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_list_decodes_like_its_items(uat, voice):
    tokens = uat.encode([(voice(s, 16000, i), 16000) for i, s in enumerate((0.5, 1.7, 1.1))])
    alone = [uat.decode(t, steps=2) for t in tokens]
    for one, other in zip(uat.decode(tokens, steps=2), alone, strict=True):
        assert one.length == other.length
        assert np.abs(one.samples - other.samples).max() < 1e-4


def test_segments_join_without_a_click(uat, voice):
    """Around the joins of decoding segments the wave moves no faster than elsewhere."""
    tokens = uat.encode((voice(47.0, 16000), 16000))
    wave = uat.decode(tokens, steps=1).samples[0]
    step = np.abs(np.diff(wave))
    # Decoding cuts somewhere at 16 to 20 s; look at all such places at once: the largest jump
    # of the whole must not stand out from the usual largest jumps of other quarter seconds.
    windows = step[: len(step) // 5512 * 5512].reshape(-1, 5512).max(1)
    assert windows.max() < 1.5 * np.quantile(windows, 0.95)
