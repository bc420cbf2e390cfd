"""Training configs: typed, dotted overrides, clear errors."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from unisono.errors import ConfigError
from unisono.sap.scene_config import load_scene_config
from unisono.training.config import load_config
from unisono.training.schedules import warmup_cosine

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_every_shipped_config_is_valid(path):
    config = load_config(path)
    assert config.steps > 0


@pytest.mark.parametrize(
    "path", sorted((CONFIGS[0].parent / "scenes").glob("*.yaml")), ids=lambda p: p.stem
)
def test_every_shipped_config_of_scenes_is_valid(path):
    config = load_scene_config(path)
    assert config.speech.speakers is not None or not config.speech.sources


def test_overrides_reach_nested_keys():
    config = load_config(CONFIGS[0], ["steps=7", "data.batch_seconds=3.5", "options.extra=[1, 2]"])
    assert config.steps == 7
    assert config.data.batch_seconds == 3.5
    assert config.options["extra"] == [1, 2]


def test_no_is_a_precision_and_not_false():
    assert load_config(CONFIGS[0], ["precision=no"]).precision == "no"
    assert load_config(CONFIGS[0]).precision == "auto"


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("stepz=7", "stepz"),
        ("data.batch=3", "data.batch"),
        ("steps=many", "steps"),
        ("steps", "key=value"),
        ("precision=fp8", "precision"),
        ("steps.deep=1", "not a section"),
        ("average=1.5", "average"),
        ("sharding=half", "sharding"),
        ("compile.backnd=eager", "backnd"),
        ("data.workers=-1", "data.workers"),
    ],
)
def test_a_wrong_override_is_named(override, part):
    with pytest.raises(ConfigError, match=part):
        load_config(CONFIGS[0], [override])


def test_yaml_that_asks_for_python_is_refused(tmp_path):
    path = tmp_path / "evil.yaml"
    path.write_text("task: !!python/object/apply:os.system ['touch pwned']\n")
    with pytest.raises(ConfigError, match=r"evil\.yaml.*tags are refused"):
        load_config(path)
    assert not (tmp_path / "pwned").exists()


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        load_config(tmp_path / "none.yaml")


def test_schedule_rises_then_falls_to_its_floor():
    factors = [warmup_cosine(step, 100, 10, 0.1) for step in range(120)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9] == factors[10] == 1.0
    assert all(a >= b for a, b in pairwise(factors[10:]))
    assert factors[100:] == pytest.approx([0.1] * 20)
