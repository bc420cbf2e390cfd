"""Clips from manifests, joined into sequences and batches; all a function of seed and step."""

from __future__ import annotations

import logging
import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unisono.data.manifest import ManifestItem
from unisono.data.sources import Opener, Source
from unisono.errors import DataError, UnisonoError

log = logging.getLogger(__name__)

SILENCE_SECONDS = 0.15
"""Pause between two clips of one sequence (ours)."""


@dataclass(frozen=True)
class Clip:
    """What was read: the number of the item that it is, and its mono samples `[n]`, float32."""

    index: int
    samples: np.ndarray


class ClipSet:
    """Items of one or more sources, read as mono on demand; damaged ones are passed over.

    A clip that cannot be read gives way to another one of the set, chosen by its number alone,
    so that batches stay a function of seed and step. `failures` names each such clip once.

    Args:
        manifests: sources: JSONL manifests, Parquet, lists, WebDataset shards, Hugging Face
            sets, folders, each as `PATH?key=value…` (`unisono.data.sources`), or open `Source`s.
        kinds: which of speech, music, sound to keep.
        weights: share of a source's clips to use; 0 leaves a source out, 2 repeats it.
        rate: sample rate in Hz of what `read` returns.
        split: train, valid or eval; training code never asks for eval.
        required: whether having no such clip is an error.
        index: folder for index files of slow sources; None keeps them beside the data.

    Raises:
        DataError: a source that is not there, of no known form, or damaged as a whole.
    """

    def __init__(
        self,
        manifests: Sequence[str | Path | Source],
        kinds: Sequence[str] = ("speech",),
        weights: Mapping[str, float] | None = None,
        rate: int = 16_000,
        split: str = "train",
        required: bool = True,
        index: Path | None = None,
    ) -> None:
        self.rate = rate
        self.items: list[ManifestItem] = []
        self.failures: dict[str, str] = {}
        """Clips that could not be used: where → why."""
        self._sources: list[Source] = []
        # Source and number there of every item.
        self._places: list[tuple[int, int]] = []
        self._broken: set[tuple[int, int]] = set()
        for source, times in _each_source(manifests, index):
            self._sources.append(source)
            self.failures.update(source.failures)
            for number, item in enumerate(source.items):
                if item.kind not in kinds or item.split != split:
                    continue
                for _ in range(times * _copies(item, weights or {})):
                    self.items.append(item)
                    self._places.append((len(self._sources) - 1, number))
        self._distinct = len(set(self._places))
        if self.failures:
            first = next(iter(self.failures.values()))
            log.warning("%d clips left out, the first: %s", len(self.failures), first)
        if required and not self.items:
            names = ", ".join(map(str, manifests))
            also = f"; {len(self.failures)} failed, as {first}" if self.failures else ""
            raise DataError(
                f"{names}: no {split} clip of kind {list(kinds)}{also}; name other sources, or "
                "say what is in them as path?kind=…&split=…"
            )

    def __len__(self) -> int:
        return len(self.items)

    def seconds(self) -> float:
        """Length of all clips together."""
        return sum(item.duration for item in self.items)

    def read(self, index: int, offset: float = 0.0, duration: float | None = None) -> np.ndarray:
        """Samples of one clip, or of `duration` seconds from `offset`: float32 `[n]`."""
        return self.take(index, offset, duration).samples

    def take(self, index: int, offset: float = 0.0, duration: float | None = None) -> Clip:
        """Like `read`, with the number of the item that was really read, for its text.

        Raises:
            DataError: this clip and all that were tried in its place cannot be read, or more
                than half of the set cannot.
        """
        try:
            return Clip(index, self._samples(index, offset, duration))
        except (UnisonoError, OSError) as error:
            reason = error
            self._note(index, error)
        for other in replacements(index, len(self)):
            length = self.items[other].duration
            span = length if duration is None else min(duration, length)
            try:
                return Clip(other, self._samples(other, min(offset, length - span), span))
            except (UnisonoError, OSError) as error:
                self._note(other, error)
        raise DataError(f"no clip can be read, neither this one nor those tried instead: {reason}")

    def _samples(self, index: int, offset: float, duration: float | None) -> np.ndarray:
        source, number = self._places[index]
        length = self.items[index].duration if duration is None else duration
        return self._sources[source].read(number, offset, length, self.rate)

    def _note(self, index: int, error: Exception) -> None:
        """Name a clip that cannot be read, once; stop when most of the set is of that kind."""
        place = source, number = self._places[index]
        if place in self._broken:
            return
        self._broken.add(place)
        where = self._sources[source].where(number)
        self.failures[where] = str(error)
        log.warning("clip passed over: %s", error if where in str(error) else f"{where}: {error}")
        if 2 * len(self._broken) > self._distinct > 1:
            raise DataError(
                f"{len(self._broken)} of {self._distinct} clips cannot be read, the last: {error}; "
                "is the disk there, is the data whole?"
            ) from error


