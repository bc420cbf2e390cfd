"""What the training tests share: where the debug configs lie and how to point them at test data."""

from __future__ import annotations

from pathlib import Path

import torch

CONFIGS = Path(__file__).parents[2] / "configs"


def overrides(corpus, out, **more):
    """Overrides that point a debug config at the test corpus."""
    pairs = {"data.train": f"[{corpus}]", "out": out, "device": "cpu", **more}
    return [f"{key}={value}" for key, value in pairs.items()]


def same(a, b):
    """Whether two checkpoint states are equal bit by bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b
