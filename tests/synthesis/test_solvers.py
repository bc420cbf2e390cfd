"""Solvers on an equation with a known solution: x' = x · cos t, x(0) = 1, x(1) = exp(sin 1)."""

import math

import pytest
import torch

from unisono.errors import ConfigError
from unisono.synthesis.solvers import SOLVERS, evaluation_times, integrate, time_grid


def error(solver, steps, scheduler="cosine"):
    grid = time_grid(steps, scheduler)
    times, calls = evaluation_times(grid, solver), []

    def velocity(x, i):
        calls.append(i)
        return x * math.cos(times[i])

    end = integrate(torch.ones(1, dtype=torch.float64), velocity, grid, solver).item()
    assert calls == list(range(len(times)))
    return abs(end - math.exp(math.sin(1)))


@pytest.mark.parametrize("solver, order", [("euler", 1), ("midpoint", 2), ("heun", 2), ("ab2", 2)])
@pytest.mark.parametrize("scheduler", ["cosine", "linear"])
def test_order(solver, order, scheduler):
    ratio = error(solver, 200, scheduler) / error(solver, 400, scheduler)
    assert 0.8 * 2**order < ratio < 1.25 * 2**order


def test_grid():
    grid = time_grid(10)
    assert grid[0] == 0 and abs(grid[-1] - 1) < 1e-12 and sorted(grid) == grid
    assert abs(grid[5] - (1 - math.cos(math.pi / 4))) < 1e-12
    assert [len(evaluation_times(grid, s)) for s in SOLVERS] == [10, 20, 20, 10]
    with pytest.raises(ConfigError, match="scheduler 'x'"):
        time_grid(3, "x")
