"""Songs of games: cuts from several places of each song."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile

from recipes.corpus.clip import Clip
from recipes.corpus.table import PACKAGES
from recipes.packages import Packages
from unisono.errors import DataError

CUT = 25.0  # seconds; two cuts a song make some 80 minutes of the three training packages
_SHORT = 5.0  # jingles and fanfares below this are not music enough
_LICENCES = dict.fromkeys(("ingame_24", "ingame_25", "ingame_26"), "CC-BY-SA-3.0")  # Widelands


def songs(packages: Packages, package: str, folder: str, cuts: int = 2) -> Iterator[Clip]:
    """Cuts of 25 s from each song below `folder` of a package; those of one song share a key."""
    root = packages.tree(PACKAGES[package]) / folder
    paths = sorted(path for path in root.rglob("*") if path.suffix in (".ogg", ".flac", ".wav"))
    for path in paths:
        key = path.relative_to(root).with_suffix("").as_posix()
        for samples, rate in read_cuts(path, cuts):
            licence = _LICENCES.get(key, "")
            yield Clip(key, samples, rate, label="music", licence=licence)


def read_cuts(path: Path, cuts: int, length: float = CUT) -> Iterator[tuple[np.ndarray, int]]:
    """Mono float32 cuts `[n]` of a song with their rate; nothing of a song below 5 s."""
    try:
        with soundfile.SoundFile(path) as file:
            rate = file.samplerate
            for begin, end in places(file.frames / rate, cuts, length):
                file.seek(round(begin * rate))
                part = file.read(round((end - begin) * rate), dtype="float32", always_2d=True)
                yield part.mean(axis=1), rate
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise DataError(f"cannot decode {path}: {error}") from error


def places(duration: float, cuts: int, length: float = CUT) -> Sequence[tuple[float, float]]:
    """Begin and end in seconds of `cuts` stretches, evenly spread without overlap.

    A song too short for all of them gives fewer, one shorter than `length` is taken whole, and
    one below 5 s not at all.
    """
    if duration < _SHORT:
        return []
    if duration <= length:
        return [(0.0, duration)]
    count = max(1, min(cuts, int(duration // length)))
    gap = (duration - count * length) / (count + 1)
    begins = [gap + index * (length + gap) for index in range(count)]
    return [(begin, begin + length) for begin in begins]
