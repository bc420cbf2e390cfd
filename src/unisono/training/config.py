"""Typed training configs: YAML as data, dotted overrides, unknown keys refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from unisono.data.augment import AugmentSection
from unisono.errors import ConfigError


class Section(BaseModel):
    """A part of a config; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class OptimizerSection(Section):
    """AdamW with linear warm-up and a cosine to `floor` times the base rate."""

    lr: float = Field(2e-4, gt=0)
    rates: dict[str, float] = Field(default_factory=dict)
    """Learning rates of parameters whose name starts with the key; the longest key wins."""
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = Field(0.01, ge=0)
    warmup: int = Field(100, ge=0)
    floor: float = Field(0.1, ge=0, le=1)
    clip_norm: float = Field(1.0, gt=0)


class DataSection(Section):
    """Which clips, and how they are put together into sequences and batches."""

    train: list[str] = Field(min_length=1)
    """Sources in any form of docs/data.md; items of split `train` are trained on, those of `valid`
    held out."""
    batch_seconds: float = Field(40.0, gt=0)
    sequence_seconds: tuple[float, float] = (3.0, 20.0)
    kinds: list[str] = Field(default_factory=lambda: ["speech"])
    weights: dict[str, float] = Field(default_factory=dict)
    """Share of a source's clips that an epoch uses: 0 leaves it out, 2 repeats it."""
    augment: AugmentSection = Field(default_factory=AugmentSection)
    """Changes of sound, in stages that hear the clips anew at every step."""
    workers: int = Field(1, ge=0)
    """Processes that prepare batches ahead, for each training process; 0: the loop does it."""


class CompileSection(Section):
    """Arguments of `torch.compile`."""

    backend: str = "inductor"
    mode: str | None = None
    dynamic: bool | None = None


class TrainConfig(Section):
    """One training stage. `task` names the stage; `options` is the stage's own section."""

    task: str
    out: Path
    seed: int = 0
    steps: int = Field(gt=0)
    """Batches that every process trains on; a multiple of `accumulate`."""
    accumulate: int = Field(1, ge=1)
    """Batches whose gradients are averaged into one step of the optimizers."""
    precision: Literal["auto", "no", "fp16", "bf16"] = "auto"
    """auto: bf16 where the GPU has it, else fp16 on CUDA; full precision on CPU and MPS."""
    average: float | None = Field(None, gt=0, lt=1)
    """Decay of a moving average of the weights, used for evaluation and by later stages."""
    compile: bool | CompileSection = False
    checkpoint_activations: bool = False
    """Compute the layers' activations again in the backward pass: less memory, more time."""
    sharding: Literal["none", "full"] = "none"
    """full: weights, gradients and optimizer state are split over the processes (FSDP)."""
    device: str = "auto"
    log_every: int = Field(10, ge=1)
    evaluate_every: int = Field(250, ge=1)
    samples_every: int = Field(0, ge=0)
    """Steps between audio samples in the logs; 0: never."""
    save_every: int = Field(250, ge=1)
    save_minutes: float = Field(10.0, gt=0)
    keep: int = Field(2, ge=1)
    data: DataSection
    optimizers: dict[str, OptimizerSection]
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("precision", mode="before")
    @classmethod
    def _no_is_a_word(cls, value: Any) -> Any:
        return "no" if value is False else value  # YAML reads a bare no as false

    @model_validator(mode="after")
    def _whole_windows(self) -> TrainConfig:
        if self.steps % self.accumulate:
            raise ValueError(
                f"steps ({self.steps}) must be a multiple of accumulate ({self.accumulate})"
            )
        return self


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read a YAML training config and apply `section.key=value` overrides.

    Raises:
        ConfigError: the file is missing or not YAML, a key is unknown, or a value has the
            wrong type; the sentence names the file and the key.
    """
    path = Path(path)
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give a YAML file") from error
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: not plain YAML ({reason}); tags are refused") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: a config is a YAML mapping, see configs/debug.yaml")
    for override in overrides:
        _apply(tree, override)
    try:
        return TrainConfig.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(f"{path}: {describe(error)}") from error


def describe(error: ValidationError) -> str:
    """All problems of a pydantic error in one sentence: `key: problem; key: problem`."""
    parts = (
        f"{'.'.join(str(place) for place in problem['loc'])}: {problem['msg']}"
        for problem in error.errors()
    )
    return "; ".join(parts)


def parse_options(section: type[Section], options: dict[str, Any], task: str) -> Any:
    """The task's own `options` as its typed section, or a ConfigError that names the key."""
    try:
        return section.model_validate(options)
    except ValidationError as error:
        raise ConfigError(f"options of task {task}: {describe(error)}") from error


def _apply(tree: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"override {override!r}: write it as key=value, e.g. steps=100")
    *parents, last = key.split(".")
    node = tree
    for parent in parents:
        node = node.setdefault(parent, {})
        if not isinstance(node, dict):
            raise ConfigError(f"override {override!r}: {parent} is not a section")
    node[last] = yaml.safe_load(text)
