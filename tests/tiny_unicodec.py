"""A tiny random UniCodec whose codes differ from recording to recording, and its folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from unisono.unicodec.config import UniCodecConfig
from unisono.unicodec.model import UniCodec
from unisono.unicodec.tokenizer import UniCodecTokenizer


def _stream(groups: int) -> dict:
    return {"book": {"groups": groups, "codes": 8, "dim": 8}, "channels": [2, 4],
            "strides": [4, 5], "hidden": 8, "blocks": 1, "recurrent": False}  # fmt: skip


def build(*waves: np.ndarray) -> UniCodecTokenizer:
    """A tokenizer whose norms know `waves` (equally long, whole 40-ms frames, 16 kHz)."""
    torch.manual_seed(0)
    sizes = {
        "global_stream": _stream(2), "semantic_stream": _stream(2), "residual_stream": _stream(4),
        "transformer": {"layers": 1, "width": 16, "heads": 2, "window": 8},
        "decoder": {"channels": [2, 4], "strides": [4, 5], "hidden": 8, "blocks": 1},
    }  # fmt: skip
    model = UniCodec(UniCodecConfig.from_dict(sizes))
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.momentum = None  # exact averages
    model.train()
    with torch.no_grad():
        spectrum = model.spectrum(torch.from_numpy(np.stack(waves)))
        glob = model.global_encoder(spectrum)
        semantic = model.semantic_encoder(spectrum)
        model.decoder(glob, semantic, model.residual_encoder(spectrum, semantic))
    return UniCodecTokenizer(model, "tiny-unicodec")


def write(folder: Path, *waves: np.ndarray) -> Path:
    """`build`, saved."""
    return build(*waves).save_pretrained(folder)
