"""Augmentation in the stages that hear the clips, and refused by those that do not."""

from __future__ import annotations

import pytest
import torch
from debug_runs import CONFIGS, overrides

from unisono.errors import ConfigError
from unisono.training.config import load_config
from unisono.training.tasks import build_task

LOUDER = {"data.augment.gain.probability": 1.0, "data.augment.gain.decibels": "[-12, -11]"}


def task(name, corpus, out, **more):
    config = load_config(CONFIGS / f"debug-{name}.yaml", overrides(corpus, out, **more))
    return build_task(config)


def test_the_vocoder_hears_changed_crops_in_training_alone(corpus, tmp_path):
    plain, changed = (task("vocoder", corpus, tmp_path, **more) for more in ({}, LOUDER))
    a, b = plain.batch(3), changed.batch(3)
    level = (b.wave.square().mean() / a.wave.square().mean()).log10() * 10
    assert -12.1 < level < -10.9
    assert torch.equal(changed.batch(3).wave, b.wave)
    assert torch.equal(plain.held_out().wave, changed.held_out().wave)


def test_the_encoder_hears_changed_clips_when_nothing_is_cached(corpus, tmp_path):
    live = {"options.cache": "null", "options.frozen": 0}
    speed = {"data.augment.speed.probability": 1.0, "data.augment.speed.factor": "[0.5, 0.5]"}
    plain, slow = (task("encoder", corpus, tmp_path, **live, **more) for more in ({}, speed))
    a, b = (t.batch(2).inputs.feature_mask.sum(1) for t in (plain, slow))
    assert ((b - 2 * a).abs() <= 8).all()
    assert torch.equal(slow.batch(2).inputs.features, slow.batch(2).inputs.features)
    indices = list(range(2))
    valid = [t.sequences["valid"].inputs(indices).features for t in (plain, slow)]
    assert torch.equal(*valid)


def test_cached_states_and_tokens_cannot_be_augmented(corpus, tmp_path):
    with pytest.raises(ConfigError, match="cache: null"):
        task("encoder", corpus, tmp_path, **{"options.cache": tmp_path / "cache"}, **LOUDER)
    with pytest.raises(ConfigError, match="clips as they are"):
        task("flow", corpus, tmp_path, **{"options.encoder_run": tmp_path}, **LOUDER)


def test_an_unknown_effect_is_named(corpus, tmp_path):
    with pytest.raises(ConfigError, match="flanger"):
        task("vocoder", corpus, tmp_path, **{"data.augment.flanger.probability": 0.5})
