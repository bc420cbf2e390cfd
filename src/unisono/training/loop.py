"""The one training loop. A task brings modules, batches and losses; the loop does the rest."""

from __future__ import annotations

import json
import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml

from unisono.errors import ConfigError, require_extra
from unisono.storage.atomic import write_bytes
from unisono.training.average import WeightAverage
from unisono.training.config import CompileSection, TrainConfig
from unisono.training.environment import describe_environment
from unisono.training.layers import checkpoint_activations, compile_layers
from unisono.training.optimization import Player
from unisono.training.parallel import StepReporter, open_world, share_weights
from unisono.training.precision import autocast, choose_precision, gradient_scaler
from unisono.training.prefetch import Batches, to_device
from unisono.training.reporting import Reporter
from unisono.training.sharding import reduce_at, shard
from unisono.training.snapshot import Snapshot, resumed_state
from unisono.training.task import Task
from unisono.training.world import World

log = logging.getLogger(__name__)

__all__ = ["Task", "train"]


def train(
    config: TrainConfig, task: Task, world: World | None = None, terminal: bool = True
) -> Path:
    """Run a stage to `config.steps`, resuming from its newest whole checkpoint.

    A run folder holds `config.yaml`, `environment.json`, the Reporter's logs and `checkpoints/`.
    SIGTERM and SIGINT on any process save a checkpoint and stop all after the same step. Batches
    are a function of their position and every generator is saved, so a killed run continues with
    the same numbers; with another number of processes it goes on where the data stood.

    Args:
        config: the run.
        task: the stage; built with the same `world`.
        world: the processes; None: the task's own, or those of the launcher.
        terminal: whether the first process shows its progress.

    Returns:
        The run folder.

    Raises:
        ConfigError: an optimizer is missing for a player or named for none, or the config asks
            for what this machine or number of processes cannot do.
        DataError: a checkpoint that not all processes can see.
    """
    if set(config.optimizers) != set(task.players):
        raise ConfigError(
            f"task {config.task} needs optimizers {sorted(task.players)}, "
            f"the config has {sorted(config.optimizers)}"
        )
    world = world or getattr(task, "world", None) or open_world(config.device)
    with ExitStack() as stack:
        stop = stack.enter_context(_StopRequest())
        trainer = _Trainer(config, task, world, stack)
        reporter = stack.enter_context(
            Reporter(config.out, config, world.main, terminal, start=trainer.start)
        )
        trainer.run(reporter, stop)
    return config.out


