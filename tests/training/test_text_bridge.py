"""A text decoder that hears mel frames: Whisper's own encoder, silence at the end, whole stage."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
import torch
from debug_runs import CONFIGS, overrides
from tiny_whisper import write_tiny_whisper
from transformers import WhisperModel

import unisono
from unisono.data.manifest import ManifestItem, write_manifest
from unisono.training.config import load_config
from unisono.training.encoder_start import whisper_weights
from unisono.training.export import assemble
from unisono.training.loop import train
from unisono.training.state import load_checkpoint
from unisono.training.tasks import build_task
from unisono.training.text_start import reader_config, start_ears, whisper_config
from unisono.uniaudio.hearing import SILENCE


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whisper")
    write_tiny_whisper(folder)
    return folder


@pytest.fixture(scope="module")
def ears(whisper):
    config, tokens = whisper_config(whisper)
    chosen = reader_config(config, tokens, [], 2, (), {"width": 8, "layers": 1})
    assert chosen.encoder_layers == 5
    return start_ears(chosen, whisper_weights(whisper)).eval()


@torch.no_grad()
def test_thirty_seconds_are_heard_as_transformers_hears_them(ears, whisper):
    torch.manual_seed(0)
    mel = torch.randn(2, 3000, 80)
    states, mask = ears(mel, torch.ones(2, 3000, dtype=torch.long))
    wanted = WhisperModel.from_pretrained(whisper).encoder.eval()(mel.transpose(1, 2))
    assert mask.shape == (2, 1500) and mask.all()
    torch.testing.assert_close(states, wanted.last_hidden_state, atol=2e-5, rtol=1e-4)


@torch.no_grad()
def test_items_of_a_batch_are_heard_as_alone(ears):
    torch.manual_seed(0)
    lengths = (100, 2960, 640)
    mel, mask = torch.randn(3, 2960, 80), torch.zeros(3, 2960, dtype=torch.long)
    for n, length in enumerate(lengths):
        mask[n, :length] = 1
    states, heard = ears(mel, mask)
    for n, length in enumerate(lengths):
        own, real = ears(mel[n : n + 1, :length], mask[n : n + 1, :length])
        count = min(length + SILENCE, 3000) // 2
        assert real.sum() == heard[n].sum() == count
        torch.testing.assert_close(states[n, :count], own[0], atol=2e-5, rtol=1e-4)


@torch.no_grad()
def test_silence_is_the_items_least_value(ears):
    torch.manual_seed(0)
    mel = torch.randn(1, 40, 80)
    longer = torch.cat([mel, mel.min().expand(1, SILENCE, 80)], dim=1)
    mask = torch.ones(1, 40, dtype=torch.long)
    states, _ = ears(mel, mask)
    more, _ = ears(longer, torch.ones(1, 40 + SILENCE, dtype=torch.long))
    assert states.shape[1] == (40 + SILENCE) // 2
    # The longer one has silence of its own behind, which attention sees: near, not equal.
    assert (states - more[:, : states.shape[1]]).abs().mean() < 0.2 * states.abs().mean()


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    random = np.random.default_rng(0)
    soundfile.write(folder / "all.wav", 0.1 * random.standard_normal(16 * 16_000), 16_000)
    write_manifest(
        folder / "clips.jsonl",
        [
            ManifestItem(
                path="all.wav", start=float(n), duration=1.0, text="hi", language="en",
                source="test", split="valid" if n > 12 else "train",
            )
            for n in range(16)
        ],
    )  # fmt: skip
    return folder / "clips.jsonl"


def bridged(clips, out, whisper, **more):
    options = {
        "options.whisper": whisper, "options.text_bridge": True, "options.distill_weight": 0,
        "options.distill_transcribed": False, "options.unfreeze_from": "null",
        "options.train": "reader", "options.quantize_from": 0, "steps": 4, **more,
    }  # fmt: skip
    return load_config(CONFIGS / "debug-encoder-text.yaml", overrides(clips, out, **options))


@pytest.fixture(scope="module")
def finished(clips, whisper, tmp_path_factory):
    out = tmp_path_factory.mktemp("bridge") / "run"
    config = bridged(clips, out, whisper, **{"options.text_trained": 1})
    return config, train(config, build_task(config), terminal=False)


def test_only_the_last_layers_of_whispers_encoder_are_trained(finished, ears):
    _, run = finished
    weights = load_checkpoint(run)["modules"]["text_top"]
    own = ears.state_dict()
    changed = {name for name, tensor in own.items() if not torch.equal(weights[name], tensor)}
    assert changed and all(name.startswith("above.layers.2.") for name in changed)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert any("valid/text" in line for line in lines)


def test_the_model_hears_what_the_stage_heard(finished, tmp_path):
    config, run = finished
    folder = assemble(run, tmp_path / "model", "tiny", int8=False)
    tokenizer = unisono.load(folder)
    wave = (np.random.default_rng(1).standard_normal(16_000).astype("float32") * 0.1, 16_000)
    assert tokenizer.transcribe(wave, language="en") == tokenizer.transcribe(
        tokenizer.encode(wave), language="en"
    )
    weights = load_checkpoint(run)["modules"]
    task = build_task(config)
    for name, module in task.modules.items():
        module.load_state_dict(weights[name])
        module.eval()
    vectors = torch.randn(2, 9, task.encoder.config.d_model)
    mask = torch.ones(2, 9, dtype=torch.long)
    mask[1, 5:] = 0
    with torch.no_grad():
        frames = task.mel_head(vectors, mask.float()).unflatten(-1, (4, -1)).flatten(1, 2)
        wanted, real = task.text.ears(frames, mask.repeat_interleave(4, 1))
        out = tokenizer.describer.reader.heard(vectors, mask)
    assert torch.equal(out.token_mask, real)
    torch.testing.assert_close(out.last_hidden_state, wanted, atol=1e-5, rtol=1e-4)


def test_a_model_is_a_start_for_the_next_run(finished, whisper, clips, tmp_path):
    _, run = finished
    folder = assemble(run, tmp_path / "model", "tiny", int8=False)
    config = bridged(clips, tmp_path / "next", whisper, **{"options.start_from": folder})
    task = build_task(config)
    given = load_checkpoint(run)["modules"]
    for name in ("mel_head", "text_top", "text_decoder", "encoder"):
        own = task.modules[name].state_dict()
        for key, tensor in own.items():
            # The averages behind the codebook are not in a model.
            if not key.startswith("quantizer.") or key == "quantizer.codebook.weight":
                torch.testing.assert_close(tensor, given[name][key], atol=1e-3, rtol=1e-2)


def test_an_untouched_whisper_takes_a_trained_readers_place(finished, whisper, tmp_path):
    _, run = finished
    both = {"hearing_run": run, "whisper_reader": whisper}
    tokenizer = unisono.load(assemble(run, tmp_path / "model", "tiny", int8=False, **both))
    wave = (np.random.default_rng(1).standard_normal(16_000).astype("float32") * 0.1, 16_000)
    own = tokenizer.transcribe(wave, language="en")
    assert own and tokenizer.transcribe(wave, language="en", whisper=whisper).startswith(own)
    assert "bridge" in json.loads((tmp_path / "model/config.json").read_text())["text"]["shared"]


def test_options_that_do_not_go_with_a_bridge(clips, whisper, tmp_path):
    config = bridged(clips, tmp_path / "run", whisper, **{"options.text_top": "[1]"})
    with pytest.raises(Exception, match="text_bridge"):
        build_task(config)
