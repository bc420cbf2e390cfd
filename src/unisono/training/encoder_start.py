"""The encoder that a training begins with: from Whisper, or from an earlier run."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from unisono.errors import ConfigError, DataError
from unisono.quantize.vector import VectorQuantizer
from unisono.storage.weights import int8_roundtrip
from unisono.training.encoder_options import EncoderOptions
from unisono.training.given import copy_fitting, given_run, given_weights, is_model
from unisono.uniaudio import UniAudioConfig, UniAudioEncoder
from unisono.uniaudio.reference import init_from_whisper

log = logging.getLogger(__name__)


def build_encoder(options: EncoderOptions) -> UniAudioEncoder:
    """The encoder with Whisper's layers in it, the frozen part rounded to int8 and frozen."""
    encoder = UniAudioEncoder(UniAudioConfig.from_reference(options.encoder))
    if options.whisper is not None:
        init_from_whisper(encoder, whisper_weights(options.whisper))
    if options.unfreeze_from is not None:
        return encoder
    for name, parameter in frozen_parameters(encoder, options.frozen).items():
        parameter.requires_grad_(False)
        if options.int8_frozen and parameter.ndim == 2 and name.startswith("layers."):
            parameter.data.copy_(int8_roundtrip(parameter.data))
    return encoder


def frozen_parameters(encoder: UniAudioEncoder, frozen: int) -> dict[str, nn.Parameter]:
    """Parameters up to layer `frozen`, convolutions and positions included; none for 0."""
    below = ("conv1.", "conv2.", "embed_positions.", *(f"layers.{n}." for n in range(frozen)))
    named = encoder.named_parameters() if frozen else ()
    return {name: parameter for name, parameter in named if name.startswith(below)}


@torch.no_grad()
def as_stored(encoder: UniAudioEncoder) -> UniAudioEncoder:
    """Round the trained weights to what an int8 model file keeps, in place; evaluation mode.

    The decoder is then trained on exactly the tokens that the shipped encoder gives.
    """
    for name, parameter in encoder.named_parameters():
        if name.startswith(("layers.", "equilibrium.")) and parameter.ndim == 2:
            parameter.copy_(int8_roundtrip(parameter))
        elif parameter.numel() >= 4096:
            parameter.copy_(parameter.half().float())
    return encoder.eval()


def whisper_weights(folder: Path) -> dict[str, Tensor]:
    """Tensors of a Whisper folder, one file or several.

    Raises:
        DataError: there is no model.
    """
    # Hub folders may also hold the same weights in another precision, under other names.
    whole = folder / "model.safetensors"
    files = [whole] if whole.is_file() else sorted(folder.glob("model-*-of-*.safetensors"))
    if not files:
        raise DataError(f"{folder}: no Whisper model here; `python -m recipes.whisper` makes it")
    return {name: tensor for file in files for name, tensor in load_file(file).items()}


@torch.no_grad()
def start_from(
    run: Path, modules: Mapping[str, nn.Module], symbols: Sequence[str], options: EncoderOptions
) -> bool:
    """Take over an earlier run's or a model's weights where name and shape agree.

    The rest keeps its start.

    Rows of the phoneme head's last layer go by symbol, so that the inventory may have changed.

    Returns:
        Whether a codebook that was in use has come along.

    Raises:
        DataError: the run has no whole checkpoint.
        ConfigError: it is another stage's, or its layers below `frozen` are not those whose
            states the cache holds.
    """
    given = given_weights(run) if is_model(run) else given_run(run)
    if given is None:
        raise DataError(f"start_from: {run} has no whole checkpoint; name a finished encoder run")
    before = given.modules
    if "encoder" not in before or given.symbols is None:
        raise ConfigError(f"start_from: {run} is not a run of the encoder stage")
    _check_frozen(run, modules["encoder"], before["encoder"], options)
    taken: dict[str, set[str]] = {}
    for name, module in modules.items():
        own = before.get(name, {})
        if name == "phoneme_head":
            own = _by_symbol(own, module.state_dict(), given.symbols, symbols)
        taken[name] = copy_fitting(module, own)
        log.info("%s: %d of %d tensors from %s", name, len(taken[name]), len(own), run)
    started = given.started and "quantizer.codebook.weight" in taken["encoder"]
    quantizer = modules["encoder"].get_submodule("quantizer") if started else None
    if isinstance(quantizer, VectorQuantizer) and "quantizer.ema_weight" not in taken["encoder"]:
        quantizer.set_codebook(quantizer.codebook.weight)  # models come without averages
    return started


def _by_symbol(
    given: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    old_symbols: Sequence[str],
    symbols: Sequence[str],
) -> dict[str, Tensor]:
    """The phoneme head's tensors with the rows of its last layer in the order of `symbols`."""
    place = {symbol: n for n, symbol in enumerate(old_symbols, 1)}
    pairs = [(0, 0)]  # CTC's blank
    pairs += [(n, place[symbol]) for n, symbol in enumerate(symbols, 1) if symbol in place]
    new, old = (torch.tensor(side) for side in zip(*pairs, strict=True))
    moved = dict(given)
    for name in ("outward.weight", "outward.bias"):
        if name in given and given[name].shape[1:] == own[name].shape[1:]:
            moved[name] = own[name].detach().clone()
            moved[name][new] = given[name][old].to(moved[name])
    return moved


def _check_frozen(run: Path, encoder: Any, given: Mapping[str, Tensor], o: EncoderOptions) -> None:
    if o.cache is None:
        return
    for name, parameter in frozen_parameters(encoder, o.frozen).items():
        if name in given and not torch.equal(given[name], parameter.cpu()):
            raise ConfigError(
                f"start_from: {run} has another {name}, which is frozen here and whose states the "
                "cache holds as they are; set cache: null"
            )