class _Trainer:
    """One run in progress: everything between the checkpoint it starts from and its end."""

    def __init__(self, config: TrainConfig, task: Task, world: World, stack: ExitStack) -> None:
        self.config, self.task, self.world = config, task, world
        mixed = getattr(task, "mixed_precision", True)
        self.precision = choose_precision(config.precision, world.device, mixed)
        accelerate = require_extra("accelerate", "train")
        accelerate.utils.set_seed(config.seed + world.rank)
        state = resumed_state(config.out, world)
        self.start = 0 if state is None else int(state["step"])
        world.start_at(self.start, 0 if state is None else state.get("batches", self.start))
        if world.main:
            self._describe_run()
        # Before the modules move: workers are forked, and a fork cannot use CUDA.
        steps = range(self.start, config.steps)
        self.batches = stack.enter_context(Batches(task.batch, steps, config.data.workers))
        self.players, average, scaler = self._place_modules()
        self.snapshot = Snapshot(task, self.players, scaler, average, world)
        if state is not None:
            self.snapshot.load(state)
        self.scaler, self.average = scaler, average
        self.report = StepReporter(world)

    def run(self, reporter: Reporter, stop: _StopRequest) -> None:
        """All steps that are left; every process runs the same ones."""
        config, world = self.config, self.world
        last_save = time.monotonic()
        wanted = False  # a checkpoint that waits for the end of an accumulation window
        for step, made in zip(range(self.start, config.steps), self.batches, strict=True):
            batch = to_device(made, world.device) if world.device.type != "cpu" else made
            figures = self._step(batch, step)
            done = step + 1
            seconds = float(getattr(batch, "seconds", 0.0))
            due = time.monotonic() - last_save > 60 * config.save_minutes
            report = self.report(figures, seconds, stop.requested, due)
            reporter.step(done, report.figures, report.seconds)
            if done % config.evaluate_every == 0 or done == config.steps:
                reporter.evaluation(done, self._held_out(self.task.evaluate))
            if _falls_on(done, config.samples_every) and hasattr(self.task, "samples"):
                reporter.samples(done, self._held_out(self.task.samples))
            wanted |= report.due or report.stop
            wanted |= done % config.save_every == 0 or done == config.steps
            if wanted and done % config.accumulate == 0:
                self.snapshot.save(config.out, done, config.keep)
                wanted, last_save = False, time.monotonic()
                if report.stop and done < config.steps:
                    if world.main:
                        log.warning("stopped at step %d; run again to go on", done)
                    return

    def _place_modules(
        self,
    ) -> tuple[dict[str, Player], WeightAverage | None, torch.amp.GradScaler]:
        """Modules on the device, equal on all processes, and what trains them."""
        config, task, world = self.config, self.task, self.world
        modules = task.modules
        for module in modules.values():
            module.to(world.device)
        share_weights(modules.values(), world)
        if config.checkpoint_activations:
            checkpoint_activations(modules.values())
        if config.compile:
            section = CompileSection() if config.compile is True else config.compile
            parts = compile_layers(modules.values(), section, world.device)
            log.info("compile: %d parts", parts)
        if config.sharding == "full":
            shard(modules, world, self.precision)
        scaler = gradient_scaler(self.precision, world.device)
        players = {
            name: Player(
                {member: modules[member] for member in members},
                config.optimizers[name],
                config.steps // config.accumulate,
                world,
                scaler,
            )
            for name, members in task.players.items()
        }
        average = WeightAverage(modules, config.average) if config.average else None
        return players, average, scaler

    def _step(self, batch: Any, step: int) -> dict[str, float]:
        """Losses, gradients and, at the end of an accumulation window, optimizer steps."""
        config = self.config
        closes = (step + 1) % config.accumulate == 0
        number = step // config.accumulate
        reduce_at(self.task.modules.values(), closes)
        cast = partial(autocast, self.precision, self.world.device)
        figures: dict[str, float] = {}
        stepped = set()
        for name, loss, found in _within(self.task.losses(batch, step), cast):
            player = self.players[name]
            figures |= found
            figures[f"{name}/loss"] = loss.item()
            self.scaler.scale(loss / config.accumulate).backward()
            if closes:
                stepped.add(name)
                figures |= _step_figures(name, player, number)
        if not closes:
            return figures
        for name, player in self.players.items():
            # One that had its turn earlier in this window only.
            if name not in stepped and self.world.any(player.has_gradients()):
                stepped.add(name)
                figures |= _step_figures(name, player, number)
        if stepped:
            self.scaler.update()
        if self.average is not None:
            self.average.update()
        return figures

    def _held_out(self, call: Callable[[], Any]) -> Any:
        """Call a task on held-out data, with the averaged weights if there are any."""
        applied = nullcontext() if self.average is None else self.average.applied()
        with applied, autocast(self.precision, self.world.device):
            return call()

    def _describe_run(self) -> None:
        run = self.config.out
        run.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(self.config.model_dump(mode="json"))
        write_bytes(run / "config.yaml", text.encode())
        environment = describe_environment(self.world, self.precision)
        write_bytes(run / "environment.json", json.dumps(environment, indent=1).encode())


class _StopRequest:
    """Turns SIGTERM and SIGINT into a flag that the loop reads between steps."""

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> _StopRequest:
        self._before = {
            number: signal.signal(number, self._set) for number in (signal.SIGTERM, signal.SIGINT)
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _set(self, number: int, frame: Any) -> None:
        self.requested = True


def _step_figures(name: str, player: Player, number: int) -> dict[str, float]:
    norm = player.step(number)
    return {f"{name}/norm": norm, f"rate/{name}": player.rate}


def _within(
    turns: Iterator[Any], context: Callable[[], AbstractContextManager[Any]]
) -> Iterator[Any]:
    """The items of `turns`, each made within `context`, which is left while they are used."""
    while True:
        with context():
            turn = next(turns, None)
        if turn is None:
            return
        yield turn


def _falls_on(done: int, every: int) -> bool:
    return every > 0 and done % every == 0
