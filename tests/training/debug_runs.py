"""What the training tests share: where the debug configs lie and how to point them at test data."""

from __future__ import annotations

from pathlib import Path

CONFIGS = Path(__file__).parents[2] / "configs"


def overrides(corpus, out, **more):
    """Overrides that point a debug config at the test corpus."""
    pairs = {"data.train": f"[{corpus}]", "out": out, "device": "cpu", **more}
    return [f"{key}={value}" for key, value in pairs.items()]
