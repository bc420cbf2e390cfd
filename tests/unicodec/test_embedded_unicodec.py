"""The shipped unicodec-mini on a real recording."""

import math

import numpy as np
import pytest

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
