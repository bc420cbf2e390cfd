"""Floating point operations of networks, counted exactly: a multiply-add is two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from unisono.uniaudio.config import UniAudioConfig


def linear_flops(rows: int, inputs: int, outputs: int) -> int:
    """A linear layer on `rows` vectors."""
    return 2 * rows * inputs * outputs


def conv_flops(positions: int, inputs: int, outputs: int, kernel: int) -> int:
    """A convolution that gives `positions` output frames."""
    return 2 * positions * inputs * outputs * kernel


def attention_flops(frames: int, width: int) -> int:
    """Scores and weighted sums of full self-attention over `frames`, all heads together."""
    return 2 * (2 * frames * frames * width)


def layer_flops(frames: int, width: int, inner: int) -> int:
    """A Transformer layer: four projections, attention, two feed-forward layers."""
    projections = 4 * linear_flops(frames, width, width)
    feed_forward = linear_flops(frames, width, inner) + linear_flops(frames, inner, width)
    return projections + attention_flops(frames, width) + feed_forward


def encoder_flops(config: UniAudioConfig, mel_frames: int) -> int:
    """One item of `mel_frames` through an encoder-only model: convolutions, layers, SAE, codes.

    Element-wise work (GELU, norms, softmax) is not counted: the floor is what products cost.
    """
    width, inner, half = config.d_model, config.encoder_ffn_dim, mel_frames // 2
    total = conv_flops(mel_frames, config.num_mel_bins, width, 3)
    total += conv_flops(half, width, width, 3)
    pooled = -(-half // config.pooling)
    for number in range(1, config.layers_built + 1):
        before = config.pooling > 1 and number <= config.pooling_position
        total += layer_flops(half if before else pooled, width, inner)
    tokens = pooled
    if (
        config.has_residual
        and (config.encoder_residual_target_position or 0) <= config.layers_built
    ):
        total += 2 * linear_flops(tokens, width, width) * config.use_residual_adapter
        gate = linear_flops(tokens, 2 * width, width) + linear_flops(tokens, width, width)
        total += gate * config.use_residual_gate
    return total + linear_flops(tokens, width, config.quantize_vocab_size or 0)


def traced_flops(job: Callable[[], Any]) -> int:
    """What torch counts while `job()` runs: products, convolutions and attention."""
    # Not in inference mode: there the counter sees composite operators only.
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        job()
    return int(counter.get_total_flops())
