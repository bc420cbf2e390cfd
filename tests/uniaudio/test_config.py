"""Reference configs are read; impossible ones are refused in a sentence."""

import pytest

from unisono.errors import ConfigError
from unisono.uniaudio import UniAudioConfig

RELEASE = {
    "architectures": ["WhisperVQEncoder"],
    "model_type": "whisper",
    "_name_or_path": "somewhere",
    "torch_dtype": "float32",
    "transformers_version": "4.44.1",
    "forced_decoder_ids": [[1, 50259]],
    "max_length": 448,
    "skip_language_detection": True,
    "encoder_layers": 32,
    "encoder_attention_heads": 20,
    "d_model": 1280,
    "num_mel_bins": 128,
    "pooling_kernel_size": 2,
    "pooling_type": "avg",
    "pooling_position": 0,
    "quantize_vocab_size": 8192,
    "quantize_position": 32,
    "quantize_ema_decay": 0.95,
    "quantize_restart_interval": 10,
    "quantize_loss_scale": 10.0,
    "encoder_residual_source_position": 3,
    "encoder_residual_target_position": 32,
    "use_residual_adapter": True,
    "use_residual_gate": True,
}


def test_a_release_is_read():
    config = UniAudioConfig.from_reference(RELEASE)
    assert config.model_type == "uniaudio"
    assert config._attn_implementation == "sdpa"
    assert config.frame_multiple == 4 and config.layers_built == 32 and config.has_residual


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pooling_type": "mean"}, "pooling_type"),
        ({"pooling_position": 33}, "pooling_position 33"),
        ({"pooling_kernel_size": 0}, "pooling_kernel_size"),
        ({"quantize_position": 33}, "quantize_position 33"),
        ({"quantize_vocab_size": 0}, "quantize_vocab_size"),
        ({"quantize_ema_decay": 1.0}, "quantize_ema_decay"),
        ({"quantize_ema_decay": None}, "quantize_restart_interval needs"),
        ({"quantize_restart_interval": 0}, "quantize_restart_interval"),
        ({"quantize_causal_block_size": 1}, "quantize_causal_block_size"),
        ({"encoder_residual_source_position": None}, "go together"),
        ({"encoder_residual_source_position": 33}, "must rise"),
        ({"d_model": 1281}, "d_model"),
        ({"quantize_vocabsize": 3}, "did you mean 'quantize_vocab_size'"),
        ({"d_model": "wide"}, "d_model"),
    ],
)
def test_impossible_configs_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message) as caught:
        UniAudioConfig.from_reference({**RELEASE, **changes})
    assert "\n" not in str(caught.value)
