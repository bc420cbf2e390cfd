"""Clips from manifests, joined into sequences and batches; all a function of seed and step."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile

from unisono.audio import Audio
from unisono.data.manifest import ManifestItem, read_manifest
from unisono.errors import DataError

SILENCE_SECONDS = 0.15
"""Pause between two clips of one sequence (ours)."""


class ClipSet:
    """Items of one or more manifests, read as 16 kHz mono on demand.

    Args:
        manifests: JSONL files; paths inside are relative to each file's folder.
        kinds: which of speech, music, sound to keep.
        weights: share of a source's clips to use; 0 leaves a source out, 2 repeats it.
        rate: sample rate in Hz of what `read` returns.
        split: train, valid or eval; training code never asks for eval.
        required: whether having no such clip is an error.
    """

    def __init__(
        self,
        manifests: Sequence[str | Path],
        kinds: Sequence[str] = ("speech",),
        weights: Mapping[str, float] | None = None,
        rate: int = 16_000,
        split: str = "train",
        required: bool = True,
    ) -> None:
        self.rate = rate
        self.items: list[ManifestItem] = []
        self.folders: list[Path] = []
        for manifest in map(Path, manifests):
            for item in read_manifest(manifest):
                if item.kind not in kinds or item.split != split:
                    continue
                for _ in range(_copies(item, weights or {})):
                    self.items.append(item)
                    self.folders.append(manifest.parent)
        if required and not self.items:
            names = ", ".join(map(str, manifests))
            raise DataError(f"{names}: no {split} clip of kind {list(kinds)}; name other manifests")

    def __len__(self) -> int:
        return len(self.items)

    def seconds(self) -> float:
        """Length of all clips together."""
        return sum(item.duration for item in self.items)

    def read(self, index: int, offset: float = 0.0, duration: float | None = None) -> np.ndarray:
        """Samples of one clip, or of `duration` seconds from `offset`: float32 `[n]`."""
        item, folder = self.items[index], self.folders[index]
        path = folder / item.path
        length = item.duration if duration is None else duration
        try:
            with soundfile.SoundFile(path) as file:
                file.seek(min(round((item.start + offset) * file.samplerate), file.frames))
                samples = file.read(
                    round(length * file.samplerate), dtype="float32", always_2d=True
                )
                rate = file.samplerate
        except (soundfile.LibsndfileError, OSError) as error:
            raise DataError(f"{path}: cannot be read ({error}); run the corpus recipe") from error
        if rate == self.rate:
            return samples.mean(axis=1)
        return Audio(samples.T, rate).mono().resample(self.rate).samples[0]


def plan_sequences(
    items: Sequence[ManifestItem],
    seconds: tuple[float, float],
    seed: int,
    key: Callable[[ManifestItem], str] = lambda item: item.speaker or item.source,
) -> list[list[int]]:
    """Put short clips together: lists of indices whose sum lies near a random target length.

    Clips of one sequence share `key` (a speaker, unless said); targets are uniform in
    `seconds`. A clip longer than its target stands alone.
    """
    rng = np.random.default_rng(seed)
    groups: dict[str, list[int]] = {}
    for index, item in enumerate(items):
        groups.setdefault(key(item), []).append(index)
    sequences: list[list[int]] = []
    for name in sorted(groups):
        current: list[int] = []
        total, target = 0.0, rng.uniform(*seconds)
        for index in rng.permutation(groups[name]):
            duration = items[index].duration + SILENCE_SECONDS
            if current and total + duration > target:
                sequences.append(current)
                current, total, target = [], 0.0, rng.uniform(*seconds)
            current.append(int(index))
            total += duration
        if current:
            sequences.append(current)
    return sequences


def read_sequence(clips: ClipSet, sequence: Sequence[int]) -> np.ndarray:
    """The clips of one sequence with a short pause between them: float32 `[n]`."""
    pause = np.zeros(round(SILENCE_SECONDS * clips.rate), np.float32)
    parts: list[np.ndarray] = []
    for index in sequence:
        if parts:
            parts.append(pause)
        parts.append(clips.read(index))
    return np.concatenate(parts)


class BatchPlan:
    """Which sequences each step sees: seeded shuffles, batches of about equal duration.

    Args:
        durations: seconds of each sequence.
        batch_seconds: most padded seconds in a batch (one longer sequence stands alone).
        seed: decides everything; `plan(step)` depends on nothing else.
    """

    def __init__(self, durations: Sequence[float], batch_seconds: float, seed: int) -> None:
        self.durations = np.asarray(durations)
        self.batch_seconds = batch_seconds
        self.seed = seed
        self._epoch = -1
        self._first = 0
        self._batches: list[list[int]] = []

    def __call__(self, step: int) -> list[int]:
        """Indices of the sequences of this step's batch."""
        if step < self._first:
            self._epoch, self._first, self._batches = -1, 0, []
        while step - self._first >= len(self._batches):
            self._first += len(self._batches)
            self._epoch += 1
            self._batches = self._shuffle(self._epoch)
        return self._batches[step - self._first]

    def _shuffle(self, epoch: int) -> list[list[int]]:
        """Batches of one epoch: near-equal lengths together, order of batches random."""
        rng = np.random.default_rng((self.seed, epoch))
        noisy = self.durations * rng.uniform(0.8, 1.25, len(self.durations))
        batches: list[list[int]] = []
        current: list[int] = []
        longest = 0.0
        for index in np.argsort(noisy, kind="stable"):
            longest_then = max(longest, float(self.durations[index]))
            if current and longest_then * (len(current) + 1) > self.batch_seconds:
                batches.append(current)
                current, longest_then = [], float(self.durations[index])
            current.append(int(index))
            longest = longest_then
        if current:
            batches.append(current)
        return [batches[i] for i in rng.permutation(len(batches))]


def _copies(item: ManifestItem, weights: Mapping[str, float]) -> int:
    """How often an item enters, by its source's weight; a fraction keeps a fixed subset."""
    weight = weights.get(item.source, 1.0)
    whole = int(weight)
    share = zlib.crc32(f"{item.path}@{item.start}".encode()) / 2**32
    return whole + (share < weight - whole)