def replacements(index: int, size: int) -> Iterator[int]:
    """Items to try in place of one that cannot be read: at most 64, spread over the set (ours).

    A function of the two numbers alone. Neighbours are far apart because damage comes in runs.
    """
    stride = zlib.crc32(str(index).encode()) % size
    while math.gcd(stride, size) != 1:
        stride += 1
    for step in range(1, min(size, 65)):
        yield (index + step * stride) % size


def plan_sequences(
    items: Sequence[ManifestItem],
    seconds: tuple[float, float],
    seed: int,
    key: Callable[[ManifestItem], str] = lambda item: item.speaker or item.source + item.label,
) -> list[list[int]]:
    """Put short clips together: lists of indices whose sum lies near a random target length.

    Clips of one sequence share `key` (a speaker, or source and label, unless said); targets are
    uniform in `seconds`. A clip longer than its target stands alone, and so does one of which
    something is told as a whole (`sap`, `caption`).
    """
    rng = np.random.default_rng(seed)
    groups: dict[str, list[int]] = {}
    for index, item in enumerate(items):
        if not (item.sap or item.caption):
            groups.setdefault(key(item), []).append(index)
    sequences = [[index] for index, item in enumerate(items) if item.sap or item.caption]
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
    return take_sequence(clips, sequence)[0]


def take_sequence(clips: ClipSet, sequence: Sequence[int]) -> tuple[np.ndarray, list[int]]:
    """Like `read_sequence`, with the numbers of the items that were really read."""
    pause = np.zeros(round(SILENCE_SECONDS * clips.rate), np.float32)
    taken = [clips.take(index) for index in sequence]
    parts = [taken[0].samples]
    for clip in taken[1:]:
        parts += [pause, clip.samples]
    return np.concatenate(parts), [clip.index for clip in taken]


class BatchPlan:
    """Which sequences each step sees: seeded shuffles, batches of about equal duration.

    Args:
        durations: seconds of each sequence.
        batch_seconds: most padded seconds in a batch (one longer sequence stands alone).
        seed: decides everything; `plan(step)` depends on nothing else.
        most: sequences in a batch; None: as many as fit.
    """

    def __init__(
        self,
        durations: Sequence[float],
        batch_seconds: float,
        seed: int,
        most: int | None = None,
    ) -> None:
        self.durations = np.asarray(durations)
        self.batch_seconds = batch_seconds
        self.most = len(self.durations) if most is None else most
        self.seed = seed
        # Epoch, its first step and its batches: what was asked for last, replaced as a whole so
        # that threads may share a plan.
        self._last: tuple[int, int, list[list[int]]] = (-1, 0, [])

    def __call__(self, step: int) -> list[int]:
        """Indices of the sequences of this step's batch."""
        epoch, first, batches = self._last
        if step < first:
            epoch, first, batches = -1, 0, []
        while step - first >= len(batches):
            first += len(batches)
            epoch += 1
            batches = self._shuffle(epoch)
        self._last = epoch, first, batches
        return batches[step - first]

    def _shuffle(self, epoch: int) -> list[list[int]]:
        """Batches of one epoch: near-equal lengths together, order of batches random."""
        rng = np.random.default_rng((self.seed, epoch))
        noisy = self.durations * rng.uniform(0.8, 1.25, len(self.durations))
        batches: list[list[int]] = []
        current: list[int] = []
        longest = 0.0
        for index in np.argsort(noisy, kind="stable"):
            longest_then = max(longest, float(self.durations[index]))
            long = longest_then * (len(current) + 1) > self.batch_seconds
            if current and (long or len(current) >= self.most):
                batches.append(current)
                current, longest_then = [], float(self.durations[index])
            current.append(int(index))
            longest = longest_then
        if current:
            batches.append(current)
        return [batches[i] for i in rng.permutation(len(batches))]


def _each_source(
    manifests: Sequence[str | Path | Source], index: Path | None
) -> Iterator[tuple[Source, int]]:
    opener = Opener(index)
    for entry in manifests:
        if isinstance(entry, (str, Path)):
            yield from opener.open(entry)
        else:
            yield entry, 1


def _copies(item: ManifestItem, weights: Mapping[str, float]) -> int:
    """How often an item enters, by its source's weight; a fraction keeps a fixed subset."""
    weight = weights.get(item.source, 1.0)
    whole = int(weight)
    share = zlib.crc32(f"{item.path}@{item.start}".encode()) / 2**32
    return whole + (share < weight - whole)
