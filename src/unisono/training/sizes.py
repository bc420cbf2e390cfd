"""Parameters and memory of a stage's modules on some number of processes, before any is started."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from unisono.errors import ConfigError
from unisono.synthesis.flow import FlowDecoder
from unisono.synthesis.vocoder import HiFTVocoder
from unisono.training.config import TrainConfig, parse_options
from unisono.training.discriminators import WaveDiscriminator
from unisono.training.encoder_options import EncoderOptions
from unisono.training.encoder_start import frozen_parameters
from unisono.training.heads import TextReader
from unisono.training.sharding import large_modules, sharded_layers, whole_parameters
from unisono.training.tasks.flow import FlowOptions
from unisono.training.tasks.vocoder import VocoderOptions
from unisono.training.text_start import whisper_config
from unisono.uniaudio import UniAudioConfig, UniAudioEncoder, UniAudioForConditionalGeneration

_BYTES = 4  # weights, gradients, both moments of AdamW and averages are float32


@dataclass(frozen=True)
class ModuleSize:
    """One module of a stage.

    parameters and trained: counts of the whole; held and held_trained: of one process; gathered:
    of the largest part that is put together at once (0 without sharding).
    """

    parameters: int
    trained: int
    held: int
    held_trained: int
    gathered: int

    def bytes(self, average: bool) -> int:
        """Memory of a process: weights, gradients, AdamW's moments, the average; no activations."""
        kept = 3 + average  # for each trained parameter: gradient, two moments
        return _BYTES * (self.held + kept * self.held_trained + self.gathered)


def stage_sizes(
    modules: Mapping[str, nn.Module], processes: int, sharded: bool
) -> dict[str, ModuleSize]:
    """Sizes of a stage's modules (on the meta device, or anywhere) for one of `processes`."""
    large = large_modules(modules.values()) if sharded else []
    return {
        name: _size(module, processes if any(module is m for m in large) else 1)
        for name, module in modules.items()
    }


def stage_modules(config: TrainConfig) -> dict[str, nn.Module]:
    """The large modules of a stage on the meta device: sizes, no weights, no data.

    Phoneme and mel heads of the encoder stage are left out: their sizes depend on the data. So is
    Whisper's text decoder where `options.whisper` is not on this machine.

    Raises:
        ConfigError: a wrong option, or a stage whose modules are not known here.
    """
    with torch.device("meta"):
        if config.task == "encoder":
            return _encoder_modules(parse_options(EncoderOptions, config.options, config.task))
        if config.task == "flow":
            flow = parse_options(FlowOptions, config.options, config.task)
            return {"flow": FlowDecoder.from_reference(flow.flow)}
        if config.task == "vocoder":
            options = parse_options(VocoderOptions, config.options, config.task)
            modules: dict[str, nn.Module] = {
                "vocoder": HiFTVocoder.from_reference(options.vocoder),
                "discriminator": WaveDiscriminator(**options.discriminator),
            }
            return modules
    raise ConfigError(f"sizes: task {config.task!r} is not one of encoder, flow, vocoder")


def _encoder_modules(options: EncoderOptions) -> dict[str, nn.Module]:
    encoder = UniAudioEncoder(UniAudioConfig.from_reference(options.encoder))
    for parameter in frozen_parameters(encoder, options.frozen).values():
        parameter.requires_grad_(options.unfreeze_from is not None)
    modules: dict[str, nn.Module] = {"encoder": encoder}
    folder: Path | None = options.whisper
    if options.text_weight and folder is not None and (folder / "config.json").is_file():
        text = UniAudioForConditionalGeneration(whisper_config(folder)[0])
        modules["text_decoder"] = TextReader(text.model.decoder)
        modules["text_decoder"].requires_grad_(options.text_decoder == "trained")
    return modules


def _size(module: nn.Module, processes: int) -> ModuleSize:
    whole = whole_parameters(module)
    parameters = list(module.parameters())
    trained = [p for p in parameters if p.requires_grad]

    def held(parameter: nn.Parameter) -> int:
        # FSDP splits rows; the first processes have one more when the number does not divide.
        if parameter in whole or parameter.ndim == 0:
            return parameter.numel()
        return math.ceil(parameter.shape[0] / processes) * math.prod(parameter.shape[1:])

    layers = [sum(p.numel() for p in layer.parameters()) for layer in sharded_layers(module)]
    total = sum(p.numel() for p in parameters)
    outside = total - sum(layers) - sum(p.numel() for p in whole)
    gathered = 0 if processes == 1 else max(layers, default=0) + outside
    return ModuleSize(
        parameters=total,
        trained=sum(p.numel() for p in trained),
        held=sum(map(held, parameters)),
        held_trained=sum(map(held, trained)),
        gathered=gathered,
    )
