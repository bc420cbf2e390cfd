import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from unisono.audio import Audio
from unisono.synthesis.decoder import SpeechDecoder
from unisono.uniaudio.config import UniAudioConfig
from unisono.uniaudio.encoder import UniAudioEncoder
from unisono.uniaudio.features import LogMelFeatures
from unisono.uniaudio.tokenizer import UniAudioTokenizer

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script():
    """A benchmark script as a module, by name."""

    def load(name):
        spec = importlib.util.spec_from_file_location(f"bench_{name}", BENCHMARKS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def build_tokenizer():
    torch.manual_seed(0)
    config = UniAudioConfig(
        d_model=32, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=64,
        num_mel_bins=80, max_source_positions=1500, pooling_kernel_size=2, pooling_type="avg",
        pooling_position=0, quantize_vocab_size=64, quantize_position=2,
        quantize_encoder_only=True,
    )  # fmt: skip
    encoder = UniAudioEncoder(config)
    torch.nn.init.normal_(encoder.quantizer.codebook.weight)
    flow = {
        "input_size": 32, "output_size": 80, "spk_embed_dim": 0, "vocab_size": 64,
        "encoder": {"input_size": 32, "output_size": 32, "attention_heads": 1,
                    "linear_units": 32, "num_blocks": 1},
        "length_regulator": {"channels": 80, "sampling_ratios": [1]},
        "decoder": {"estimator": {"in_channels": 240, "out_channels": 80, "channels": [16, 16],
                                  "n_blocks": 1, "num_mid_blocks": 1, "num_heads": 1}},
    }  # fmt: skip
    hift = {"base_channels": 16, "sampling_rate": 16_000,
            "f0_predictor": {"in_channels": 80, "cond_channels": 16}}  # fmt: skip
    decoder = SpeechDecoder.from_config({"flow": flow, "hift": hift, "mel": {"rate": 16_000}})
    return UniAudioTokenizer(encoder, LogMelFeatures(), decoder, "tiny")


@pytest.fixture(scope="session")
def tokenizer():
    return build_tokenizer()


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory, tokenizer):
    return tokenizer.save_pretrained(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """A manifest of four clips in one file: three of speech long enough, one too short."""
    folder = tmp_path_factory.mktemp("corpus")
    generator = np.random.default_rng(0)
    wave = 0.1 * generator.standard_normal(16_000 * 12) * np.sin(np.arange(16_000 * 12) / 900)
    Audio(wave.astype(np.float32), 16_000).write(folder / "speech.wav")
    lines = [
        {"path": "speech.wav", "start": start, "duration": duration, "language": "en",
         "source": "asterisk-en", "split": "eval"}
        for start, duration in ((6.0, 3.0), (0.0, 3.0), (3.0, 2.6), (9.0, 1.0))
    ]  # fmt: skip
    manifest = folder / "eval.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return manifest


@pytest.fixture(scope="session")
def wide_corpus(tmp_path_factory):
    """Four clips of English, two of German, two of music and nine sounds of three classes."""
    folder = tmp_path_factory.mktemp("wide")
    generator = np.random.default_rng(0)
    time = np.arange(16_000 * 20) / 16_000
    wave = 0.2 * np.sin(2 * np.pi * 40 * time**2) + 0.05 * generator.standard_normal(time.size)
    Audio(wave.astype(np.float32), 16_000).write(folder / "all.wav")

    def item(source, start, duration, **more):
        return {"path": "all.wav", "start": start, "duration": duration, "source": source,
                "split": "eval", **more}  # fmt: skip

    lines = [item("asterisk-en", 3.0 * n, 3.0, language="en", speaker="e") for n in range(4)]
    lines += [item("prompt-de", 4.0 * n, 2.6, language="de", speaker="d") for n in range(2)]
    lines += [item("colobot", 9.0 * n, 4.0, kind="music", label="music") for n in range(2)]
    lines += [
        item("games", 2.0 * n, 0.5 + 0.1 * n, kind="sound", label=label)
        for n, label in enumerate(["water"] * 3 + ["fire"] * 4 + ["rare", ""])
    ]
    lines.append(item("train-only", 0.0, 3.0, language="fr", speaker="f") | {"split": "train"})
    manifest = folder / "eval.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return manifest
