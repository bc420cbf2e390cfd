"""What a run folder notes of the machine and the code that trained it."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from unisono import __version__
from unisono.training.world import World

_PACKAGES = ("accelerate", "transformers", "numpy")


def describe_environment(world: World, precision: str) -> dict[str, Any]:
    """Versions, processes, device, and the git revision of unisono's own source, if it has one."""
    found = {name: _version(name) for name in _PACKAGES}
    cuda = world.device.type == "cuda"
    return {
        "unisono": __version__,
        "git": git_revision(Path(__file__).parent),
        "torch": torch.__version__,
        **{name: version for name, version in found.items() if version},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": torch.cuda.get_device_name(world.device) if cuda else world.device.type,
        "processes": world.size,
        "precision": precision,
    }


def git_revision(folder: Path) -> str:
    """Revision of the repository that tracks `folder`, `-dirty` with changes; else empty."""
    # A folder that git ignores (an environment inside a repository) is not that repository's code.
    if not _git(folder, "ls-files", "--error-unmatch", "."):
        return ""
    return _git(folder, "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*")


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False
        )
    except OSError:  # no git
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
