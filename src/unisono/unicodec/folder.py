"""UniCodec model folders: `config.json` (section model) and `model.safetensors`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from unisono.errors import ConfigError, ModelError
from unisono.hub import read_config
from unisono.storage.atomic import write_bytes
from unisono.storage.entropy import FILE_NAME, model_statistics
from unisono.storage.weights import large_matrices, load_weights, save_weights
from unisono.unicodec.config import UniCodecConfig
from unisono.unicodec.model import UniCodec
from unisono.unicodec.tokenizer import UniCodecTokenizer

VERSION = 1
_KEYS = {"format", "version", "system", "model_id", "layout", "model"}


def recognises(folder: Path) -> bool:
    """Nothing was published in a layout of its own."""
    return False


def load(folder: Path, decoder: bool = True) -> UniCodecTokenizer:
    """The tokenizer in `folder`, float32 on CPU; its decoder is small and always there."""
    config, weights = read_config(folder), folder / "model.safetensors"
    unknown, missing = sorted(set(config) - _KEYS - {"card"}), sorted(_KEYS - set(config))
    if unknown or missing:
        problem = f"unknown: {', '.join(unknown)}" if unknown else f"missing: {', '.join(missing)}"
        raise ModelError(f"{folder / 'config.json'} does not fit format {VERSION}; {problem}.")
    try:
        model = UniCodec(UniCodecConfig.from_dict(config["model"]))
    except ConfigError as error:
        raise ModelError(f"{folder / 'config.json'}: {error}") from error
    state = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in load_weights(weights).items()
    }
    own = model.state_dict()
    wrong = sorted(set(own) ^ set(state) or {n for n in own if own[n].shape != state[n].shape})
    if wrong:
        some = ", ".join(wrong[:3])
        raise ModelError(f"{weights} does not belong to its config.json: {some}, …")
    model.load_state_dict(state)
    tokenizer = UniCodecTokenizer(model, str(config["model_id"]))
    tokenizer.statistics = model_statistics(folder, tokenizer.layout)
    return tokenizer


def save(tokenizer: UniCodecTokenizer, folder: Path, int8: bool = False) -> None:
    """Write `config.json` and the weights; see `unisono.hub.save` for int8.

    Codebooks stay as they are: tokens are made by their distances.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = {
        "format": "unisono",
        "version": VERSION,
        "system": tokenizer.system,
        "model_id": tokenizer.model_id,
        "layout": tokenizer.layout.to_dict(),
        "model": tokenizer.model.config.to_dict(),
    }
    state = tokenizer.model.state_dict()
    large = large_matrices(state)
    rows = sorted(n for n in large if not n.endswith("codebook")) if int8 else []
    save_weights(folder / "model.safetensors", state, int8=rows)
    if tokenizer.statistics is not None:
        tokenizer.statistics.save(folder / FILE_NAME)
    text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    write_bytes(folder / "config.json", text.encode(), ModelError)
