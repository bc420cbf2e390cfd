"""`unisono train`: run one training stage from a YAML config."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from unisono.cli.common import Quiet
from unisono.errors import ConfigError

if TYPE_CHECKING:
    from unisono.training.config import TrainConfig


def train(
    config: Annotated[
        Path | None, typer.Argument(help="YAML config, e.g. configs/debug-vocoder.yaml.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Argument(help="section.key=value, in place of the file's.")
    ] = None,
    stages: Annotated[bool, typer.Option("--list", help="List the training stages.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of torch.")] = None,
    sizes: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Print what each of N processes holds, and stop."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Train one stage; a run that was stopped goes on from its newest checkpoint."""
    from unisono.training.tasks import TASKS

    if stages:
        for name in sorted(TASKS):
            typer.echo(name)
        return
    if config is None:
        raise ConfigError("train needs a config; `unisono train --list` shows the stages")
    import torch

    from unisono.training.config import load_config
    from unisono.training.loop import train as run
    from unisono.training.parallel import close_world, open_world
    from unisono.training.tasks import build_task

    parsed = load_config(config, overrides or [])
    if sizes is not None:
        _print_sizes(parsed, sizes)
        return
    if threads is not None:
        torch.set_num_threads(threads)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    world = open_world(parsed.device)
    try:
        # One process speaks for all.
        level = logging.WARNING if quiet else logging.INFO
        logging.getLogger("unisono").setLevel(level if world.main else logging.ERROR)
        folder = run(parsed, build_task(parsed, world), world, terminal=not quiet)
        if world.main:
            typer.echo(str(folder))
    finally:
        close_world()


def _print_sizes(config: TrainConfig, processes: int) -> None:
    from unisono.training.sizes import stage_modules, stage_sizes

    sharded = config.sharding == "full" and processes > 1
    found = stage_sizes(stage_modules(config), processes, sharded)
    table = Table(
        "module", "parameters", "trained", "held by each", "GB of each",
        title=f"{config.task}, {processes} processes, sharding={config.sharding}",
    )  # fmt: skip
    for name, size in found.items():
        gigabytes = size.bytes(config.average is not None) / 1e9
        numbers = (size.parameters, size.trained, size.held)
        table.add_row(name, *(f"{n / 1e6:,.1f} M" for n in numbers), f"{gigabytes:.2f}")
    console = Console(width=100)
    console.print(table)
    console.print("GB: weights, gradients, AdamW and average in float32; activations come on top.")
