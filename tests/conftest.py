"""Small random models of each published layout, written as the releases write them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Timing and thread counts of a test machine must not decide a test; one thread is enough here.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import save_file

GOLDEN = Path(__file__).parent / "golden"

_TARGETS = {
    "flow": "cosyvoice.flow.flow.MaskedDiffWithXvec",
    "block": "cosyvoice.transformer.encoder.BlockConformerEncoder",
    "conformer": "cosyvoice.transformer.encoder.ConformerEncoder",
    "regulator": "cosyvoice.flow.length_regulator.InterpolateRegulator",
    "cfm": "cosyvoice.flow.flow_matching.ConditionalCFM",
    "dict": "omegaconf.DictConfig",
    "estimator": "cosyvoice.flow.decoder.ConditionalDecoder",
    "hift": "cosyvoice.hifigan.generator.HiFTGenerator",
    "f0": "cosyvoice.hifigan.f0_predictor.ConvRNNF0Predictor",
}


def golden_model(name: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Config and tensors (reference names) of a golden file."""
    with safe_open(GOLDEN / f"{name}.safetensors", "pt") as file:
        config = json.loads(file.metadata()["config"])
        names = [key for key in file.keys() if key.startswith("state.")]  # noqa: SIM118
        return config, {key.removeprefix("state."): file.get_tensor(key) for key in names}


def write_tokenizer(folder: Path, golden: str) -> Path:
    """A published tokenizer folder made of a golden model."""
    folder.mkdir(parents=True, exist_ok=True)
    config, state = golden_model(golden)
    config["architectures"] = ["WhisperVQEncoder"]
    (folder / "config.json").write_text(json.dumps(config))
    features = {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "feature_size": config["num_mel_bins"],
        "n_fft": 400,
        "hop_length": 160,
        "sampling_rate": 16000,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(features))
    save_file(state, folder / "model.safetensors")
    return folder


def write_decoder(folder: Path, flow: str, rate: float = 25, codes: int | None = None) -> Path:
    """A published decoder folder made of a golden flow and the golden vocoder."""
    folder.mkdir(parents=True, exist_ok=True)
    config, state = golden_model(flow)
    vocoder, vocoder_state = golden_model("hift")
    config["input_frame_rate"] = rate
    if codes is not None:
        config["vocab_size"] = codes
        table = state["input_embedding.weight"]
        state["input_embedding.weight"] = table.repeat(-(-codes // len(table)), 1)[:codes].clone()
    (folder / "config.yaml").write_text(hyperyaml_text(config, vocoder))
    torch.save(state, folder / "flow.pt")
    torch.save(vocoder_state, folder / "hift.pt")
    return folder


def hyperyaml_text(flow: dict[str, Any], vocoder: dict[str, Any]) -> str:
    """A decoder config as releases write it: tags, references, seeds."""
    flow = dict(flow)
    kind = flow.pop("encoder_kind")
    decoder = dict(flow.pop("decoder"))
    cfm, estimator = decoder.pop("cfm_params"), decoder.pop("estimator")
    encoder, regulator = flow.pop("encoder"), flow.pop("length_regulator")
    speaker = flow.pop("spk_embed_dim")
    f0 = vocoder["f0_predictor"]
    voice = {k: v for k, v in vocoder.items() if k not in ("f0_predictor", "sampling_rate")}

    def block(values: dict[str, Any], depth: int) -> str:
        text = yaml.safe_dump(values, sort_keys=False)
        return "".join(" " * depth + line + "\n" for line in text.splitlines())

    return (
        "# values that several parts share\n"
        "__set_seed1: !apply:random.seed [1986]\n"
        f"sample_rate: {vocoder['sampling_rate']}\n"
        f"spk_embed_dim: {speaker}\n"
        f"flow: !new:{_TARGETS['flow']}\n"
        + block(flow, 4)
        + "    spk_embed_dim: !ref <spk_embed_dim>\n"
        + "    output_type: mel\n    only_mask_loss: True\n"
        + f"    encoder: !new:{_TARGETS[kind]}\n"
        + block(encoder, 8)
        + f"    length_regulator: !new:{_TARGETS['regulator']}\n"
        + block(regulator, 8)
        + f"    decoder: !new:{_TARGETS['cfm']}\n"
        + block(decoder, 8)
        + f"        cfm_params: !new:{_TARGETS['dict']}\n            content:\n"
        + block(cfm, 16).replace("1.0e-06", "1e-06")
        + f"        estimator: !new:{_TARGETS['estimator']}\n"
        + block(estimator, 12)
        + f"hift: !new:{_TARGETS['hift']}\n"
        + block(voice, 4)
        + "    sampling_rate: !ref <sample_rate>\n"
        + f"    f0_predictor: !new:{_TARGETS['f0']}\n"
        + block(f0, 8)
    )


def write_release(folder: Path, tokenizer: str, rate: float, codes: int | None = None) -> Path:
    """A whole release folder."""
    write_tokenizer(folder / "tokenizer", tokenizer)
    write_decoder(folder / "decoder", "flow_block_prompt0", rate, codes)
    return folder


@pytest.fixture(scope="session")
def golden_state() -> Callable[[str], tuple[dict[str, Any], dict[str, torch.Tensor]]]:
    return golden_model


@pytest.fixture(scope="session")
def release_maker() -> Callable[..., Path]:
    """`make(folder, tokenizer golden, frame rate, codes)` writes a release folder."""
    return write_release


@pytest.fixture(scope="session")
def tokenizer_maker() -> Callable[[Path, str], Path]:
    """`make(folder, golden)` writes a published tokenizer folder."""
    return write_tokenizer


@pytest.fixture(scope="session")
def uat_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of UniAudio-Token's layout: 25 Hz, 64 codes, 4 s segments. Read-only."""
    folder = tmp_path_factory.mktemp("uat")
    return write_release(folder, "encoder_uat_quantize_last_encoder_only", 25)


@pytest.fixture(scope="session")
def glm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of GLM-4-Voice's layout: 12.5 Hz, 96 codes, causal in blocks. Read-only."""
    folder = tmp_path_factory.mktemp("glm")
    return write_release(folder, "encoder_glm4voice_like_encoder_only", 12.5, 96)


@pytest.fixture(scope="session")
def uat(uat_folder: Path) -> Any:
    from unisono import load

    return load(uat_folder)


@pytest.fixture(scope="session")
def glm(glm_folder: Path) -> Any:
    from unisono import load

    return load(glm_folder)


def voice_like(seconds: float, rate: int, seed: int = 0) -> np.ndarray:
    """Mono float32 `[n]`: syllables of a gliding harmonic tone, noise bursts and pauses."""
    random = np.random.default_rng(seed)
    n = max(1, round(seconds * rate))
    time = np.arange(n) / rate
    pitch = 120 + 40 * np.sin(2 * np.pi * 0.7 * time + seed) + 3 * seed % 50
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    top = int(min(20, rate / 2 / 200))
    tone = sum(np.sin(k * phase) / k for k in range(1, max(2, top)))
    gate = np.clip(np.sin(2 * np.pi * 2.3 * time + seed), 0, None)
    burst = random.standard_normal(n) * np.clip(np.sin(2 * np.pi * 1.1 * time), 0.7, None)
    return (0.2 * tone * gate + 0.02 * burst).astype(np.float32)


@pytest.fixture(scope="session")
def voice() -> Callable[..., np.ndarray]:
    return voice_like
