"""Weights that a stage starts from: of an earlier run, or of a finished model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from unisono.errors import DataError
from unisono.models import embedded_models
from unisono.training.state import load_checkpoint, module_weights

States = dict[str, dict[str, Tensor]]
"""Of each module by the name that a stage has for it, its state dict."""


@dataclass(frozen=True)
class Given:
    """modules: what there is. symbols: of the phoneme head, as trained; None: of a stage without.
    started: whether a codebook in use is among them."""

    modules: States
    symbols: tuple[str, ...] | None = None
    started: bool = False


def is_model(path: Path) -> bool:
    """Whether `path` is the name of an embedded model, or a folder of one, and not of a run."""
    return str(path) in embedded_models() or (path / "config.json").is_file()


def given_weights(path: Path) -> Given:
    """What a run's newest checkpoint (averaged, where it has an average) or a model holds.

    Models: UniCodec's as `codec`; UniAudio's as `encoder`, `mel_head` (what tells mel frames),
    `field_reader` and `flow` where there is one, and `text_top` and `text_decoder` of those that
    read text, all as they are stored (int8 and int4 are rounded).

    Raises:
        DataError: neither a whole checkpoint nor a model.
    """
    if not is_model(path):
        return Given(module_weights(path))
    # Here, because the systems' rooms are large.
    from unisono import hub
    from unisono.uniaudio.hearing import MelTop
    from unisono.uniaudio.tokenizer import UniAudioTokenizer
    from unisono.unicodec.tokenizer import UniCodecTokenizer

    model = hub.load(str(path))
    if isinstance(model, UniCodecTokenizer):
        return Given({"codec": model.model.state_dict()})
    if not isinstance(model, UniAudioTokenizer):
        raise DataError(f"start_from: {path} is a model of no system that can be trained here")
    parts: States = {"encoder": model.encoder.state_dict()}
    if model.bridge is not None:
        parts["mel_head"] = model.bridge.state_dict()
    if model.fields is not None:
        parts["field_reader"] = model.fields.state_dict()
    if model.decoder is not None:
        parts["flow"] = model.decoder.flow.state_dict()
    if (text := model.describer) is not None:
        top = text.reader.top
        if isinstance(top, MelTop):
            parts["text_top"], parts["mel_head"] = top.ears.state_dict(), top.bridge.state_dict()
        else:
            parts["text_top"] = top.state_dict()
        decoder = text.reader.decoder.state_dict()
        parts["text_decoder"] = {f"decoder.{name}": tensor for name, tensor in decoder.items()}
    return Given(parts, (), started=model.encoder.quantizer is not None)


@torch.no_grad()
def copy_fitting(module: nn.Module, given: Mapping[str, Tensor]) -> set[str]:
    """Copy what `given` has of equal name and shape into `module`; the names of what was."""
    own = module.state_dict()
    fitting = {n for n, tensor in given.items() if n in own and own[n].shape == tensor.shape}
    for name in fitting:
        own[name].copy_(given[name])
    return fitting


def given_run(run: Path) -> Given | None:
    """Weights as they were last, not averaged, with what the encoder stage knows; None: no run."""
    state = load_checkpoint(run)
    if state is None:
        return None
    task = state["task"]
    symbols = tuple(task["symbols"]) if "symbols" in task else None
    return Given(state["modules"], symbols, bool(task.get("started")))


def take_weights(modules: Mapping[str, nn.Module], path: Path) -> None:
    """Copy what a run or a model has of equal module, name and shape.

    Raises:
        DataError: there is no whole checkpoint and no model, or nothing in it fits.
    """
    given = given_weights(path).modules
    taken = [copy_fitting(module, given.get(name, {})) for name, module in modules.items()]
    if not any(taken):
        raise DataError(f"{path}: no weights for {', '.join(modules)} in it; name another")
