"""Text decoders of model folders: our own format, and full checkpoints of the published one.

Ours: section `text` of config.json (the reader's options), `text.safetensors` (`top.*`,
`decoder.*`; int8 and int4 where asked) and `tokenizer.json`; what the reader has in common with
the model, `shared` in the section, lies with the model's own weights. Published:
`model.encoder.layers.*` above the quantizer, `model.encoder.layer_norm.*` and `model.decoder.*`,
Whisper's `tokenizer.json` beside them; the three task tokens are the last rows of the embedding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unisono.errors import ModelError
from unisono.storage.atomic import write_bytes
from unisono.storage.weights import (
    INT4_GROUP,
    LARGE,
    int4_roundtrip,
    large_matrices,
    load_weights,
    save_weights,
)
from unisono.uniaudio import release, shared_weights
from unisono.uniaudio.config import UniAudioConfig
from unisono.uniaudio.describing import Describer
from unisono.uniaudio.reading import TokenReader, top_weights
from unisono.uniaudio.text_tokens import TASKS, TextTokens

__all__ = ["open_own", "open_release", "save_text", "text_config", "why_no_release_text"]

MODEL, HEARING = "model.safetensors", "hearing.safetensors"
WEIGHTS, VOCABULARY = "text.safetensors", "tokenizer.json"

_DECODER, _ENCODER = "model.decoder.", "model.encoder."


def save_text(
    describer: Describer,
    folder: Path,
    int8: bool,
    int4: bool,
    model: Mapping[str, Tensor] | None = None,
) -> dict[str, Any]:
    """Write weights and vocabulary into `folder`; returns the section `text` of config.json.

    `int8` is for all large tables and matrices, `int4` for those of the layers; what was opened
    from int4 goes back to it, without loss, for `int8` too. What `model` (the encoder's tensors
    and the bridge's, named as `shared_weights` names them) holds as well is left out.
    """
    state = describer.reader.state_dict()
    shared = shared_weights.shared_with(state, model or {}, rounded=int8)
    state = {n: t for n, t in state.items() if shared_weights.source(n, shared) is None}
    large = large_matrices(state)
    matrices = {n for n in large if ".layers." in f".{n}" and state[n].ndim == 2}
    fours = {
        n for n in matrices if _whole_groups(state[n]) and (int4 or (int8 and _is_int4(state[n])))
    }
    eights = large - fours if int8 else set()
    if int8 or int4:
        kept = fours | eights
        state = {n: t if n in kept or t.numel() < LARGE else t.half() for n, t in state.items()}
    save_weights(folder / WEIGHTS, state, int8=eights, int4=fours)
    write_bytes(folder / VOCABULARY, describer.tokens.pieces.to_str().encode(), ModelError)
    section = text_config(describer.reader.config)
    return section | ({"shared": shared} if shared else {})


def text_config(config: UniAudioConfig) -> dict[str, Any]:
    """A model's options as plain data, those that differ from the defaults."""
    dropped = ("transformers_version", "model_type", "dtype", "architectures")
    return {k: v for k, v in config.to_diff_dict().items() if k not in dropped}


def open_own(folder: Path, section: Mapping[str, Any]) -> Describer:
    """The describer of a folder of ours; `ModelError` for missing and unfitting files."""
    for name in (WEIGHTS, VOCABULARY):
        if not (folder / name).is_file():
            raise ModelError(
                f"The model folder {folder} has no {name}, with which its tokens are read as text; "
                "restore the file."
            )
    tokens = TextTokens.from_file(folder / VOCABULARY)
    options = dict(section)
    shared = shared_weights.check(options.pop("shared", {}))
    state = load_weights(folder / WEIGHTS) | _shared(folder, shared)
    return _describer(folder / WEIGHTS, options, _part(state, "top."), _part(state, "decoder."),
                      tokens)  # fmt: skip


def why_no_release_text(home: Path, config: UniAudioConfig, names: Iterable[str]) -> str:
    """What a published tokenizer folder with tensors `names` lacks for reading text; "": nothing.

    Follows after "has no text decoder: ".
    """
    kept = set(names)
    if not any(name.startswith(_DECODER) for name in kept):
        return f"the weights in {home} hold none ({_DECODER}*); a full checkpoint is needed"
    if f"{_ENCODER}layer_norm.weight" not in kept:
        return f"the weights in {home} lack the encoder layers above the quantizer"
    if not (home / VOCABULARY).is_file():
        return f"{home} has no {VOCABULARY}; put the one of its Whisper model there"
    target = config.encoder_residual_target_position or 0
    pooled = config.pooling_position if config.pooling > 1 else 0
    causal = config.encoder_causal_attention or config.quantize_causal_block_size is not None
    if causal or max(target, pooled) > config.quantize_position:
        return (
            "its encoder layers above the quantizer are causal, pool or take the residual, which "
            "cannot be read from tokens yet"
        )
    return ""


def open_release(home: Path) -> Describer:
    """The describer of a full published checkpoint; its files are read anew."""
    config, _, state = release.read_tokenizer(home)
    built = UniAudioConfig.from_reference(config)
    decoder = _part(state, _DECODER)
    top = top_weights(_part(state, _ENCODER), built.quantize_position)
    vocabulary = home / VOCABULARY
    # The last rows are the three tasks, unless the tokenizer names them itself.
    if all(task in vocabulary.read_text(encoding="utf-8") for task in TASKS):
        tokens = TextTokens.from_file(vocabulary)
    else:
        tokens = TextTokens.from_whisper(home, built.vocab_size - len(TASKS))
    return _describer(home, config, top, decoder, tokens)


def _shared(folder: Path, shared: Mapping[str, Any]) -> dict[str, Tensor]:
    """The reader's tensors that are stored with the model's own."""
    prefixes = shared_weights.prefixes_of(shared)
    inner = tuple(p for p in prefixes if p != shared_weights.BRIDGE)
    found = load_weights(folder / MODEL, inner) if inner else {}
    if len(inner) < len(prefixes):
        bridge = load_weights(folder / HEARING)
        found |= {shared_weights.BRIDGE + name: tensor for name, tensor in bridge.items()}
    return {shared_weights.as_readers(name): tensor for name, tensor in found.items()}


def _describer(
    where: Path,
    config: Mapping[str, Any],
    top: Mapping[str, Tensor],
    decoder: Mapping[str, Tensor],
    tokens: TextTokens,
) -> Describer:
    built = UniAudioConfig.from_reference(config)
    with torch.device("cpu"):
        reader = TokenReader(built)
    try:
        reader.load_parts({n: t.float() for n, t in top.items()},
                          {n: t.float() for n, t in decoder.items()})  # fmt: skip
        return Describer(reader, tokens)
    except ModelError as error:
        text = str(error)
        raise ModelError(f"{where}: {text if len(text) < 600 else text[:600] + ' …'}") from error


def _whole_groups(tensor: Tensor) -> bool:
    return tensor.shape[1] % INT4_GROUP == 0


def _is_int4(tensor: Tensor) -> bool:
    """Whether int4 holds all that there is; most tensors show in a few rows that it does not."""
    plain = tensor.detach().float().cpu()
    return all(torch.equal(int4_roundtrip(part), part) for part in (plain[:8], plain))


def _part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
