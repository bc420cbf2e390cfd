"""JSONL manifests as a source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unisono.data.decode import read_mono
from unisono.data.manifest import read_manifest
from unisono.data.sources.base import SourceOptions, make_item


class ManifestSource:
    """Clips that a manifest lists; what its lines say stands, options fill what they leave out."""

    def __init__(self, path: Path, options: SourceOptions) -> None:
        self.folder = path.parent
        self.items = read_manifest(path)
        self.failures: Mapping[str, str] = {}
        # Without options the lines stand as they are, unread again.
        if options.model_copy(update={"weight": 1, "index": None}) != SourceOptions():
            said = [item.model_dump(exclude_unset=True) for item in self.items]
            for number, (item, fields) in enumerate(zip(self.items, said, strict=True)):
                start = fields.pop("start", 0.0)
                made = make_item(f"{item.path}@{start}", item.duration, fields, options, "")
                self.items[number] = made.model_copy(update={"path": item.path, "start": start})

    def read(self, index: int, offset: float, duration: float, rate: int) -> NDArray[np.float32]:
        """See `Source.read`."""
        item = self.items[index]
        return read_mono(
            self.folder / item.path, self.where(index), item.start + offset, duration, rate
        )

    def where(self, index: int) -> str:
        """The audio file's path."""
        return str(self.folder / self.items[index].path)
