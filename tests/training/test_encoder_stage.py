"""The encoder stage: earlier runs, no cache, text supervision, several processes, paper sizes."""

from __future__ import annotations

import json
import multiprocessing

import numpy as np
import pytest
import soundfile
import torch
import torch.distributed as dist
from debug_runs import CONFIGS, overrides
from tiny_whisper import write_tiny_whisper
from transformers import WhisperConfig

from unisono.data.manifest import ManifestItem, write_manifest
from unisono.errors import ConfigError, DataError
from unisono.training.config import load_config, parse_options
from unisono.training.encoder_options import EncoderOptions
from unisono.training.encoder_start import build_encoder
from unisono.training.heads import TextReader
from unisono.training.loop import train
from unisono.training.parallel import average_gradients
from unisono.training.state import load_checkpoint, save_checkpoint
from unisono.training.tasks import build_task
from unisono.training.text_start import whisper_config
from unisono.training.world import World
from unisono.uniaudio import UniAudioConfig, UniAudioEncoder
from unisono.uniaudio.text_decoder import TextDecoder

PLAIN = {
    # No SAE: its dropout would draw other numbers in every process.
    "options.encoder.encoder_residual_source_position": "null",
    "options.encoder.encoder_residual_target_position": "null",
}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Speech with and without text and phonemes, a described sound, music; two clips held out."""
    folder = tmp_path_factory.mktemp("mixed")
    rng = np.random.default_rng(1)
    said = {"text": "hi", "phonemes": "haɪ", "language": "en", "speaker": "a"}
    kinds = [
        *[said] * 3,
        {"language": "fr", "speaker": "b"},
        {"kind": "sound", "caption": "rain", "source": "rain"},
        *[{"kind": "music", "source": f"song{n}"} for n in range(3)],
        {**said, "split": "valid"},
        {"kind": "music", "split": "valid"},
    ]
    items = []
    for n, kind in enumerate(kinds):
        seconds = 0.7 + 0.05 * n
        wave = 0.1 * rng.standard_normal(round(seconds * 16000))
        soundfile.write(folder / f"{n}.wav", wave, 16000)
        items.append(ManifestItem(path=f"{n}.wav", duration=seconds, **kind))
    write_manifest(folder / "mixed.jsonl", items)
    return folder / "mixed.jsonl"


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    return write_tiny_whisper(tmp_path_factory.mktemp("models") / "whisper")


def configured(name, corpus, out, **more):
    everything = {"data.kinds": "[speech, music, sound]", "data.workers": 0, **more}
    return load_config(CONFIGS / f"debug-{name}.yaml", overrides(corpus, out, **everything))


def encoder_task(name, corpus, out, world=None, **more):
    return build_task(configured(name, corpus, out, **more), world or World())


def save_run(task, run):
    modules = {name: module.state_dict() for name, module in task.modules.items()}
    state = {"step": 1, "modules": modules, "task": task.extra_state()}
    save_checkpoint(run, 1, state, keep=1)


def step(task, number):
    """One forward and backward pass; gives the figures."""
    (turn,) = task.losses(task.batch(number), number)
    turn[1].backward()
    return turn[2]


def test_a_run_goes_on_from_an_earlier_one(corpus, mixed, tmp_path):
    cache = {"options.cache": tmp_path / "cache"}
    before = encoder_task("encoder", corpus, tmp_path / "a", **cache)
    step(before, 3)  # starts the codebook
    before.encoder.quantizer.steps.fill_(7)
    save_run(before, tmp_path / "a")
    both = {"data.train": f"[{corpus}, {mixed}]", "options.start_from": tmp_path / "a", **cache}
    after = encoder_task("encoder", corpus, tmp_path / "b", **both)
    old, new = before.inventory.symbols, after.inventory.symbols
    assert set(old) < set(new) and old.index("k") != new.index("k")
    for name, tensor in before.encoder.state_dict().items():
        assert torch.equal(after.encoder.state_dict()[name], tensor), name
    rows, old_rows = after.phoneme_head.outward.weight, before.phoneme_head.outward.weight
    assert torch.equal(rows[0], old_rows[0])
    for symbol in old:
        assert torch.equal(rows[new.index(symbol) + 1], old_rows[old.index(symbol) + 1])
    # The codebook is in use: it is moved on, not started again.
    codes = after.encoder.quantizer.codebook.weight.clone()
    figures = step(after, 3)
    assert figures["codes"] >= 1 and after.encoder.quantizer.steps == 8
    assert (after.encoder.quantizer.codebook.weight - codes).norm() < 0.5 * codes.norm()


def test_another_codebook_size_starts_anew(corpus, tmp_path):
    cache = {"options.cache": tmp_path / "cache"}
    before = encoder_task("encoder", corpus, tmp_path / "a", **cache)
    step(before, 3)
    save_run(before, tmp_path / "a")
    more = {
        "options.start_from": tmp_path / "a",
        "options.encoder.quantize_vocab_size": 8,
        "options.cache": "null",
        "options.frozen": 0,
    }
    after = encoder_task("encoder", corpus, tmp_path / "b", **more)
    assert not after.extra_state()["started"]
    assert torch.equal(after.mel_head.outward.weight, before.mel_head.outward.weight)
    step(after, 3)
    assert after.extra_state()["started"] and after.encoder.quantizer.codes == 8


def test_a_start_that_does_not_fit_is_named(corpus, tmp_path):
    cache = {"options.cache": tmp_path / "cache"}
    task = encoder_task("encoder", corpus, tmp_path / "a", **cache)
    with torch.no_grad():
        task.encoder.layers[0].fc1.bias.add_(1)
    save_run(task, tmp_path / "a")
    start = {"options.start_from": tmp_path / "a"}
    with pytest.raises(ConfigError, match=r"layers\.0\.fc1\.bias.*cache: null"):
        encoder_task("encoder", corpus, tmp_path / "b", **cache, **start)
    free = encoder_task(
        "encoder", corpus, tmp_path / "b", **start, **{"options.cache": "null", "options.frozen": 0}
    )
    assert torch.equal(free.encoder.layers[0].fc1.bias, task.encoder.layers[0].fc1.bias)
    with pytest.raises(DataError, match="no whole checkpoint"):
        start = {"options.start_from": tmp_path / "none"}
        encoder_task("encoder", corpus, tmp_path / "b", **cache, **start)


@pytest.mark.parametrize(
    ("more", "part"),
    [
        ({"options.frozen": 0}, "set frozen"),
        ({"options.unfreeze_from": 5}, "cache: null"),
        ({"options.text_weight": 1}, "set whisper"),
    ],
)
def test_options_that_do_not_fit_are_named(more, part, corpus, tmp_path):
    with pytest.raises(ConfigError, match=part):
        encoder_task("encoder", corpus, tmp_path / "a", **{"options.cache": tmp_path}, **more)


def test_states_made_anew_are_those_of_the_cache(mixed, tmp_path):
    cached = encoder_task("encoder", mixed, tmp_path / "a", **{"options.cache": tmp_path / "c"})
    live = encoder_task("encoder", mixed, tmp_path / "b", **{"options.cache": "null"})
    for task in (cached, live):
        task.encoder.eval()
    one, two = cached.batch(0), live.batch(0)
    assert torch.equal(one.inputs.mask, two.inputs.mask)
    torch.testing.assert_close(one.inputs.mel, two.inputs.mel, atol=2e-3, rtol=0)
    assert two.seconds == pytest.approx(one.seconds, abs=1)
    with torch.no_grad():
        state = live.encoder.embed(two.inputs.features, two.inputs.feature_mask)
        state = live.encoder.run_layers(state, 2)
    real = one.inputs.mask.bool()
    torch.testing.assert_close(state.hidden[real], one.inputs.state.hidden[real], atol=1e-2, rtol=0)
    assert live.encoder.layers[0].fc1.weight.requires_grad is False


def test_frozen_layers_join_at_their_step(corpus, tmp_path):
    options = {"options.cache": "null", "options.unfreeze_from": 2, "options.int8_frozen": False}
    task = encoder_task("encoder", corpus, tmp_path / "a", **options)
    lowest = task.encoder.conv1.weight
    step(task, 1)
    assert lowest.grad is None and task.encoder.layers[2].fc1.weight.grad is not None
    step(task, 2)
    assert lowest.grad.abs().sum() > 0


def test_music_alone_trains_too(mixed, tmp_path):
    only = {"data.kinds": "[music]", "options.cache": tmp_path / "c"}
    task = encoder_task("encoder", mixed, tmp_path / "a", **only)
    figures = step(task, 0)
    assert figures["mel"] > 0 and "ctc" not in figures
    assert not task.phoneme_head.outward.weight.grad.any()
    found = task.evaluate()
    assert found["mel"] > 0 and "per" not in found


@pytest.fixture(scope="module")
def text_run(mixed, whisper, tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    config = configured("encoder-text", mixed, folder / "run", **{"options.whisper": whisper})
    return train(config, build_task(config), terminal=False)


def test_text_supervision_end_to_end(text_run):
    lines = [json.loads(line) for line in (text_run / "metrics.jsonl").read_text().splitlines()]
    steps = {line["step"]: line for line in lines if "encoder/loss" in line}
    assert "commit" not in steps[2] and "commit" in steps[3]
    for key in ("text", "distill", "mel", "ctc"):
        assert any(np.isfinite(line.get(key, np.nan)) for line in steps.values()), key
    (held_out,) = (line for line in lines if "valid/mel" in line)
    assert held_out["valid/text"] > 0 and held_out["valid/per"] >= 0
    state = load_checkpoint(text_run)
    assert {"encoder", "text_decoder", "text_top"} < set(state["modules"])
    options = parse_options(EncoderOptions, load_config(text_run / "config.yaml").options, "x")
    build_encoder(options).load_state_dict(state["modules"]["encoder"])


def test_the_teachers_words_are_kept(text_run, mixed, whisper):
    before = {path: path.stat().st_mtime_ns for path in (text_run / "teacher").iterdir()}
    task = encoder_task("encoder-text", mixed, text_run, **{"options.whisper": whisper})
    assert {path: path.stat().st_mtime_ns for path in (text_run / "teacher").iterdir()} == before
    tokens = task.text.tokens
    clips = task.sequences["train"]
    texts = {clips.items(i)[0].path: target for i, target in enumerate(task.texts["train"])}
    true, heard = texts["0.wav"]["asr"], texts["3.wav"]["asr"]
    told = texts["4.wav"]["caption"]
    assert true.true and tokens.text(list(true.ids))[:2] == "hi"
    assert torch.equal(true.taught.ids, torch.tensor(true.ids, dtype=torch.int32))
    # The tiny Whisper hears " hi" in everything; its language was known.
    assert not heard.true and tokens.text(list(heard.ids)) == "hi"
    assert heard.ids[1] == tokens.language("fr")
    assert torch.equal(heard.taught.best[3:, 0], torch.tensor(heard.ids[4:], dtype=torch.int32))
    assert told.ids[0] == tokens.tasks["<|startofcaption|>"]
    assert tokens.text(list(told.ids)) == "rain"
    assert texts["5.wav"] == {}


def test_a_frozen_decoder_teaches_the_encoder_and_is_not_saved(mixed, whisper, tmp_path):
    more = {
        "options.whisper": whisper,
        "options.text_decoder": "frozen",
        "options.cache": tmp_path / "cache",
        "options.unfreeze_from": "null",
        "options.mel_weight": 0,
        "options.ctc_weight": 0,
    }
    task = encoder_task("encoder-text", mixed, tmp_path / "a", **more)
    assert "text_decoder" not in task.modules
    assert (tmp_path / "cache" / "teacher").is_dir()
    figures = {}
    for number in range(4):
        figures |= step(task, number)
    assert figures["text"] > 0 and figures["distill"] > 0
    assert all(p.grad is None for p in task.text.reader.parameters())
    assert task.encoder.layers[1].fc1.weight.grad.abs().sum() > 0


def gradients(mixed, out, rank, size, number, place):
    """One process's part of a step; the first one saves the averaged gradients and codebook."""
    torch.set_num_threads(1)  # OpenMP's threads do not outlive the fork
    dist.init_process_group("gloo", init_method=f"file://{place}", rank=rank, world_size=size)
    world = World()
    task = encoder_task("encoder", mixed, out, world, **two_process_options(out))
    step(task, number)
    parameters = [p for module in task.modules.values() for p in module.parameters()]
    average_gradients(parameters, world)
    if rank == 0:
        torch.save([p.grad for p in parameters] + [task.encoder.quantizer.codebook.weight], out)
    dist.destroy_process_group()


