"""Peak memory of encoding a long file against a short one, each in a process of its own.

    python -m unisono.evaluation.benchmarks.memory MODEL FILE

loads MODEL, encodes FILE and writes the peak resident size in MB to standard output.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from unisono.errors import ModelError
from unisono.storage.audio_writer import write_blocks

RATE = 16_000
BOUND_MB = 300.0


def measure(model: str, quick: bool = False) -> dict[str, Any]:
    """Peak MB for one minute and one hour of noise (`quick`: 5 s and 1 minute)."""
    short, long = (5, 60) if quick else (60, 3600)
    with tempfile.TemporaryDirectory() as folder:
        peaks = {}
        for length in (short, long):
            path = Path(folder) / f"{length}.wav"
            write_blocks(path, _noise(length), RATE, length * RATE)
            peaks[length] = _peak(model, path)
    return {
        "peak_mb": {f"{length} s": peak for length, peak in peaks.items()},
        "difference_mb": peaks[long] - peaks[short],
        "bound_mb": BOUND_MB,
    }


def _peak(model: str, path: Path) -> float:
    command = [sys.executable, "-m", "unisono.evaluation.benchmarks.memory", model, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ModelError(f"Encoding {path.name} in a process of its own failed: {reason}")
    return float(done.stdout.strip().splitlines()[-1])


def _noise(length: int) -> Iterator[np.ndarray]:
    generator = np.random.default_rng(0)
    for _ in range(length):
        yield (0.1 * generator.standard_normal(RATE)).astype(np.float32)


def _main(model: str, path: str) -> None:
    import unisono

    tokens = unisono.load(model, decoder=False).encode(path)
    # Kilobytes on Linux, bytes on macOS.
    unit = 1e6 if sys.platform == "darwin" else 1e3
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    assert len(tokens) > 0
    sys.stdout.write(f"{peak}\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])
