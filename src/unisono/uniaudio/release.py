"""Published checkpoints: the release of UniAudio-Token, and tokenizers laid out like GLM-4-Voice's.

Files of the release: `tokenizer/{config.json, model*.safetensors, preprocessor_config.json}` and
`decoder/{config.yaml, flow.pt, hift.pt}`. A folder with the tokenizer's files alone encodes only.
Source: reference page sections 1, 2 and 4.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unisono.errors import ConfigError, ModelError
from unisono.hub import read_json
from unisono.synthesis.hyperyaml import decoder_configs, load_hyperyaml


def is_tokenizer_folder(folder: Path) -> bool:
    """Whether `folder` holds a tokenizer's config in the published form."""
    path = folder / "config.json"
    if not path.is_file():
        return False
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(values, dict) and "quantize_vocab_size" in values


def read_tokenizer(folder: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Tensor]]:
    """Encoder config, preprocessor config and tensors of a published tokenizer folder."""
    config = read_json(folder / "config.json")
    features = read_json(folder / "preprocessor_config.json")
    return config, features, read_safetensors(folder)


def read_decoder(folder: Path) -> dict[str, Any]:
    """Config and tensors of a published decoder folder.

    Returns `{"flow": dict, "vocoder": dict, "flow_state": tensors, "vocoder_state": tensors}`
    with config dicts in reference form.
    """
    for name in ("config.yaml", "flow.pt", "hift.pt"):
        if not (folder / name).is_file():
            raise ModelError(f"The decoder folder {folder} has no {name}; restore the file.")
    tree = load_hyperyaml(folder / "config.yaml")
    try:
        flow, vocoder = decoder_configs(tree)
    except ConfigError as error:
        raise ConfigError(f"{folder / 'config.yaml'}: {error}") from error
    return {
        "flow": flow,
        "vocoder": vocoder,
        "flow_state": read_pt(folder / "flow.pt"),
        "vocoder_state": read_pt(folder / "hift.pt"),
    }


def read_pt(path: Path) -> dict[str, Tensor]:
    """A plain state dict; `ModelError` for anything that could hold code."""
    try:
        with warnings.catch_warnings():
            # About odd pickle protocols; whatever the file is, it is read as tensors or refused.
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds: the unpickler meets bytes it was not written for
        raise ModelError(
            f"{path} was refused: it is damaged or may contain code; only plain tensors are read "
            "(torch.load with weights_only). Get the file again from its source."
        ) from error
    if not isinstance(state, dict):
        raise ModelError(f"{path} holds {type(state).__name__}, not a state dict of tensors.")
    # Training scripts leave their counters in the file.
    tensors = {k: v for k, v in state.items() if k not in ("epoch", "step")}
    strange = [str(k) for k, v in tensors.items() if not isinstance(v, Tensor)]
    if strange or not tensors:
        raise ModelError(
            f"{path} is not a plain state dict"
            + (f": '{strange[0]}' is no tensor." if strange else ": it is empty.")
        )
    return tensors


def read_safetensors(folder: Path) -> dict[str, Tensor]:
    """Tensors of `model.safetensors`, or of the shards that its index names."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    index = folder / "model.safetensors.index.json"
    files = [folder / "model.safetensors"]
    if not files[0].is_file() and index.is_file():
        named = read_json(index).get("weight_map")
        if not isinstance(named, dict) or not named:
            raise ModelError(f"{index} has no weight_map; restore the file.")
        shards = sorted({str(value) for value in named.values()})
        if any(Path(name).name != name for name in shards):
            raise ModelError(f"{index} names a file outside its folder; it was refused.")
        files = [folder / name for name in shards]
    tensors: dict[str, Tensor] = {}
    for path in files:
        if not path.is_file():
            raise ModelError(f"The model folder {folder} has no {path.name}; restore the file.")
        try:
            tensors.update(load_file(path))
        except (SafetensorError, OSError, ValueError) as error:
            raise ModelError(
                f"{path} is damaged or no safetensors file ({error}); get it again."
            ) from error
    return tensors


def fingerprint(codebook: Tensor) -> str:
    """Short id of a codebook: equal wherever the same checkpoint lies."""
    data = codebook.detach().float().contiguous().cpu().numpy().tobytes()
    return hashlib.sha256(data).hexdigest()[:12]
