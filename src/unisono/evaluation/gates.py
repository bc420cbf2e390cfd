"""How far the gate of SAE opens, frame by frame: how much acoustic detail joins the tokens.

The monitored figure of the reference (mean |gate| over real frames, reference page section 1), with
its course in time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from torch import Tensor, nn

from unisono.audio import Audio
from unisono.errors import ModelError
from unisono.segments import Failed, Segment, batches_by_length, read_segments
from unisono.tokenizer import AudioTokenizer
from unisono.uniaudio.equilibrium import Equilibrium


def has_equilibrium(tokenizer: AudioTokenizer) -> bool:
    """Whether SAE reaches the tokens of this model."""
    encoder: Any = getattr(tokenizer, "encoder", None)
    if not isinstance(getattr(encoder, "equilibrium", None), Equilibrium):
        return False
    return bool(encoder.config.encoder_residual_target_position <= encoder.config.layers_built)


def has_gate(tokenizer: AudioTokenizer) -> bool:
    """Whether it does, with a gate."""
    encoder: Any = getattr(tokenizer, "encoder", None)
    return has_equilibrium(tokenizer) and bool(encoder.equilibrium.use_gate)


def gate_curves(
    tokenizer: AudioTokenizer, audios: Sequence[Audio], batch_seconds: float = 60.0
) -> list[np.ndarray]:
    """Mean |gate| of every frame of each audio: float32 `[frames]`, 0 to 1, in time order.

    The audio is cut into segments as for encoding. Frames are evenly spread over the audio's
    length: as many as tokens, or a multiple where the encoder pools above SAE. `ModelError`
    without a gate.
    """
    if not has_gate(tokenizer):
        raise ModelError(
            f"Model '{tokenizer.model_id}' has no gate: no gated SAE reaches its tokens; choose a "
            "model that has one."
        )
    rate = tokenizer.sample_rate
    length = round(tokenizer.segment_seconds * rate)
    segments: list[Segment] = []
    for event in read_segments(audios, rate, length, tokenizer.mono):
        if isinstance(event, Failed):
            raise event.error
        if isinstance(event, Segment):
            segments.append(event)
    curves: dict[tuple[int, int], np.ndarray] = {}
    encoder: Any = tokenizer.encoder  # type: ignore[attr-defined]
    with _kept(encoder.equilibrium) as kept:
        sizes = [segment.samples.size for segment in segments]
        for group in batches_by_length(sizes, int(batch_seconds * rate)):
            kept.clear()
            tokenizer.encode_segments([segments[place].samples for place in group])
            [(activity, frames)] = kept
            for row, place in enumerate(group):
                own = segments[place]
                curve = activity[row, : int(frames[row])]
                curves[own.item, own.index] = curve.cpu().numpy()
    parts: list[list[np.ndarray]] = [[] for _ in audios]
    for item, index in sorted(curves):
        parts[item].append(curves[item, index])
    return [np.concatenate(pieces) for pieces in parts]


@contextmanager
def _kept(equilibrium: nn.Module) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Collect activity `[B, T]` and the number of real frames `[B]` of every pass through SAE."""
    kept: list[tuple[Tensor, Tensor]] = []

    def hook(module: Any, inputs: tuple[Tensor, ...], _: Any) -> None:
        deep, shallow, mask = inputs
        kept.append((module.activity(deep, shallow), mask.sum(1)))

    handle = equilibrium.register_forward_hook(hook)
    try:
        yield kept
    finally:
        handle.remove()
