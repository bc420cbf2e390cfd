"""Models that ship inside the package: one folder each, `NAME/{config.json,model.safetensors}`."""

from __future__ import annotations

from pathlib import Path

DEFAULT = "uniaudio-mini"


def embedded_models() -> dict[str, Path]:
    """Name to folder of every embedded model, sorted by name."""
    root = Path(__file__).parent
    return {
        folder.name: folder
        for folder in sorted(root.iterdir())
        if (folder / "config.json").is_file() and (folder / "model.safetensors").is_file()
    }
