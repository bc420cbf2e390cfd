"""Which clips a quality benchmark scores: a fixed, evenly spread choice from a manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from unisono.audio import Audio
from unisono.data.manifest import ManifestItem, audio_path, read_manifest
from unisono.errors import DataError

RECIPE = "python -m recipes.corpus --out {folder}"


@dataclass(frozen=True, eq=False)
class Clip:
    """One recording to score; `name` is unique in a run, `language` may be empty."""

    name: str
    audio: Audio
    language: str = ""


def choose(
    manifest: Path,
    count: int,
    splits: Sequence[str] = ("eval",),
    sources: Sequence[str] = (),
    languages: Sequence[str] = (),
    shortest: float = 2.5,
    longest: float = 30.0,
) -> list[ManifestItem]:
    """`count` speech items of `shortest` to `longest` seconds, evenly spread over the sorted ones.

    30 s is Whisper's window: beyond it the recogniser's own stitching is what gets measured.
    Empty `sources` or `languages` mean all. `DataError` names the recipe when data is missing.
    """
    recipe = RECIPE.format(folder=manifest.parent)
    if not manifest.is_file():
        raise DataError(f"There is no manifest {manifest}; build the corpus with `{recipe}`.")
    items = [
        item
        for item in read_manifest(manifest, check_files=True)
        if item.kind == "speech"
        and shortest <= item.duration <= longest
        and item.split in splits
        and (not sources or item.source in sources)
        and (not languages or item.language in languages)
    ]
    if len(items) < count:
        raise DataError(
            f"{manifest} has {len(items)} speech clips of {shortest:g} to {longest:g} s in splits "
            f"{list(splits)}, sources {list(sources) or 'all'} and languages "
            f"{list(languages) or 'all'}, not {count}; choose others or rebuild with `{recipe}`."
        )
    items.sort(key=lambda item: (item.source, item.path, item.start))
    return [items[(2 * i + 1) * len(items) // (2 * count)] for i in range(count)]


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
    return Clip(f"{item.source}-{item.speaker}-{item.start:09.3f}", audio, item.language)
