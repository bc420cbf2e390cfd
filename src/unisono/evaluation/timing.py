"""Timing by medians, and the matrix-multiply throughput that sets the floor."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch


def median_seconds(job: Callable[[], Any], repeats: int = 3, warmup: int = 1) -> float:
    """Median wall time of `job()` over `repeats` runs after `warmup` untimed ones."""
    for _ in range(warmup):
        job()
    return median(seconds(job) for _ in range(repeats))


def seconds(job: Callable[[], Any]) -> float:
    """Wall time of one `job()`."""
    began = time.perf_counter()
    job()
    return time.perf_counter() - began


class MatmulProbe:
    """Float32 matrix multiplication of `size` squared, the measure of this machine right now."""

    def __init__(self, size: int = 2048) -> None:
        self._a, self._b, self.size = torch.randn(size, size), torch.randn(size, size), size
        self.throughput()

    def throughput(self, repeats: int = 3) -> float:
        """FLOP/s, median of `repeats` products."""
        with torch.inference_mode():
            return 2 * self.size**3 / median_seconds(lambda: self._a @ self._b, repeats, 0)
