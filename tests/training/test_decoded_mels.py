"""Vocoder and pitch stages on mels that a flow decoder made."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from debug_runs import CONFIGS, overrides

from unisono.errors import DataError
from unisono.training.config import load_config
from unisono.training.decoded_mels import DecodedMels
from unisono.training.loop import train
from unisono.training.state import module_weights
from unisono.training.tasks import build_task

SAMPLING = {"steps": 2, "start": 0.5}


def stage(name, corpus, out, **more):
    return load_config(CONFIGS / f"debug-{name}.yaml", overrides(corpus, out, **more))


def run(name, corpus, out, **more):
    config = stage(name, corpus, out, **more)
    return train(config, build_task(config))


@pytest.fixture(scope="module")
def flow_run(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("decoded")
    encoder = run("encoder", corpus, folder / "encoder", **{"options.cache": folder / "cache"})
    return run("flow", corpus, folder / "flow", **{"options.encoder_run": encoder})


@pytest.fixture(scope="module")
def mels(flow_run):
    return DecodedMels(flow_run, flow_run / "decoded", 5.0, SAMPLING, seed=3)


def test_a_crop_is_a_stretch_of_a_recording_and_of_its_decoded_mel(flow_run, mels):
    config = load_config(flow_run / "config.yaml")
    task = build_task(config)
    task.flow.load_state_dict(module_weights(flow_run)["flow"])
    task.flow.eval()
    hop, frames = task.mel.config.hop, 12
    made = {}
    for index in range(len(task.tokens["train"])):
        batch = task.collate("train", [index])
        made[index] = task.flow.mel(batch.tokens, speaker=batch.voice, seed=index, **SAMPLING)[0]
    rng = np.random.default_rng(0)
    for _ in range(5):
        wave, mel = mels.crop(frames, rng)
        assert wave.shape == (frames * hop,) and mel.shape[1] == frames
        places = [
            (index, first)
            for index, whole in made.items()
            for first in range(max(1, whole.shape[1] - frames + 1))
            if np.allclose(whole[:, first : first + frames].numpy(), mel, atol=0.02)
        ]
        assert len(places) == 1
        index, first = places[0]
        real = task.sequences["train"].wave(index)[first * hop : (first + frames) * hop]
        np.testing.assert_array_equal(wave[: len(real)], real)
        assert not wave[len(real) :].any()


def test_the_seconds_bound_what_is_decoded(flow_run, mels, tmp_path):
    few = DecodedMels(flow_run, tmp_path / "few", 0.5, SAMPLING, seed=3)
    count = [len(x._cache) for x in (few, mels)]
    assert 0 < count[0] < count[1]


def test_kinds_are_chosen(flow_run, mels):
    with pytest.raises(DataError, match=r"no decoded sequence is of kind \['music'\]"):
        DecodedMels(flow_run, flow_run / "decoded", 5.0, SAMPLING, seed=3, kinds=["music"])


def test_mels_of_other_settings_are_not_taken(flow_run, mels):
    with pytest.raises(DataError, match="other settings"):
        DecodedMels(flow_run, flow_run / "decoded", 5.0, {**SAMPLING, "steps": 3}, seed=3)


@pytest.mark.parametrize("name", ["vocoder", "pitch"])
def test_stages_train_on_decoded_mels(name, flow_run, mels, corpus, tmp_path):
    section = {"flow_run": str(flow_run), "folder": str(tmp_path / "mels"), "share": 0.5,
               "seconds": 5.0, "sampling": SAMPLING}  # fmt: skip
    more = {"options.decoded": section, "steps": 4}
    task = build_task(stage(name, corpus, tmp_path / name, **more))
    batch = task.batch(0)
    own = task.mel(batch.wave)
    given = task.given_mel(batch, own)
    count = len(batch.decoded)
    assert 0 < count < len(batch.wave) and given.shape == own.shape
    assert torch.equal(given[count:], own[count:])
    assert not torch.allclose(given[:count], own[:count], atol=0.1)
    # A stage that goes on from the first, as the shipped vocoder does.
    first = run(name, corpus, tmp_path / "first", steps=4)
    more["options.start_from"] = str(first)
    folder = run(name, corpus, tmp_path / "second", **more)
    before, after = (module_weights(r) for r in (first, folder))
    module = "vocoder" if name == "vocoder" else "f0_predictor"
    moved = [not torch.equal(before[module][k], after[module][k]) for k in before[module]]
    assert any(moved)
