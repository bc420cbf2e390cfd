"""Which clips a quality benchmark scores: a fixed, evenly spread choice from a manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile

from unisono.audio import Audio
from unisono.data.manifest import Kind, ManifestItem, audio_path, read_manifest
from unisono.errors import DataError

T = TypeVar("T")

RECIPE = "python -m recipes.corpus --out {folder}"


@dataclass(frozen=True, eq=False)
class Clip:
    """One recording to score; `name` is unique in a run, `language` and `label` may be empty."""

    name: str
    audio: Audio
    language: str = ""
    kind: Kind = "speech"
    label: str = ""


@dataclass(frozen=True)
class Selection:
    """Which items of a manifest may be chosen; an empty tuple of names means all.

    Lengths in seconds. 30 s is Whisper's window: beyond it the recogniser's own stitching is what
    gets measured.
    """

    kind: Kind = "speech"
    splits: tuple[str, ...] = ("eval",)
    sources: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    shortest: float = 2.5
    longest: float = 30.0

    def among(self, items: Sequence[ManifestItem]) -> list[ManifestItem]:
        """The items that fit, in a fixed order."""
        fitting = [
            item
            for item in items
            if item.kind == self.kind
            and self.shortest <= item.duration <= self.longest
            and item.split in self.splits
            and (not self.sources or item.source in self.sources)
            and (not self.languages or item.language in self.languages)
        ]
        return sorted(fitting, key=lambda item: (item.source, item.path, item.start))

    def __str__(self) -> str:
        return (
            f"{self.kind} clips of {self.shortest:g} to {self.longest:g} s in splits "
            f"{list(self.splits)}, sources {list(self.sources) or 'all'} and languages "
            f"{list(self.languages) or 'all'}"
        )


def read_items(manifest: Path) -> list[ManifestItem]:
    """The whole manifest; `DataError` names the recipe when it or its audio is missing."""
    if not manifest.is_file():
        recipe = RECIPE.format(folder=manifest.parent)
        raise DataError(f"There is no manifest {manifest}; build the corpus with `{recipe}`.")
    return read_manifest(manifest, check_files=True)


def choose(manifest: Path, count: int, selection: Selection | None = None) -> list[ManifestItem]:
    """Exactly `count` items, evenly spread over those that fit; `DataError` if there are fewer."""
    selection = selection or Selection()
    items = selection.among(read_items(manifest))
    if len(items) < count:
        recipe = RECIPE.format(folder=manifest.parent)
        raise DataError(
            f"{manifest} has {len(items)} {selection}, not {count}; choose others or rebuild with "
            f"`{recipe}`."
        )
    return spread(items, count)


def spread(items: Sequence[T], count: int) -> list[T]:
    """`count` of `items`, or all if there are fewer, evenly spread over their order."""
    count = min(count, len(items))
    return [items[(2 * i + 1) * len(items) // (2 * count)] for i in range(count)]


def labelled_sounds(
    items: Sequence[ManifestItem], splits: Sequence[str] = ("eval",), smallest: int = 5
) -> list[ManifestItem]:
    """Sounds with a class name, of the classes that have `smallest` clips or more."""
    sounds = Selection("sound", tuple(splits), shortest=0.0).among(items)
    sizes = Counter(item.label for item in sounds)
    return [item for item in sounds if item.label and sizes[item.label] >= smallest]


def read_clip(manifest: Path, item: ManifestItem) -> Clip:
    """Read the stretch of audio that `item` names, mono at the file's rate."""
    path = audio_path(manifest, item)
    try:
        with soundfile.SoundFile(path) as file:
            rate = file.samplerate
            file.seek(round(item.start * rate))
            frames = file.read(round(item.duration * rate), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        recipe = RECIPE.format(folder=manifest.parent)
        raise DataError(f"{path} cannot be read ({error}); rebuild it with `{recipe}`.") from error
    audio = Audio(np.ascontiguousarray(frames.T), rate).mono()
    voice = item.speaker or path.stem
    name = f"{item.source}-{voice}-{item.start:09.3f}"
    return Clip(name, audio, item.language, item.kind, item.label)
