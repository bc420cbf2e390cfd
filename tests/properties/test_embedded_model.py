"""The models that ship inside the package, on a real recording: promises 2, 3 and 6."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import unisono
from unisono.models import embedded_models
from unisono.sap.schema import SAP
from unisono.synthesis.mel import MelConfig, MelSpectrogram

SPEECH = Path(__file__).parents[2] / "examples" / "speech.wav"


@pytest.fixture(scope="module", params=sorted(embedded_models()))
def tok(request):
    return unisono.load(request.param)


@pytest.fixture(scope="module")
def speech():
    return unisono.Audio.read(SPEECH)


def timed(tok):
    """Names of the streams that go on with time."""
    return [stream.name for stream in tok.layout.streams if stream.rate is not None]


def test_a_default_model_ships_and_loads_without_a_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert unisono.load().model_id == "uniaudio-mini"


def test_a_batch_of_real_clips_is_its_clips_alone(tok, speech):
    wave, rate = speech.samples[0], speech.rate
    cuts = [(0, 47_000), (3_000, 9_001), (20_000, 20_001), (11_111, 44_444), (5, 30_000)]
    clips = [(wave[a:b], rate) for a, b in cuts]
    clips.append((np.tile(wave, 12), rate))
    alone = [tok.encode(clip) for clip in clips]
    for seconds in (1, 20, 300):
        assert tok.encode(clips, batch_seconds=seconds) == alone
    assert tok.encode(clips[::-1])[::-1] == alone


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 96_000])
def test_rates_of_files_change_few_tokens(tok, speech, tmp_path, rate):
    other = speech.resample(rate)
    soundfile.write(tmp_path / "a.wav", other.samples.T, rate, subtype="PCM_24")
    tokens, original = tok.encode(tmp_path / "a.wav"), tok.encode(SPEECH)
    assert tokens.rate == rate
    for name in timed(tok):
        mine, theirs = tokens[name], original[name]
        same = np.mean(mine == theirs[:, : mine.shape[1]])
        # 8 kHz has lost half of the spectrum; the others only the resampler's rounding.
        assert same > (0.2 if rate == 8_000 else 0.8)


def test_the_reconstruction_has_the_length_and_repeats(tok, speech):
    tokens = tok.encode(SPEECH)
    assert tok.encode(SPEECH) == tokens
    audio, again = tok.decode(tokens, seed=1), tok.decode(tokens, seed=1)
    assert audio.length == round(speech.length * tok.output_rate / speech.rate)
    assert np.array_equal(audio.samples, again.samples)
    # UniCodec's decoder draws nothing.
    drawn = not np.array_equal(audio.samples, tok.decode(tokens, seed=2).samples)
    assert drawn == (tok.system == "uniaudio")


def test_tokens_carry_the_sound(tok, speech):
    """The true tokens give a spectrum much nearer to the recording than shuffled ones."""
    tokens = tok.encode(SPEECH)
    order = np.random.default_rng(0).permutation(tokens[timed(tok)[0]].shape[1])
    shuffled = dict(tokens.codes) | {name: tokens[name][:, order] for name in timed(tok)}
    other = unisono.AudioTokens(shuffled, tokens.samples, tokens.rate, tokens.layout, tokens.model)
    mel = MelSpectrogram(MelConfig(rate=16_000))

    def distance(audio):
        made = mel(torch.from_numpy(audio.resample(16_000).samples))
        real = mel(torch.from_numpy(speech.samples))
        frames = min(made.shape[2], real.shape[2])
        return float((made[..., :frames] - real[..., :frames]).abs().mean())

    assert distance(tok.decode(tokens)) < 0.75 * distance(tok.decode(other))


def test_what_ships_tells_of_a_recording_from_its_tokens():
    tok = unisono.load()
    assert tok.reads_text
    tokens = tok.encode(SPEECH)
    said = tok.transcribe(tokens, language="en")
    assert said == tok.transcribe(SPEECH, language="en")
    assert said.lower().startswith("he was not")
    sap = tok.describe(tokens)
    assert SAP.parse(sap.canonical()) == sap and sap.transcription
    assert sap.paralinguistics.gender is not None
