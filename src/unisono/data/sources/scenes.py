"""Composed scenes as a source: nothing is stored but their labels, the sound is made when read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from unisono.data.sources.base import SourceOptions, make_item
from unisono.data.sources.index import Index, index_path, kept_index
from unisono.sap.compose import SceneSet
from unisono.sap.parquet import recipe
from unisono.sap.scene_config import load_scene_config


class ScenesSource:
    """The scenes 0 to `size` - 1 of a scene config, with the seed of the options (ours).

    The first opening composes each scene once, for its length and label, and keeps an index
    beside the config; about 14 ms a scene on one core.
    """

    def __init__(self, path: Path, options: SourceOptions) -> None:
        self.path = path
        self.scenes = SceneSet(load_scene_config(path), options.seed)
        self.failures: Mapping[str, str] = {}
        split = self.scenes.config.split
        index = kept_index(
            index_path(path.with_name(f"{path.name}-{options.seed}"), options.index),
            [recipe(self.scenes), len(self.scenes)],
            self._index,
        )
        self.items = [
            make_item(
                f"{path.name}#{number}",
                row["duration"],
                {"split": split, "source": path.stem, **row},
                options,
                path.stem,
            )
            for number, row in enumerate(index.rows)
        ]

    def read(self, index: int, offset: float, duration: float, rate: int) -> NDArray[np.float32]:
        """See `Source.read`."""
        scene = self.scenes[index]
        begin = round(offset * scene.rate)
        wave = scene.samples[begin : begin + round(duration * scene.rate)]
        if rate != scene.rate:
            wave = soxr.resample(wave, scene.rate, rate, quality="HQ")
        return np.asarray(wave, np.float32)

    def where(self, index: int) -> str:
        """The config and the scene's number."""
        return f"{self.path}#{index}"

    def _index(self) -> Index:
        return Index([self._row(number) for number in range(len(self.scenes))])

    def _row(self, number: int) -> dict[str, Any]:
        scene = self.scenes[number]
        return {
            "duration": scene.seconds,
            "sap": scene.sap.canonical(),
            "kind": scene.kind,
            "language": scene.language,
            "speaker": scene.speaker,
            "phonemes": scene.phonemes,
        }
