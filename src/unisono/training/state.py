"""Run folders and checkpoints: written whole or not at all, verified when read."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from unisono.errors import DataError

_PREFIX = "step-"


def save_checkpoint(run: Path, step: int, state: dict[str, Any], keep: int) -> Path:
    """Write `state` as `run/checkpoints/step-N`, then drop all but the newest `keep`.

    The folder is filled under a temporary name and renamed last, and a SHA-256 of its
    content lies beside it, so that a torn checkpoint is never taken for a whole one.
    """
    folder = run / "checkpoints"
    target = folder / f"{_PREFIX}{step:08d}"
    temporary = folder / f".{target.name}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    torch.save(state, temporary / "state.pt")
    digest = hashlib.sha256((temporary / "state.pt").read_bytes()).hexdigest()
    (temporary / "meta.json").write_text(json.dumps({"step": step, "sha256": digest}))
    if target.exists():
        shutil.rmtree(target)
    temporary.rename(target)
    for old in sorted(folder.glob(f"{_PREFIX}*"))[:-keep]:
        shutil.rmtree(old)
    return target


def load_checkpoint(run: Path) -> dict[str, Any] | None:
    """The newest whole checkpoint of a run, or None; torn ones are passed over."""
    for folder in sorted((run / "checkpoints").glob(f"{_PREFIX}*"), reverse=True):
        state = read_checkpoint(folder)
        if state is not None:
            return state
    return None


def read_checkpoint(folder: Path) -> dict[str, Any] | None:
    """One checkpoint folder's state, or None when it is torn."""
    try:
        digest = json.loads((folder / "meta.json").read_text())["sha256"]
        if hashlib.sha256((folder / "state.pt").read_bytes()).hexdigest() != digest:
            return None
    except (OSError, ValueError, KeyError):
        return None
    return torch.load(folder / "state.pt", map_location="cpu", weights_only=True)


def module_weights(run: Path) -> dict[str, dict[str, torch.Tensor]]:
    """Weights of every module of a run's newest checkpoint: `{module: state dict}`.

    Raises:
        DataError: the run has no whole checkpoint.
    """
    state = load_checkpoint(run)
    if state is None:
        raise DataError(f"{run}: no whole checkpoint; train this stage first")
    return state["modules"]


def rng_state() -> dict[str, Any]:
    """State of Python's, numpy's and torch's generators (and CUDA's, when there)."""
    version, keys, position, has_gauss, cached = cast(tuple, np.random.get_state(legacy=True))
    python_version, python_keys, python_gauss = random.getstate()
    return {
        "python": [python_version, list(python_keys), python_gauss],
        "numpy": [version, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_rng(state: dict[str, Any]) -> None:
    """Put back what `rng_state` read."""
    version, keys, gauss = state["python"]
    random.setstate((version, tuple(keys), gauss))
    name, numpy_keys, position, has_gauss, cached = state["numpy"]
    numpy_keys = numpy_keys.numpy().astype(np.uint32)
    np.random.set_state((name, numpy_keys, position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
