"""Turn the clips of a source into audio files and a manifest."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from recipes.corpus.clip import RATE, SHORTEST, Clip, clean, hash_fraction
from recipes.corpus.phonemes import Phonemizer
from recipes.packages import Packages
from unisono.data.manifest import (
    Kind,
    ManifestItem,
    Split,
    read_manifest,
    rebase,
    write_manifest,
)
from unisono.errors import DataError

VALID_SHARE = 0.03
_GAP = np.zeros(RATE // 10, dtype=np.int16)  # so that a rounded cut never reaches the next clip


@dataclass(frozen=True)
class Source:
    """One source of clips.

    Attributes:
        name: name of the source, its manifest and its folder of audio.
        licence: licence of the audio.
        clips: gives the clips, reading the packages it needs.
        phase: sources of a lower phase are built first.
        kind: speech, music or sound.
        evaluation: True for sources that must never be trained on.
        shortest: clips below this many seconds are dropped.
    """

    name: str
    licence: str
    clips: Callable[[Packages], Iterable[Clip]]
    phase: int = 1
    kind: Kind = "speech"
    evaluation: bool = False
    shortest: float = SHORTEST


def build(source: Source, packages: Packages, out: Path) -> list[ManifestItem]:
    """Write `out/audio/NAME/*.wav` and `out/manifests/NAME.jsonl`; return the manifest's items.

    A source whose manifest exists already is left as it is.
    """
    manifest = out / "manifests" / f"{source.name}.jsonl"
    if manifest.exists():
        return read_manifest(manifest)
    phonemize = Phonemizer()
    items = []
    folder = out / "audio" / source.name
    folder.mkdir(parents=True, exist_ok=True)
    with _Voices(folder) as voices:
        for clip, samples in _cleaned(source.clips(packages), source.shortest):
            path, start = voices.append(clip, samples)
            items.append(
                ManifestItem(
                    path=f"../audio/{source.name}/{path.name}",
                    start=start / RATE,
                    duration=samples.size / RATE,
                    text=clip.text,
                    phonemes=phonemize(clip.text, clip.language),
                    language=clip.language,
                    speaker=clip.speaker,
                    kind=source.kind,
                    label=clip.label,
                    licence=clip.licence or source.licence,
                    source=source.name,
                    split=split_of(source, clip.key),
                )
            )
    if not items:
        raise DataError(f"source {source.name} gave no clips: its packages look different now")
    items.sort(key=lambda item: (item.path, item.start))
    write_manifest(manifest, items)
    return items


def join(sources: Iterable[Source], out: Path) -> list[ManifestItem]:
    """Join all manifests that exist into `out/train.jsonl`, `valid.jsonl` and `eval.jsonl`.

    Raises `DataError` when an evaluation source has an item in another split than eval.
    """
    sources = tuple(sources)
    items = existing(sources, out)
    check_splits(items, [source.name for source in sources if source.evaluation])
    for split in ("train", "valid", "eval"):
        write_manifest(out / f"{split}.jsonl", [item for item in items if item.split == split])
    return items


def existing(sources: Iterable[Source], out: Path) -> list[ManifestItem]:
    """The items of all manifests that exist, with paths relative to `out`."""
    items: list[ManifestItem] = []
    for source in sources:
        manifest = out / "manifests" / f"{source.name}.jsonl"
        if manifest.exists():
            items += rebase(read_manifest(manifest), manifest.parent, out)
    return items


def check_splits(items: Iterable[ManifestItem], evaluation: Iterable[str]) -> None:
    """Refuse items of an evaluation source outside the split eval, and the reverse."""
    names = set(evaluation)
    for item in items:
        if (item.source in names) != (item.split == "eval"):
            raise DataError(
                f"{item.path} at {item.start:.2f} s of source {item.source} is in the split "
                f"{item.split}: evaluation sources, and only they, belong to the split eval"
            )


def split_of(source: Source, key: str) -> Split:
    """The split of a clip: eval for evaluation sources, else 3 % valid by hash of its key."""
    if source.evaluation:
        return "eval"
    return "valid" if hash_fraction(f"{source.name}/{key}") < VALID_SHARE else "train"


def _cleaned(clips: Iterable[Clip], shortest: float) -> Iterator[tuple[Clip, np.ndarray]]:
    for clip in clips:
        samples = clean(clip.samples, clip.rate, shortest=shortest)
        if samples is not None:
            yield clip, samples


class _Voices:
    """One growing 16-bit WAV file a speaker and language; complete files appear at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[Path, soundfile.SoundFile] = {}

    def __enter__(self) -> _Voices:
        return self

    def append(self, clip: Clip, samples: np.ndarray) -> tuple[Path, int]:
        """Add a clip; returns the file it will be in and its first sample there."""
        name = re.sub(r"[^\w*.+-]+", "_", f"{clip.speaker or clip.label or 'all'}".split("*")[0])
        path = self._folder / f"{name}.wav"
        if path not in self._open:
            self._open[path] = soundfile.SoundFile(
                path.with_suffix(".part"), "w", RATE, 1, subtype="PCM_16", format="WAV"
            )
        file = self._open[path]
        start = file.frames
        file.write(np.round(samples * 32767).astype(np.int16))
        file.write(_GAP)
        return path, start

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        for path, file in self._open.items():
            file.close()
            part = path.with_suffix(".part")
            if kind is None:
                part.replace(path)
            else:
                part.unlink()
