"""The vocoder stage: samples to hear, weights of another run, every process its crops."""

from __future__ import annotations

import pytest
import soundfile
import torch
from debug_runs import CONFIGS, overrides

from unisono.errors import ConfigError, DataError
from unisono.training.config import load_config
from unisono.training.loop import train
from unisono.training.state import module_weights
from unisono.training.tasks import build_task
from unisono.training.world import World


def config(corpus, out, stage="vocoder", **more):
    return load_config(CONFIGS / f"debug-{stage}.yaml", overrides(corpus, out, **more))


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("vocoder") / "run"
    more = {"options.valid_seconds": 1.2, "average": 0.9}
    settings = config(corpus, out, steps=4, samples_every=4, **more)
    return train(settings, build_task(settings), terminal=False)


def test_samples_are_three_crops_real_and_made(run):
    folder = run / "samples" / "step-00000004"
    names = {f"{n}-{kind}" for n in (1, 2, 3) for kind in ("real", "made")}
    assert {path.stem for path in folder.glob("*.wav")} == names
    assert {path.stem for path in folder.glob("*.png")} == names
    wave, rate = soundfile.read(folder / "1-real.wav")
    assert rate == 16000 and len(wave) == 18 * 256 and abs(wave).max() > 0.01


def test_a_run_starts_from_the_averaged_weights_of_another(run, corpus, tmp_path):
    task = build_task(config(corpus, tmp_path / "next", **{"options.start_from": run}))
    given = module_weights(run)
    for name, module in task.modules.items():
        for key, tensor in module.state_dict().items():
            assert torch.equal(tensor, given[name][key]), key
    wider = {"options.start_from": run, "options.vocoder.base_channels": 32}
    other = build_task(config(corpus, tmp_path / "wider", **wider)).modules["vocoder"]
    predictor = given["vocoder"]["f0_predictor.classifier.weight"]
    assert torch.equal(other.f0_predictor.classifier.weight, predictor)
    assert other.pre_conv.weight.shape[0] == 32


def test_a_run_without_fitting_weights_says_so(run, corpus, tmp_path):
    with pytest.raises(DataError, match="no weights for f0_predictor"):
        build_task(config(corpus, tmp_path / "x", "pitch", **{"options.start_from": run}))


def test_every_process_has_crops_of_its_own(corpus, tmp_path):
    worlds = [World(), World()]
    for rank, world in enumerate(worlds):
        world.rank, world.size = rank, 2
    settings = config(corpus, tmp_path / "x")
    alone = build_task(settings)
    for rank, world in enumerate(worlds):
        batch, same = build_task(settings, world).batch(3), alone.batch(6 + rank)
        assert torch.equal(batch.wave, same.wave) and torch.equal(batch.f0, same.f0)
    assert batch.seconds == pytest.approx(2 * 18 * 256 / 16000)


def test_less_than_float32_is_refused(corpus, tmp_path):
    settings = config(corpus, tmp_path / "x", precision="bf16")
    with pytest.raises(ConfigError, match="needs float32"):
        train(settings, build_task(settings), terminal=False)
