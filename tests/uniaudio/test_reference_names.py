"""Checkpoints under the reference's names, and Whisper's, as a start."""

import pytest
import torch
from transformers import WhisperConfig, WhisperForConditionalGeneration

from unisono.errors import ModelError
from unisono.uniaudio import UniAudioEncoder, UniAudioForConditionalGeneration
from unisono.uniaudio.reference import (
    init_from_whisper,
    init_text_model_from_whisper,
    reference_state,
)

WHISPER = {
    "vocab_size": 110,
    "d_model": 48,
    "encoder_layers": 6,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 96,
    "decoder_ffn_dim": 96,
    "max_source_positions": 200,
    "max_target_positions": 32,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def test_prefix_extra_tensors_and_upper_layers_do_not_matter(make_encoder, make_config):
    state = reference_state(make_encoder("paper"))
    names = set(state)
    assert {"codebook.weight", "ema_count", "residual_gate.2.bias", "layers.4.fc1.bias"} <= names
    prefixed = {f"model.encoder.{name}": tensor for name, tensor in state.items()}
    prefixed |= {"model.encoder.codebook_used": torch.ones(256), "proj_out.weight": torch.ones(2)}
    small = make_config("paper", quantize_encoder_only=True)
    for given in (state, prefixed):
        encoder = UniAudioEncoder(small)
        encoder.load_reference_state(given)
        assert len(encoder.layers) == 4
        for name, tensor in reference_state(encoder).items():
            assert torch.equal(tensor, state[name]), name


def test_missing_and_misshapen_tensors_are_named_and_nothing_is_loaded(make_encoder, make_config):
    state = reference_state(make_encoder("paper"))
    encoder = UniAudioEncoder(make_config("paper"))
    before = encoder.conv1.weight.clone()
    broken = {n: t for n, t in state.items() if n not in ("ema_count", "residual_gate.0.bias")}
    with pytest.raises(ModelError, match=r"misses 2 tensors: ema_count, residual_gate\.0\.bias"):
        encoder.load_reference_state(broken)
    with pytest.raises(ModelError, match=r"codebook\.weight is \[32, 48\]"):
        encoder.load_reference_state({**state, "codebook.weight": torch.zeros(32, 48)})
    assert torch.equal(encoder.conv1.weight, before)


def test_encoder_starts_as_whispers(make_config):
    whisper = WhisperForConditionalGeneration(WhisperConfig(**WHISPER)).eval()
    config = make_config(
        "paper",
        quantize_vocab_size=None,
        pooling_kernel_size=None,
        encoder_residual_source_position=None,
        encoder_residual_target_position=None,
        encoder_layers=6,
    )
    encoder = UniAudioEncoder(config).eval()
    init_from_whisper(encoder, whisper.state_dict())
    features = torch.randn(1, 80, 400)
    with torch.no_grad():
        theirs = whisper.model.encoder(features).last_hidden_state
        torch.testing.assert_close(encoder(features).last_hidden_state, theirs)


def test_quantized_encoder_keeps_its_own_parts_and_text_tables_grow(make_config):
    whisper = WhisperForConditionalGeneration(WhisperConfig(**WHISPER))
    model = UniAudioForConditionalGeneration(make_config("mini"))
    codebook = model.model.encoder.quantizer.codebook.weight.clone()
    init_text_model_from_whisper(model, whisper.state_dict())
    encoder, decoder = model.model.encoder, model.model.decoder
    theirs = whisper.model.encoder
    assert torch.equal(encoder.layers[3].fc1.weight, theirs.layers[3].fc1.weight)
    assert torch.equal(encoder.quantizer.codebook.weight, codebook)
    assert not encoder.embed_positions2.weight.any()
    given = whisper.model.decoder
    assert torch.equal(decoder.embed_positions.weight[:32], given.embed_positions.weight)
    assert torch.equal(model.proj_out.weight[:110], given.embed_tokens.weight)
    assert decoder.embed_positions.weight.shape == (64, 48)
