"""A tiny UniCodec whose norms have seen speech, so that its codes differ from frame to frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from unisono.audio import Audio
from unisono.unicodec.config import UniCodecConfig
from unisono.unicodec.model import UniCodec
from unisono.unicodec.tokenizer import UniCodecTokenizer

EXAMPLE = Path(__file__).parents[2] / "examples" / "speech.wav"


def tiny_stream(groups, recurrent=False):
    return {
        "book": {"groups": groups, "codes": 8, "dim": 8},
        "channels": [2, 4],
        "strides": [4, 4],
        "hidden": 8,
        "blocks": 2,
        "recurrent": recurrent,
    }


def tiny_config(**more):
    """The sizes of configs/debug-unicodec.yaml, with a second temporal block and a source."""
    sizes = {
        "global_stream": tiny_stream(2),
        "semantic_stream": tiny_stream(2, recurrent=True),
        "residual_stream": tiny_stream(4),
        "transformer": {"layers": 2, "width": 16, "heads": 2, "window": 8},
        "decoder": {
            "channels": [2, 4],
            "strides": [4, 5],
            "hidden": 8,
            "blocks": 2,
            "source": True,
        },
    }
    return UniCodecConfig.from_dict({**sizes, **more})


def tiny_model(speech, causal=True, **more):
    torch.manual_seed(0)
    model = UniCodec(tiny_config(causal=causal, **more))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("norm.mean", "log_square", "norm.scale", "norm.offset", "absent")):
                parameter += 0.3 * torch.randn_like(parameter)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.momentum = None  # exact averages
    model.train()
    waves = torch.from_numpy(speech[: 64 * 640].reshape(4, -1))
    with torch.no_grad():
        spectrum = model.spectrum(waves)
        glob = model.global_encoder(spectrum)
        semantic = model.semantic_encoder(spectrum)
        residual = model.residual_encoder(spectrum, semantic)
        model.decoder(glob, semantic, residual)
    return model.eval()


@pytest.fixture(scope="session")
def speech() -> np.ndarray:
    """The example recording: mono float32 `[n]` at 16 kHz, 3 s."""
    return Audio.read(EXAMPLE).samples[0]


@pytest.fixture(scope="session")
def model(speech):
    return tiny_model(speech)


@pytest.fixture(scope="session")
def both_ways(speech):
    """The same without causality."""
    return tiny_model(speech, causal=False)


@pytest.fixture(scope="session")
def tok(model):
    return UniCodecTokenizer(model, "tiny")


@pytest.fixture(scope="session")
def waves(speech):
    """Two different second-long pieces of the recording `[2, 25 * 640]`."""
    return torch.from_numpy(np.stack([speech[:16_000], speech[20_000:36_000]]))


@pytest.fixture(scope="session")
def make_config():
    return tiny_config


@pytest.fixture(scope="session")
def pitched(speech):
    """A tokenizer of a model whose P tells the pitch in its first group."""
    book = {"groups": 4, "codes": 64, "dim": 32}
    stream = {**tiny_stream(4), "book": book}
    return UniCodecTokenizer(tiny_model(speech, pitch=True, residual_stream=stream), "pitched")
