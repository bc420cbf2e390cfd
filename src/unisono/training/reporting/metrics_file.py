"""`metrics.jsonl`: one JSON object a line, `{"step": n, "figure": value, …}`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from unisono.storage.atomic import write_bytes


class MetricsFile:
    """Appends lines to `path`; lines of steps after `start`, and torn ones, are dropped first.

    A run that was killed after step 180 and resumes from its checkpoint of step 100 reports the
    steps between again: without the cut they would be in the file twice.
    """

    def __init__(self, path: Path, start: int = 0) -> None:
        if path.exists():
            _cut(path, start)
        self._file = path.open("a", encoding="utf-8")

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Append one line; a figure that is not finite becomes null."""
        line = {"step": step, **{key: _plain(value) for key, value in figures.items()}}
        self._file.write(json.dumps(line, allow_nan=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()


def _cut(path: Path, start: int) -> None:
    lines = path.read_bytes().splitlines()
    kept = [line for line in lines if 0 <= _step(line) <= start]
    text = b"".join(line + b"\n" for line in kept)
    if text != path.read_bytes():
        write_bytes(path, text)


def _step(line: bytes) -> int:
    """The step of a line; -1 where it is no whole line of metrics."""
    try:
        step = json.loads(line)["step"]
    except (ValueError, KeyError, TypeError):
        return -1
    return step if isinstance(step, int) else -1


def _plain(value: float) -> float | None:
    """Six decimals, or six digits where the value is small; None for NaN and infinity."""
    value = float(value)
    if not math.isfinite(value):
        return None
    return round(value, 6) if abs(value) >= 1e-3 else float(f"{value:.6g}")
