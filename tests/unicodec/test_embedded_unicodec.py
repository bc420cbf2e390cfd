"""The shipped unicodec-mini on a real recording."""

import math

import numpy as np
import pytest
import pyworld

import unisono
from unisono.evaluation.metrics.stoi import stoi
from unisono.storage.packed import pack_codes
from unisono.storage.range_coder import range_encode

SPEECH = "examples/speech.wav"


@pytest.fixture(scope="module")
def tok():
    return unisono.load("unicodec-mini")


@pytest.fixture(scope="module")
def recording():
    return unisono.Audio.read(SPEECH)


@pytest.fixture(scope="module")
def tokens(tok, recording):
    return tok.encode(recording)


def test_speech_comes_back(tok, recording, tokens):
    made = tok.decode(tokens)
    assert made.length == recording.length
    assert stoi(recording, made) > 0.6


def test_the_residual_is_worth_something(tok, recording, tokens):
    part = tokens.only("global", "semantic")
    assert part.layout.tokens_per_second == 50
    assert 0.5 < stoi(recording, tok.decode(part)) < stoi(recording, tok.decode(tokens))


def heard_pitch(audio):
    """log2 of F0 and where there is voice, at each 5 ms, by WORLD."""
    wave = audio.mono().resample(16_000).samples[0].astype(np.float64)
    f0 = pyworld.harvest(wave, 16_000, f0_floor=60.0, f0_ceil=500.0)[0]
    return np.log2(np.maximum(f0, 1.0)), f0 > 0


def test_prosody_is_the_residuals(tok, recording, tokens):
    """Without P there is no melody; with its pitch group alone there is again."""
    real, voiced = heard_pitch(recording)
    spread, off = {}, {}
    kept = {"none": tokens.only("global", "semantic"), "pitch": tokens.first_groups(residual=1)}
    for name, part in kept.items():
        pitch, there = heard_pitch(tok.decode(part))
        both = voiced & there
        assert both.mean() > 0.2
        spread[name] = np.subtract(*np.percentile(pitch[both], [90, 10]))
        off[name] = np.median(np.abs(pitch[both] - real[both]))
    assert spread["none"] < 0.5 * spread["pitch"]
    assert off["pitch"] < 0.05 and off["none"] > 0.1


def test_another_voice_brings_its_register_and_its_sound(tok, recording):
    """The same words an octave's quarter lower, in another colour, move towards that recording."""
    wave = recording.mono().resample(16_000).samples[0]
    lower = unisono.Audio(wave, 13_500).resample(16_000)  # pitch and formants both
    own, other = tok.encode(recording), tok.encode(lower)
    made = tok.decode(own, voice=lower)
    pitches = {
        name: np.median(pitch[voiced])
        for name, (pitch, voiced) in {
            "own": heard_pitch(recording), "other": heard_pitch(lower), "made": heard_pitch(made)
        }.items()
    }  # fmt: skip
    assert pitches["made"] == pytest.approx(pitches["other"], abs=0.06)
    assert pitches["own"] - pitches["made"] > 0.1
    assert made.length == recording.length
    assert not np.array_equal(own["global"], other["global"])


def test_live_tokens_and_waves_are_those_of_the_whole(tok, recording, tokens):
    wave = recording.mono().resample(tok.sample_rate).samples[0]
    blocks = np.array_split(wave, 37)
    (live,) = tok.encode_stream(blocks, tok.sample_rate, lookahead=math.inf)
    assert live == tok.encode(unisono.Audio(wave, tok.sample_rate))
    whole = tok.decode(tokens).samples.reshape(-1)
    pieces = []
    with tok.decoder_stream() as stream:
        frames = tokens["semantic"].shape[1]
        for frame in range(frames):
            codes = {n: c if n == "global" else c[:, frame : frame + 1]
                     for n, c in tokens.codes.items()}  # fmt: skip
            pieces += stream.push([codes], ends=frame == frames - 1)
    made = np.concatenate(pieces)[: len(whole)]
    assert np.abs(made - whole).max() < 1e-4


def test_coded_tokens_are_smaller_than_packed_ones(tok, tokens, tmp_path):
    assert tok.statistics is not None
    packed = sum(len(pack_codes(tokens[s.name].T, s.codebook_size)) for s in tok.layout.streams)
    assert len(range_encode(tokens, tok.statistics)) < 0.95 * packed
    tokens.save(tmp_path / "a.utok", statistics=tok.statistics)
    assert unisono.AudioTokens.load(tmp_path / "a.utok") == tokens
