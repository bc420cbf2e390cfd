"""Training stages by name. A new stage is one file here and one line in `TASKS`."""

from __future__ import annotations

from importlib import import_module

from unisono.errors import ConfigError
from unisono.training.config import TrainConfig
from unisono.training.parallel import open_world
from unisono.training.task import Task
from unisono.training.world import World

TASKS = {
    "encoder": ("unisono.training.tasks.encoder", "EncoderTask"),
    "fields": ("unisono.training.tasks.fields", "FieldsTask"),
    "flow": ("unisono.training.tasks.flow", "FlowTask"),
    "pitch": ("unisono.training.tasks.pitch", "PitchTask"),
    "unicodec": ("unisono.training.tasks.unicodec", "UniCodecTask"),
    "vocoder": ("unisono.training.tasks.vocoder", "VocoderTask"),
}


def build_task(config: TrainConfig, world: World | None = None) -> Task:
    """The stage that `config.task` names, built with its data, for one process of `world`.

    Without `world` the processes are those of the launcher.

    Raises:
        ConfigError: no such stage, or a wrong option.
    """
    if config.task not in TASKS:
        raise ConfigError(f"task {config.task!r} is unknown; there are {', '.join(sorted(TASKS))}")
    module, name = TASKS[config.task]
    stage = getattr(import_module(module), name)
    return stage(config, world or open_world(config.device))
