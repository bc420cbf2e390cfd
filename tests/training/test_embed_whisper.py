"""A Whisper that becomes a model's reader without training; a folder holds nothing twice."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_whisper import write_tiny_whisper
from transformers import WhisperForConditionalGeneration

import unisono
from unisono.errors import ConfigError, ModelError
from unisono.synthesis.convolution import TokenConvolutions
from unisono.training.embed_whisper import whisper_describer
from unisono.training.encoder_start import whisper_weights
from unisono.training.export import assemble
from unisono.uniaudio import LogMelFeatures, UniAudioConfig, UniAudioEncoder, folder
from unisono.uniaudio.reference import init_from_whisper
from unisono.uniaudio.tokenizer import UniAudioTokenizer

WAVE = (np.random.default_rng(1).standard_normal(16_000).astype("float32") * 0.1, 16_000)
BOTH = {"int8": True, "int4": True}


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    return write_tiny_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture
def tokenizer(whisper):
    """Whisper's first layer below the quantizer, a second one that is another's."""
    config = UniAudioConfig.from_reference(
        {
            "d_model": 64, "encoder_layers": 3, "encoder_attention_heads": 2, "encoder_ffn_dim": 64,
            "num_mel_bins": 80, "pooling_kernel_size": 2, "pooling_position": 1,
            "quantize_vocab_size": 32, "quantize_position": 2, "quantize_encoder_only": True,
        }
    )  # fmt: skip
    torch.manual_seed(3)
    encoder = UniAudioEncoder(config)
    init_from_whisper(encoder, whisper_weights(whisper))
    with torch.no_grad():
        encoder.layers[1].fc1.weight += 0.1
    bridge = TokenConvolutions(64, 320, 16, 2)
    text = whisper_describer(whisper, bridge, 2)
    return UniAudioTokenizer(encoder, LogMelFeatures(n_mels=80), None, "tiny", text, bridge=bridge)


def test_it_says_what_the_whisper_of_transformers_says(tokenizer, whisper):
    assert tokenizer.transcribe(WAVE, language="en") == "hi"
    assert tokenizer.transcribe(WAVE, language="en", whisper=whisper).startswith("hi")
    reader, tokens = tokenizer.describer.reader, tokenizer.describer.tokens
    assert len(reader.decoder.embed_positions.weight) == 40
    given = WhisperForConditionalGeneration.from_pretrained(whisper).model.decoder.eval()
    own = [tokens.pieces.token_to_id("h"), tokens.pieces.token_to_id("i")]
    assert torch.equal(
        reader.decoder.embed_tokens.weight[own[0]],
        given.embed_tokens.weight[sorted_letters().index("h")],
    )
    states = torch.randn(1, 7, 64)
    theirs = torch.tensor([[sorted_letters().index(letter) for letter in "hi"]])
    with torch.no_grad():
        said, _ = reader.decoder(torch.tensor([own]), states)
        wanted = given(theirs, encoder_hidden_states=states).last_hidden_state
    torch.testing.assert_close(said, wanted, atol=1e-5, rtol=1e-4)


def sorted_letters():
    from tokenizers import pre_tokenizers

    return sorted(pre_tokenizers.ByteLevel.alphabet())


@torch.no_grad()
def test_items_of_several_lengths_are_read_as_alone(tokenizer):
    reader = tokenizer.describer
    vectors, mask = torch.randn(2, 40, 64), torch.ones(2, 40, dtype=torch.long)
    mask[1, 9:] = 0
    heard = reader._heard(vectors, mask)
    alone = reader._heard(vectors[1:, :9], mask[1:, :9])
    count = int(alone.token_mask.sum())
    assert count == int(heard.token_mask[1].sum())
    torch.testing.assert_close(
        heard.last_hidden_state[1, :count], alone.last_hidden_state[0], atol=2e-5, rtol=1e-4
    )
    assert reader.transcripts(vectors, mask, [1.6, 0.36], "en") == ["hi", "hi"]


@pytest.mark.parametrize("stored", [{}, BOTH])
def test_a_folder_holds_bridge_and_common_layers_once(tokenizer, tmp_path, stored):
    folder.save(tokenizer, tmp_path / "one", **stored)
    section = json.loads((tmp_path / "one" / "config.json").read_text())["text"]
    assert section["shared"] == {"bridge": True, "layers": 1}
    names = set(load_file(tmp_path / "one" / "text.safetensors"))
    gone = ("top.bridge.", "top.ears.conv", "top.ears.above.layers.0.")
    assert names and not any(name.startswith(gone) for name in names)
    assert any(name.startswith("top.ears.above.layers.1.") for name in names)
    again = unisono.load(tmp_path / "one", decoder=False)
    assert again.transcribe(WAVE, language="en") == "hi"
    ears, below = again.describer.reader.top.ears, again.encoder
    assert torch.equal(ears.above.layers[0].fc1.weight, below.layers[0].fc1.weight)
    assert torch.equal(ears.conv2.weight, below.conv2.weight)
    assert not torch.equal(ears.above.layers[1].fc1.weight, below.layers[1].fc1.weight)
    again.save_pretrained(tmp_path / "two", int8=bool(stored))
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name
    # Whole numbers again: saved as they are, and into the folder that they were opened from.
    unisono.load(tmp_path / "two").save_pretrained(tmp_path / "two")
    last = unisono.load(tmp_path / "two").describer.reader.state_dict()
    for name, tensor in again.describer.reader.state_dict().items():
        assert torch.equal(last[name], tensor), name


def test_what_differs_is_not_shared(tokenizer, tmp_path):
    with torch.no_grad():
        tokenizer.encoder.conv1.weight[0, 0, 0] += 0.5
        tokenizer.describer.reader.top.bridge.outward.bias += 0.5
    folder.save(tokenizer, tmp_path / "model", **BOTH)
    section = json.loads((tmp_path / "model" / "config.json").read_text())["text"]
    assert "shared" not in section
    again = unisono.load(tmp_path / "model")
    other = again.describer.reader.top.bridge.outward.bias - again.bridge.outward.bias
    torch.testing.assert_close(other, torch.full_like(other, 0.5))


@pytest.mark.parametrize("shared", [{"layers": -1}, {"layers": True}, {"top": 1}, [3]])
def test_broken_sharing_is_refused(tokenizer, tmp_path, shared):
    folder.save(tokenizer, tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    config["text"]["shared"] = shared
    path.write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"text.shared must be like"):
        unisono.load(tmp_path / "model").transcribe(WAVE)


def test_more_shared_than_there_is_misses_tensors(tokenizer, tmp_path):
    folder.save(tokenizer, tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    path.write_text(path.read_text().replace('"layers": 1\n', '"layers": 9\n'))
    (tmp_path / "model" / "hearing.safetensors").unlink()
    with pytest.raises(ModelError, match=r"hearing.safetensors"):
        unisono.load(tmp_path / "model").transcribe(WAVE)


def test_a_whisper_of_another_width_is_refused(whisper):
    with pytest.raises(ConfigError, match=r"64 wide and hears 80 mel bands.* 32 wide"):
        whisper_describer(whisper, TokenConvolutions(32, 320, 16, 2), 2)


def test_it_needs_a_bridge(tmp_path, whisper):
    with pytest.raises(ConfigError, match="whisper_reader needs hearing_run"):
        assemble(tmp_path, tmp_path / "model", "x", whisper_reader=whisper)
