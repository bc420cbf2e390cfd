"""Golden files, small layouts with random weights, and speech-like waves."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from unisono.uniaudio import LogMelFeatures, UniAudioConfig, UniAudioEncoder

GOLDEN = Path(__file__).parent.parent / "golden"

SMALL = {
    "vocab_size": 120,
    "d_model": 48,
    "encoder_layers": 5,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 96,
    "decoder_ffn_dim": 96,
    "num_mel_bins": 80,
    "max_source_positions": 200,
    "max_target_positions": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 3,
    "begin_suppress_tokens": None,
    "init_std": 0.1,
}
SAE = {
    "encoder_residual_source_position": 1,
    "encoder_residual_target_position": 4,
    "use_residual_adapter": True,
    "use_residual_gate": True,
}
QUANTIZED = {"quantize_vocab_size": 64, "quantize_position": 4, "quantize_ema_decay": 0.9}
LAYOUTS = {
    "paper": {"pooling_kernel_size": 2, "pooling_type": "avg", **QUANTIZED, **SAE},
    "mini": {
        "pooling_kernel_size": 2,
        "pooling_type": "avg",
        "pooling_position": 3,
        "quantize_encoder_only": True,
        **QUANTIZED,
        **SAE,
    },
    "glm4voice": {
        "pooling_kernel_size": 4,
        "pooling_type": "avg",
        "pooling_position": 3,
        "encoder_causal_convolution": True,
        "quantize_causal_block_size": 20,
        **QUANTIZED,
    },
    "max_late_residual": {
        "pooling_kernel_size": 3,
        "pooling_position": 4,
        **QUANTIZED,
        **SAE,
        "encoder_residual_target_position": 5,
    },
    "causal_by_gradient": {
        **QUANTIZED,
        "quantize_ema_decay": None,
        "encoder_causal_attention": True,
        "encoder_causal_convolution": True,
        "codebook_gaussian_init": True,
        "use_commit_loss": False,
    },
    "causal_below_quantizer": {
        "pooling_kernel_size": 2,
        **QUANTIZED,
        **SAE,
        "use_residual_gate": False,
        "use_residual_adapter": False,
        "quantize_causal_encoder": True,
    },
}


class Golden:
    """A golden file: config, tensors, and the state dict in it."""

    def __init__(self, name: str) -> None:
        with safe_open(GOLDEN / f"{name}.safetensors", "pt") as file:
            self.config = json.loads(file.metadata()["config"])
            self.tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        self.state = {
            key.removeprefix("state."): tensor
            for key, tensor in self.tensors.items()
            if key.startswith("state.")
        }

    def __getitem__(self, key: str) -> torch.Tensor:
        return self.tensors[key]


@pytest.fixture
def golden():
    return Golden


def small_config(layout: str, **changes) -> UniAudioConfig:
    return UniAudioConfig.from_reference({**SMALL, **LAYOUTS[layout], **changes})


@pytest.fixture
def make_config():
    return small_config


@pytest.fixture
def make_encoder():
    """Random encoder of a layout, its codebook from its own states, so that many codes are used."""

    def build(layout: str, **changes) -> UniAudioEncoder:
        torch.manual_seed(7)
        encoder = UniAudioEncoder(small_config(layout, **changes)).eval()
        features, mask = LogMelFeatures()(
            [speech_like(28_000, seed) for seed in range(4)], encoder.config.frame_multiple
        )
        with torch.no_grad():
            state = encoder.run_layers(encoder.embed(features, mask), 3)
            encoder.quantizer.init_from(state.hidden, generator=torch.Generator().manual_seed(1))
        return encoder

    return build


@pytest.fixture(params=list(LAYOUTS))
def layout(request):
    return request.param


def speech_like(samples: int, seed: int = 0) -> np.ndarray:
    """Voiced harmonics under a syllable-rate envelope, with breath noise: `[samples]` float32."""
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / 16_000
    pitch = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * time + seed)) / 16_000
    voice = sum(np.sin(k * pitch + rng.uniform(0, 6)) / k for k in range(1, 12))
    envelope = np.clip(np.sin(2 * np.pi * 3.5 * time + seed) + 0.3, 0, None)
    noise = rng.standard_normal(samples)
    return (0.1 * voice * envelope + 0.01 * noise).astype(np.float32)


@pytest.fixture
def wave():
    return speech_like