def two_process_options(out):
    batch = {"data.batch_seconds": 0.1, "options.quantize_from": 0}
    return {"options.cache": f"{out}-cache", **batch, **PLAIN}


def test_processes_without_labels_train_like_one_with_the_joint_batch(mixed, tmp_path):
    out = tmp_path / "two.pt"
    alone = encoder_task("encoder", mixed, out, **two_process_options(out))
    # A step at which the first process has phonemes and the second has none.
    labelled = [bool(alone.phonemes["train"][alone.plan(n)[0]]) for n in range(60)]
    number = next(n for n in range(30) if labelled[2 * n] and not labelled[2 * n + 1])
    spawn = multiprocessing.get_context("fork")
    arguments = (mixed, out, 0, 2, number, tmp_path / "meet")
    processes = [
        spawn.Process(target=gradients, args=(*arguments[:2], rank, *arguments[3:]))
        for rank in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    # Batches of one sequence each: the joint one holds both, the codebook starts from the same.
    singles, alone.plan = alone.plan, lambda n: [*singles(2 * n), *singles(2 * n + 1)]
    step(alone, number)
    parameters = [p for module in alone.modules.values() for p in module.parameters()]
    expected = [p.grad for p in parameters] + [alone.encoder.quantizer.codebook.weight]
    for made, real in zip(torch.load(out), expected, strict=True):
        assert (made is None) == (real is None)
        if made is not None:
            torch.testing.assert_close(made, real, atol=2e-5, rtol=1e-3)


@pytest.mark.parametrize("stage", [1, 2])
def test_the_papers_encoder_has_its_size(stage):
    config = load_config(CONFIGS / f"uniaudio-paper-encoder-{stage}.yaml")
    options = parse_options(EncoderOptions, config.options, config.task)
    with torch.device("meta"):
        encoder = UniAudioEncoder(UniAudioConfig.from_reference(options.encoder))
    whisper = 32 * 19_676_160 + 128 * 1280 * 3 + 1280 + 1280 * 1280 * 3 + 1280 + 1500 * 1280 + 2560
    residual = 5 * 1280 * 1280 + 4 * 1280 + 2560
    codes = 8192 * 1280 + 750 * 1280
    expected = whisper + residual + (codes if stage == 2 else 0)
    assert sum(p.numel() for p in encoder.parameters()) == expected
    assert (encoder.quantizer is not None) == (stage == 2)
    section = config.optimizers["encoder"]
    assert (section.warmup, section.floor, section.clip_norm) == (1000, 0.1, 1.0)
    rates = (section.rates["encoder"], section.rates["text_decoder"], section.lr)
    assert rates == (1e-5, 6e-4, 2e-4)


def test_the_papers_text_decoder_has_its_size(whisper):
    config, tokens = whisper_config(whisper)
    assert config.vocab_size == tokens.size and config.max_target_positions == 2048
    large = {
        "d_model": 1280, "decoder_layers": 32, "decoder_attention_heads": 20,
        "decoder_ffn_dim": 5120, "vocab_size": 51866 + 3, "max_target_positions": 2048,
    }  # fmt: skip
    with torch.device("meta"):
        reader = TextReader(TextDecoder(WhisperConfig(**large)))
    layer = 8 * 1280 * 1280 + 6 * 1280 + 2 * 1280 * 5120 + 6400 + 6 * 1280
    expected = 32 * layer + (51869 + 2048) * 1280 + 2560
    assert sum(p.numel() for p in reader.parameters()) == expected
