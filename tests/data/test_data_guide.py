"""The examples of docs/data.md run, in order, as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from unisono.data.augment import AugmentSection
from unisono.data.sources import parse_entry
from unisono.data.sources.base import SourceOptions

GUIDE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_examples_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    found = blocks("python")
    assert len(found) > 7
    for block in found:
        exec(compile(block, "docs/data.md", "exec"), names)


def test_the_configs_are_valid():
    config, augmentation = map(yaml.safe_load, blocks("yaml"))
    assert [parse_entry(entry)[0] for entry in config["data"]["train"]][3] == "/data/bells"
    assert AugmentSection.model_validate(augmentation).active


def test_every_option_is_in_the_table():
    table = GUIDE.split("## Options of an entry")[1].split("## Index")[0]
    for name in SourceOptions.model_fields:
        assert f"`{name}`" in table
