"""Everything of a running stage that a checkpoint holds: gathered, and put back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from unisono.errors import DataError
from unisono.training.average import WeightAverage
from unisono.training.optimization import Player
from unisono.training.sharding import load_module, module_state
from unisono.training.state import (
    newest_checkpoint,
    read_checkpoint,
    restore_rng,
    rng_state,
    save_checkpoint,
)
from unisono.training.task import Task
from unisono.training.world import World


@dataclass
class Snapshot:
    """The parts of a run with state (weights, optimizers, averages, generators, position)."""

    task: Task
    players: Mapping[str, Player]
    scaler: torch.amp.GradScaler
    average: WeightAverage | None
    world: World

    def save(self, run: Path, step: int, keep: int) -> None:
        """Write the checkpoint of `step`; all processes call it, the first one writes."""
        state: dict[str, Any] = {
            "step": step,
            "batches": self.world.batches(step),
            "modules": {name: module_state(m) for name, m in self.task.modules.items()},
            "optimizers": {name: player.state() for name, player in self.players.items()},
            "task": self.task.extra_state(),
            "scaler": self.scaler.state_dict(),
        }
        if self.average is not None:
            state["average"] = self.average.state()
        generators = _gathered(rng_state(), self.world)
        state["rng"] = generators[0]
        state["other_rng"] = generators[1:]
        if self.world.main:
            save_checkpoint(run, step, state, keep)
        self.world.wait()

    def load(self, state: Mapping[str, Any]) -> None:
        """Put a checkpoint back; keys that older versions did not write keep their defaults."""
        for name, module in self.task.modules.items():
            load_module(module, state["modules"][name])
        for name, player in self.players.items():
            player.load(state["optimizers"][name])
        self.task.load_extra_state(state["task"])
        if state.get("scaler"):
            self.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            if "average" in state:
                self.average.load(state["average"])
            else:
                self.average.restart()
        generators = [state["rng"], *state.get("other_rng", [])]
        if self.world.rank < len(generators):  # further processes keep their fresh seeds
            restore_rng(generators[self.world.rank])


def resumed_state(run: Path, world: World) -> dict[str, Any] | None:
    """The newest whole checkpoint, the same one on all processes; None for a new run.

    Raises:
        DataError: this process does not see the checkpoint that the first one found.
    """
    folder = newest_checkpoint(run) if world.main else None
    chosen = _gathered(None if folder is None else folder.name, world)[0]
    if chosen is None:
        return None
    folder = run / "checkpoints" / chosen
    state = read_checkpoint(folder, verify=False)
    if state is None:
        raise DataError(
            f"{folder}: not readable by process {world.rank}; "
            "the run folder must be on a disk that all machines share"
        )
    return state


def _gathered(value: Any, world: World) -> list[Any]:
    """Every process's value, in order of rank."""
    if world.size == 1:
        return [value]
    values: list[Any] = [None] * world.size
    dist.all_gather_object(values, value)
    return values
