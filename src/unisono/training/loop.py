"""The one training loop. A task brings modules, batches and losses; the loop does the rest."""

from __future__ import annotations

import json
import logging
import platform
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import torch
import yaml
from torch import Tensor, nn

from unisono import __version__
from unisono.errors import ConfigError, require_extra
from unisono.training.config import OptimizerSection, TrainConfig
from unisono.training.schedules import warmup_cosine
from unisono.training.state import load_checkpoint, restore_rng, rng_state, save_checkpoint

log = logging.getLogger(__name__)


class Task(Protocol):
    """What a training stage brings to the loop (ours)."""

    modules: Mapping[str, nn.Module]
    """All modules with state; checkpoints save every one of them."""

    players: Mapping[str, tuple[str, ...]]
    """Names of the modules that each optimizer trains, e.g. generator and discriminator."""

    def batch(self, step: int) -> Any:
        """The batch of this step: a pure function of the config and the step."""

    def losses(self, batch: Any, step: int) -> Iterator[tuple[str, Tensor, dict[str, float]]]:
        """Yield (player, loss, figures); the loop takes that player's step at each yield."""

    def evaluate(self) -> dict[str, float]:
        """Figures on held-out data."""

    def extra_state(self) -> dict[str, Any]:
        """Anything besides modules that a resumed run needs."""

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Take back what `extra_state` gave."""


def train(config: TrainConfig, task: Task) -> Path:
    """Run a stage to `config.steps`, resuming from its newest whole checkpoint.

    A run folder holds `config.yaml`, `environment.json`, `metrics.jsonl` and
    `checkpoints/`. SIGTERM and SIGINT save a checkpoint and stop. Batches are a function of
    the step and every generator is saved, so a killed run continues with the same numbers.

    Returns:
        The run folder.

    Raises:
        ConfigError: an optimizer is missing for a player or named for none.
    """
    if set(config.optimizers) != set(task.players):
        raise ConfigError(
            f"task {config.task} needs optimizers {sorted(task.players)}, "
            f"the config has {sorted(config.optimizers)}"
        )
    accelerate = require_extra("accelerate", "train")
    accelerator = accelerate.Accelerator(
        cpu=config.device == "cpu",
        mixed_precision=config.precision,
    )
    accelerate.utils.set_seed(config.seed)
    run = config.out
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    (run / "environment.json").write_text(json.dumps(_environment(), indent=1))
    for name in task.modules:
        task.modules[name].to(accelerator.device)
    optimizers = {
        player: _optimizer(task, player, config.optimizers[player]) for player in task.players
    }
    start = _resume(run, task, optimizers)
    stop = _StopRequest()
    last_save = time.monotonic()
    with (
        (run / "metrics.jsonl").open("a", encoding="utf-8") as metrics,
        ThreadPoolExecutor(1) as reader,
    ):
        upcoming = reader.submit(task.batch, start)
        window: dict[str, list[float]] = {}
        clock = time.monotonic()
        for step in range(start, config.steps):
            batch = upcoming.result()
            upcoming = reader.submit(task.batch, step + 1)
            for player, loss, figures in task.losses(batch, step):
                section = config.optimizers[player]
                norm = _take_step(accelerator, optimizers[player], loss, section, step, config)
                figures = {
                    **figures,
                    f"{player}/loss": loss.item(),
                    f"{player}/norm": norm,
                }
                for key, value in figures.items():
                    window.setdefault(key, []).append(value)
            done = step + 1
            if done % config.log_every == 0 or done == config.steps:
                line = {key: sum(values) / len(values) for key, values in window.items()}
                line["step_seconds"] = (time.monotonic() - clock) / config.log_every
                _write(metrics, done, line)
                window, clock = {}, time.monotonic()
            if done % config.evaluate_every == 0 or done == config.steps:
                _write(metrics, done, {f"valid/{k}": v for k, v in task.evaluate().items()})
            due = time.monotonic() - last_save > 60 * config.save_minutes
            if due or stop.requested or done % config.save_every == 0 or done == config.steps:
                _save(run, done, task, optimizers, config.keep)
                last_save = time.monotonic()
            if stop.requested:
                log.warning("stopped at step %d; run again to go on", done)
                break
        upcoming.cancel()
    stop.restore()
    return run


class _StopRequest:
    """Turns SIGTERM and SIGINT into a flag that the loop reads between steps."""

    def __init__(self) -> None:
        self.requested = False
        self._before = {
            number: signal.signal(number, self._set) for number in (signal.SIGTERM, signal.SIGINT)
        }

    def _set(self, number: int, frame: Any) -> None:
        self.requested = True

    def restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _optimizer(task: Task, player: str, section: OptimizerSection) -> torch.optim.Optimizer:
    groups: dict[float, list[nn.Parameter]] = {}
    for module in task.players[player]:
        for name, parameter in task.modules[module].named_parameters():
            if not parameter.requires_grad:
                continue
            keys = [key for key in section.rates if f"{module}.{name}".startswith(key)]
            rate = section.rates[max(keys, key=len)] if keys else section.lr
            groups.setdefault(rate, []).append(parameter)
    return torch.optim.AdamW(
        [{"params": parameters, "lr": rate, "base": rate} for rate, parameters in groups.items()],
        lr=section.lr,
        betas=section.betas,
        weight_decay=section.weight_decay,
    )


def _take_step(
    accelerator: Any,
    optimizer: torch.optim.Optimizer,
    loss: Tensor,
    section: OptimizerSection,
    step: int,
    config: TrainConfig,
) -> float:
    factor = warmup_cosine(
        step // config.accumulate, config.steps // config.accumulate, section.warmup, section.floor
    )
    accelerator.backward(loss / config.accumulate)
    if (step + 1) % config.accumulate:
        return 0.0
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    norm = torch.nn.utils.clip_grad_norm_(parameters, section.clip_norm)
    for group in optimizer.param_groups:
        group["lr"] = group["base"] * factor
    if torch.isfinite(norm):
        optimizer.step()
    else:
        log.warning("step %d: gradient is not finite, step left out", step)
    optimizer.zero_grad(set_to_none=True)
    return float(norm)


def _save(run: Path, step: int, task: Task, optimizers: Mapping[str, Any], keep: int) -> None:
    state = {
        "step": step,
        "modules": {name: module.state_dict() for name, module in task.modules.items()},
        "optimizers": {name: optimizer.state_dict() for name, optimizer in optimizers.items()},
        "task": task.extra_state(),
        "rng": rng_state(),
    }
    save_checkpoint(run, step, state, keep)


def _resume(run: Path, task: Task, optimizers: Mapping[str, Any]) -> int:
    state = load_checkpoint(run)
    if state is None:
        return 0
    for name, module in task.modules.items():
        module.load_state_dict(state["modules"][name])
    for name, optimizer in optimizers.items():
        optimizer.load_state_dict(state["optimizers"][name])
    task.load_extra_state(state["task"])
    restore_rng(state["rng"])
    return state["step"]


def _write(metrics: Any, step: int, line: dict[str, float]) -> None:
    metrics.write(json.dumps({"step": step, **{k: round(v, 6) for k, v in line.items()}}) + "\n")
    metrics.flush()
    log.info("step %d  %s", step, "  ".join(f"{k} {v:.4g}" for k, v in line.items()))


def _environment() -> dict[str, str]:
    revision = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return {
        "unisono": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "git": revision,
    }
