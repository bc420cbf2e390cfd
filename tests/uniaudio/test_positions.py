"""Whisper's positions, which a folder leaves out and computes."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers.models.whisper.modeling_whisper import sinusoids as of_transformers

from unisono.errors import ModelError
from unisono.hub import load
from unisono.uniaudio import LogMelFeatures
from unisono.uniaudio.positions import sinusoids, with_sinusoids, without_sinusoids
from unisono.uniaudio.tokenizer import UniAudioTokenizer

NAME = "encoder.embed_positions.weight"


@pytest.fixture
def tokenizer(make_encoder):
    encoder = make_encoder("mini")
    with torch.no_grad():
        encoder.embed_positions.weight.copy_(sinusoids(200, 48))
    return UniAudioTokenizer(encoder, LogMelFeatures(n_mels=80), None, "tiny")


def test_they_are_those_of_transformers_in_float16():
    ours = sinusoids(1500, 512)
    assert ours.dtype == torch.float16
    # Theirs are computed in float32, where a large angle is some 1e-4 off.
    assert (ours.float() - of_transformers(1500, 512)).abs().max() < 6e-4


@pytest.mark.parametrize("int8", [False, True])
def test_a_folder_does_not_hold_them_and_gives_the_same_tokens(tokenizer, wave, tmp_path, int8):
    folder = tokenizer.save_pretrained(tmp_path / "model", int8=int8)
    names = load_file(folder / "model.safetensors")
    assert NAME not in names and "encoder.embed_positions2.weight" in names
    assert json.loads((folder / "config.json").read_text())["sinusoids"] == {NAME: [200, 48]}
    again = load(folder)
    own = tokenizer.encoder.embed_positions.weight
    assert torch.equal(again.encoder.embed_positions.weight, own)
    if not int8:
        codes = [model.encode((wave(30_000), 16_000))["audio"] for model in (tokenizer, again)]
        assert (codes[0] == codes[1]).all()


def test_other_positions_are_stored(tokenizer, tmp_path):
    with torch.no_grad():
        tokenizer.encoder.embed_positions.weight[3, 5] += 0.01
    folder = tokenizer.save_pretrained(tmp_path / "model", int8=True)
    assert NAME in load_file(folder / "model.safetensors")
    assert "sinusoids" not in json.loads((folder / "config.json").read_text())
    assert load(folder).encoder.config.d_model == 48


def test_tensors_come_back():
    state = {NAME: sinusoids(20, 8), "encoder.layers.0.fc1.weight": torch.ones(2, 2)}
    left, sizes = without_sinusoids(state)
    assert set(left) == {"encoder.layers.0.fc1.weight"} and sizes == {NAME: [20, 8]}
    assert torch.equal(with_sinusoids(left, sizes)[NAME], state[NAME])


@pytest.mark.parametrize("sizes", [[20], "all", [0, 8], [20, 8.5], [1 << 20, 1 << 20], None])
def test_broken_sizes_are_refused(sizes):
    with pytest.raises(ModelError, match=r"sinusoids must be like .*restore"):
        with_sinusoids({}, {NAME: sizes})
    with pytest.raises(ModelError, match=r"sinusoids must be like .*restore"):
        with_sinusoids({}, sizes)
