"""Tensors under the names of the reference's checkpoints, and Whisper's, into our models.

Source of the names: reference page section 1.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from unisono.errors import ModelError

if TYPE_CHECKING:
    from unisono.uniaudio.encoder import UniAudioEncoder
    from unisono.uniaudio.text_decoder import UniAudioForConditionalGeneration

logger = logging.getLogger(__name__)

_ENCODER_PREFIX = "model.encoder."
_RENAMED = {
    "quantizer.codebook.": "codebook.",
    "quantizer.ema_count": "ema_count",
    "quantizer.ema_weight": "ema_weight",
    "equilibrium.adapter_in.": "residual_adapter.0.",
    "equilibrium.adapter_out.": "residual_adapter.3.",
    "equilibrium.gate_in.": "residual_gate.0.",
    "equilibrium.gate_out.": "residual_gate.2.",
    "equilibrium.output_norm.": "residual_output_norm.",
}
# Ours alone: the count of training steps, which starts at 0 with a foreign checkpoint.
_NOT_IN_REFERENCE = frozenset({"quantizer.steps"})


def reference_name(name: str) -> str:
    """The reference's name of the encoder tensor that we call `name`."""
    for ours, theirs in _RENAMED.items():
        if name.startswith(ours):
            return theirs + name[len(ours) :]
    return name


def reference_state(encoder: UniAudioEncoder) -> dict[str, Tensor]:
    """The encoder's tensors under the reference's names, without prefix (for export)."""
    return {
        reference_name(name): tensor
        for name, tensor in encoder.state_dict().items()
        if name not in _NOT_IN_REFERENCE
    }


def load_encoder_state(encoder: UniAudioEncoder, state: Mapping[str, Tensor]) -> None:
    """Load tensors with reference names, with or without the prefix `model.encoder.`.

    Raises ModelError that lists missing tensors, or those of another shape, and loads nothing.
    """
    if any(name.startswith(_ENCODER_PREFIX) for name in state):
        state = {
            name[len(_ENCODER_PREFIX) :]: tensor
            for name, tensor in state.items()
            if name.startswith(_ENCODER_PREFIX)
        }
    names = {name: reference_name(name) for name in encoder.state_dict()}
    _copy(encoder, {n: t for n, t in names.items() if n not in _NOT_IN_REFERENCE}, state)
    if encoder.quantizer is not None and encoder.quantizer.decay is not None:
        encoder.quantizer.steps.zero_()


def load_full_state(model: UniAudioForConditionalGeneration, state: Mapping[str, Tensor]) -> None:
    """Load a full checkpoint: `model.encoder.*`, `model.decoder.*`; `proj_out` is tied."""
    names = {}
    for name in model.state_dict():
        inner = name.removeprefix(_ENCODER_PREFIX)
        if inner in _NOT_IN_REFERENCE or name == "proj_out.weight":
            continue
        theirs = _ENCODER_PREFIX + reference_name(inner) if inner != name else name
        names[name] = theirs
    _copy(model, names, state)
    if model.model.encoder.quantizer is not None and model.config.quantize_ema_decay is not None:
        model.model.encoder.quantizer.steps.zero_()
    model.tie_weights()


def init_from_whisper(encoder: UniAudioEncoder, state: Mapping[str, Tensor]) -> None:
    """Start the encoder from a Whisper model of the same width (transformers' names).

    Takes convolutions, positions, the layers that exist here and the final LayerNorm. The second
    positions start from zero (ours): Whisper's layers have had theirs. SAE and codebook keep
    their start.
    """
    whisper = {
        name.split("encoder.", 1)[1]: tensor for name, tensor in state.items() if "encoder." in name
    }
    ours = ("quantizer.", "equilibrium.", "embed_positions2.")
    names = {n: n for n in encoder.state_dict() if not n.startswith(ours)}
    positions = encoder.config.max_source_positions
    if "embed_positions.weight" in whisper:
        whisper["embed_positions.weight"] = whisper["embed_positions.weight"][:positions]
    _copy(encoder, names, whisper)
    if encoder.quantizer is not None:
        with torch.no_grad():
            encoder.embed_positions2.weight.zero_()


def init_text_model_from_whisper(
    model: UniAudioForConditionalGeneration, state: Mapping[str, Tensor]
) -> None:
    """Start encoder and text decoder from Whisper; further positions and tokens keep their start.

    Source of the wider tables: reference page section 3 (2048 positions, three more tokens).
    """
    init_from_whisper(model.model.encoder, state)
    whisper = {name: tensor for name, tensor in state.items() if "decoder." in name}
    whisper = {name.split("decoder.", 1)[1]: tensor for name, tensor in whisper.items()}
    decoder = model.model.decoder
    tables = ("embed_positions.weight", "embed_tokens.weight")
    for name in tables:
        table = decoder.get_parameter(name).detach().clone()
        given = whisper.get(name)
        if given is not None and given.shape[1:] == table.shape[1:]:
            rows = min(len(given), len(table))
            table[:rows] = given[:rows].to(table)
            whisper[name] = table
    _copy(decoder, {name: name for name in decoder.state_dict()}, whisper)
    model.tie_weights()


def _copy(module: nn.Module, names: Mapping[str, str], state: Mapping[str, Tensor]) -> None:
    """Copy `state[names[n]]` into the module's tensor n, for all n or (on an error) for none."""
    missing = sorted(theirs for theirs in names.values() if theirs not in state)
    if missing:
        raise ModelError(f"checkpoint misses {len(missing)} tensors: {', '.join(missing)}")
    own = module.state_dict()
    wrong = [
        f"{theirs} is {list(state[theirs].shape)}, the config says {list(own[name].shape)}"
        for name, theirs in names.items()
        if state[theirs].shape != own[name].shape
    ]
    if wrong:
        raise ModelError(f"checkpoint does not fit its config: {'; '.join(sorted(wrong))}")
    unused = sorted(set(state) - set(names.values()))
    if unused:
        logger.debug("tensors of the checkpoint left unused: %s", ", ".join(unused))
    with torch.no_grad():
        for name, theirs in names.items():
            own[name].copy_(state[theirs])
