"""Ordinary differential equation solvers for flow matching, from noise (t = 0) to data (t = 1)."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from unisono.errors import ConfigError

Velocity = Callable[[Tensor, int], Tensor]
SOLVERS = ("euler", "midpoint", "heun", "ab2")


def time_grid(steps: int, scheduler: str = "cosine", start: float = 0.0) -> list[float]:
    """`steps + 1` times from `start` to 1: t_k = 1 − cos(k/N · π/2), or evenly spaced ("linear").

    With a `start` above 0 (ours) the same spacing is squeezed into what is left.
    """
    if steps < 1:
        raise ConfigError(f"The number of steps is {steps}; it must be at least 1.")
    if not 0 <= start < 1:
        raise ConfigError(f"start is {start}; it must be at least 0 and below 1.")
    if scheduler == "cosine":
        grid = [1 - math.cos(k / steps * math.pi / 2) for k in range(steps + 1)]
        return [start + (1 - start) * t for t in grid]
    if scheduler == "linear":
        return [start + (1 - start) * k / steps for k in range(steps + 1)]
    raise ConfigError(f"Unknown time scheduler {scheduler!r}; use 'cosine' or 'linear'.")


def evaluation_times(grid: list[float], solver: str) -> list[float]:
    """Times at which `integrate` asks for velocities, in the order of its calls' indices."""
    if solver not in SOLVERS:
        raise ConfigError(f"Unknown solver {solver!r}; use one of {', '.join(SOLVERS)}.")
    if solver == "midpoint":
        return [t for a, b in pairwise(grid) for t in (a, (a + b) / 2)]
    if solver == "heun":
        return [t for pair in pairwise(grid) for t in pair]
    return grid[:-1]


def integrate(x: Tensor, velocity: Velocity, grid: list[float], solver: str) -> Tensor:
    """Carry `x` along `grid`; `velocity(x, i)` is evaluated at `evaluation_times(...)[i]`.

    "euler" and "ab2" (Adams–Bashforth of order two for uneven steps) take one evaluation a
    step, "midpoint" and "heun" two.
    """
    previous: tuple[Tensor, float] | None = None
    for k in range(len(grid) - 1):
        step = grid[k + 1] - grid[k]
        if solver == "midpoint":
            half = x + velocity(x, 2 * k) * (step / 2)
            x = x + velocity(half, 2 * k + 1) * step
        elif solver == "heun":
            v = velocity(x, 2 * k)
            x = x + (v + velocity(x + v * step, 2 * k + 1)) * (step / 2)
        else:
            v = velocity(x, k)
            slope = v
            if solver == "ab2" and previous is not None:
                before, width = previous
                slope = v + (v - before) * (step / (2 * width))
            previous = (v, step)
            x = torch.add(x, slope, alpha=step)
    return x
