"""Networks at the paper's size, with random weights: for measuring speed where nothing is loaded.

Source of the sizes: reference page sections 1 and 4.
"""

from __future__ import annotations

from typing import Any

import torch

from unisono.synthesis.flow import FlowDecoder
from unisono.synthesis.vocoder import HiFTVocoder
from unisono.uniaudio.config import UniAudioConfig
from unisono.uniaudio.encoder import UniAudioEncoder

REFERENCE_SECONDS = {"flow": 26.5, "vocoder": 7.0}
"""What the reference needs for 10 s of audio where float32 products run at 130 GFLOP/s."""
REFERENCE_THROUGHPUT = 130e9


def encoder_config(quick: bool = False) -> UniAudioConfig:
    """16 layers of 1280, pooled 2 to 1 before the layers; `quick` is a small stand-in."""
    width, layers, heads = (128, 2, 2) if quick else (1280, 16, 20)
    return UniAudioConfig(
        d_model=width,
        encoder_layers=layers,
        encoder_attention_heads=heads,
        encoder_ffn_dim=4 * width,
        num_mel_bins=128,
        max_source_positions=1500,
        pooling_kernel_size=2,
        pooling_type="avg",
        pooling_position=0,
        quantize_vocab_size=256 if quick else 8192,
        quantize_position=layers,
        quantize_encoder_only=True,
    )


def encoder(quick: bool = False, seed: int = 0) -> UniAudioEncoder:
    """The encoder, ready to infer."""
    torch.manual_seed(seed)
    model = UniAudioEncoder(encoder_config(quick)).eval()
    assert model.quantizer is not None
    # Codes at the scale of the states, so that the nearest one is a real choice.
    torch.nn.init.normal_(model.quantizer.codebook.weight)
    return model


def flow_config(quick: bool = False, mid_blocks: int = 12) -> dict[str, Any]:
    """The reference's arguments; 12 middle blocks, the larger of its two sizes."""
    width, blocks = (64, 1) if quick else (512, 6)
    estimator = {
        "in_channels": 320,
        "out_channels": 80,
        "channels": [32, 32] if quick else [256, 256],
        "dropout": 0.0,
        "attention_head_dim": 64,
        "n_blocks": 1 if quick else 4,
        "num_mid_blocks": 1 if quick else mid_blocks,
        "num_heads": 1 if quick else 8,
        "act_fn": "gelu",
    }
    return {
        "input_size": width,
        "output_size": 80,
        "spk_embed_dim": 192,
        "vocab_size": 8192,
        "input_frame_rate": 25,
        "encoder": {
            "input_size": width,
            "output_size": width,
            "attention_heads": 1 if quick else 8,
            "linear_units": 4 * width,
            "num_blocks": blocks,
        },
        "length_regulator": {"channels": 80, "sampling_ratios": [1, 1, 1, 1]},
        "decoder": {
            "in_channels": 320,
            "cfm_params": {
                "sigma_min": 1e-6,
                "solver": "euler",
                "t_scheduler": "cosine",
                "training_cfg_rate": 0.2,
                "inference_cfg_rate": 0.7,
            },
            "estimator": estimator,
        },
    }


def flow(quick: bool = False, seed: int = 0) -> FlowDecoder:
    """The flow decoder, ready to infer."""
    torch.manual_seed(seed)
    return FlowDecoder.from_reference(flow_config(quick)).eval()


def vocoder(quick: bool = False, seed: int = 0) -> HiFTVocoder:
    """The vocoder (512 base channels, 22.05 kHz), ready to infer."""
    torch.manual_seed(seed)
    return HiFTVocoder.from_reference({"base_channels": 32 if quick else 512}).eval()
