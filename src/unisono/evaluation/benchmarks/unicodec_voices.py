"""Voices of a manifest: recordings to convert, recordings to sound like, and one long recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unisono.audio import Audio
from unisono.data.manifest import ManifestItem
from unisono.evaluation.benchmarks.clips import Clip, Selection, read_clip, spread

RATE = 16_000
CLIP_SECONDS = (2.5, 15.0)
"""Of a clip to convert: long enough to hear a voice in, short enough for one recogniser window."""
REFERENCE_SECONDS = (4.0, 12.0)
"""Of a recording to sound like: voices with less are left out, more is not taken."""


@dataclass(frozen=True, eq=False)
class Voice:
    """A speaker: `sources` to convert, and `reference`, longer clips in a row, to sound like."""

    name: str
    sources: tuple[ManifestItem, ...]
    reference: Audio


@dataclass(frozen=True, eq=False)
class Pair:
    """`source` is to sound like `reference`, who is another speaker."""

    source: ManifestItem
    reference: Voice


def read_voices(
    manifest: Path, items: Sequence[ManifestItem], splits: Sequence[str], most: int = 12
) -> list[Voice]:
    """Voices of `splits` with enough to refer to, by name; at most `most` sources each."""
    low, high = CLIP_SECONDS
    found = []
    for name, own in by_speaker(items, splits).items():
        long = [item for item in own if low <= item.duration <= high]
        # The longest first: few joints, and what is left for the sources does not matter, since
        # nobody is converted into himself.
        parts = sorted((item for item in own if item.duration <= high), key=lambda i: -i.duration)
        reference = joined(manifest, parts, REFERENCE_SECONDS[1])
        if reference.duration >= REFERENCE_SECONDS[0]:
            found.append(Voice(name, tuple(spread(long, most)), reference))
    return found


def by_speaker(
    items: Sequence[ManifestItem], splits: Sequence[str]
) -> dict[str, list[ManifestItem]]:
    """Speech of named speakers, in a fixed order; voices made from others (`x*1.2`) left out."""
    found: dict[str, list[ManifestItem]] = {}
    for item in Selection(splits=tuple(splits), shortest=0.0, longest=1e9).among(items):
        if item.speaker and "*" not in item.speaker:
            found.setdefault(item.speaker, []).append(item)
    return dict(sorted(found.items()))


def pairs(voices: Sequence[Voice], count: int) -> list[Pair]:
    """At most `count` pairs, spread over all pairs of voices; a source's clips take turns."""
    both = [(one, other) for one in voices for other in voices if one is not other and one.sources]
    places = {id(voice): place for place, voice in enumerate(voices)}
    chosen = spread(both, count)
    made: list[Pair] = []
    for turn in range(max((len(one.sources) for one, _ in chosen), default=0)):
        for one, other in chosen:
            if turn < len(one.sources):
                # One turn's references get different clips of a source.
                clip = (turn + places[id(other)]) % len(one.sources)
                made.append(Pair(one.sources[clip], other))
    return made[:count]


def joined(manifest: Path, items: Sequence[ManifestItem], seconds: float) -> Audio:
    """Clips in a row at `RATE`, mono, cut after `seconds`; shorter if there is not so much."""
    waves, missing = [np.zeros((1, 0), np.float32)], round(seconds * RATE)
    for item in items:
        if missing <= 0:
            break
        wave = read_at_rate(manifest, item).audio.samples[:, :missing]
        waves.append(wave)
        missing -= wave.shape[1]
    samples = np.concatenate(waves, axis=1)
    # There is no audio without samples.
    return Audio(samples if samples.size else np.zeros((1, 1), np.float32), RATE)


def read_at_rate(manifest: Path, item: ManifestItem) -> Clip:
    """The clip, mono at `RATE`."""
    clip = read_clip(manifest, item)
    return Clip(clip.name, clip.audio.mono().resample(RATE), clip.language, clip.kind, clip.label)
