"""What each of UniCodec's streams tells of speaker, phones and pitch: the disentanglement matrix.

Speakers and phones are asked for within one language at a time. Otherwise whoever knows the
language, or a corpus with its own sound, knows much about both; in one language they have to be
told themselves.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisono.audio import Audio
from unisono.data.manifest import ManifestItem
from unisono.evaluation.benchmarks.clips import spread
from unisono.evaluation.benchmarks.unicodec_streams import STREAMS, Vectors
from unisono.evaluation.benchmarks.unicodec_voices import by_speaker
from unisono.evaluation.metrics import bootstrap
from unisono.evaluation.metrics.bootstrap import Estimate
from unisono.evaluation.metrics.f0 import PERIOD, RATE, f0_track
from unisono.evaluation.metrics.probes import (
    FOLDS,
    above_chance,
    class_probe,
    number_probe,
    presence_probe,
)
from unisono.tokenizer import AudioTokenizer

TASKS = {
    "speaker": "who speaks, among the speakers of one language: share told",
    "phones": "is this phone said, unknown speakers of one language: share of answers right",
    "f0_level": "mean log F0 of the clip, unknown speakers: R²",
    "f0_movement": "log F0 of a frame less the clip's mean, unknown speakers: R²",
}
SECONDS = (1.5, 6.0)
"""Lengths of clips alike enough that length alone does not say much about the phones."""
PHONES = 20
"""Phones a language that are asked for: those that nearest to half of its clips have."""


@dataclass(frozen=True, eq=False)
class Probed:
    """One clip: speaker, phones said, vectors `[frames, D]` a stream, log2 F0 `[frames]` or NaN."""

    name: str
    speaker: str
    language: str
    phones: frozenset[str]
    vectors: Mapping[str, NDArray[np.float64]]
    pitch: NDArray[np.float64]


@dataclass
class ProbeResult:
    """The matrix: estimates by stream and task, with what was probed."""

    matrix: dict[str, dict[str, Estimate]]
    clips: int
    speakers: dict[str, list[str]]

    def to_dict(self) -> dict[str, Any]:
        """Plain dict for JSON; `above_chance` is what the picture shows."""
        return {
            "clips": self.clips,
            "speakers": self.speakers,
            "matrix": {
                stream: {
                    task: estimate.to_dict() | {"above_chance": above_chance(estimate)}
                    for task, estimate in row.items()
                }
                for stream, row in self.matrix.items()
            },
        }


def choose_clips(
    items: Sequence[ManifestItem], splits: Sequence[str], least: int = 12, most: int = 30
) -> list[ManifestItem]:
    """Clips with phonemes, `least` to `most` a speaker, of languages with `FOLDS` such speakers."""
    low, high = SECONDS
    chosen: dict[str, list[list[ManifestItem]]] = defaultdict(list)
    for own in by_speaker(items, splits).values():
        fitting = [item for item in own if low <= item.duration <= high and item.phonemes]
        if len(fitting) >= least:
            chosen[fitting[0].language].append(spread(fitting, most))
    return [
        item
        for _, speakers in sorted(chosen.items())
        if len(speakers) >= FOLDS
        for own in speakers
        for item in own
    ]


def look_at(
    tokenizer: AudioTokenizer, vectors: Vectors, name: str, item: ManifestItem, audio: Audio
) -> Probed:
    """Encode one clip and find its pitch."""
    found = vectors(tokenizer.encode(audio))
    pitch = _pitch(audio, max(len(rows) for rows in found.values()))
    return Probed(name, item.speaker, item.language, _phones(item.phonemes), found, pitch)


def probe(clips: Sequence[Probed], progress: Callable[[Sequence[str]], Any] = iter) -> ProbeResult:
    """Every stream on every task; see `TASKS`."""
    speakers: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        speakers[clip.language].add(clip.speaker)
    matrix = {stream: _row(clips, stream) for stream in progress(list(STREAMS))}
    names = {language: sorted(own) for language, own in sorted(speakers.items())}
    return ProbeResult(matrix, len(clips), names)


def _row(clips: Sequence[Probed], stream: str) -> dict[str, Estimate]:
    if not clips:
        return dict.fromkeys(TASKS, bootstrap.missing("no language has enough speakers and clips"))
    pooled = np.stack([_pooled(clip.vectors[stream]) for clip in clips])
    speakers = [clip.speaker for clip in clips]
    languages = [clip.language for clip in clips]
    return {
        "speaker": class_probe(pooled, speakers, languages),
        "phones": presence_probe(pooled, _present(clips), speakers, languages),
        "f0_level": _level(clips, pooled),
        "f0_movement": _movement(clips, stream),
    }


def _level(clips: Sequence[Probed], pooled: NDArray[np.float64]) -> Estimate:
    voiced = [n for n, clip in enumerate(clips) if _voiced(clip).any()]
    if not voiced:
        return bootstrap.missing("no clip is voiced")
    means = np.array([np.nanmean(clips[n].pitch) for n in voiced])
    names, speakers = ([getattr(clips[n], part) for n in voiced] for part in ("name", "speaker"))
    return number_probe(pooled[voiced], means, names, speakers)


def _movement(clips: Sequence[Probed], stream: str) -> Estimate:
    rows, targets, names, speakers = [], [], [], []
    for clip in clips:
        frames = _voiced(clip)
        count = int(frames.sum())
        if not count:
            continue
        vectors = np.broadcast_to(clip.vectors[stream], (len(frames), *_shape(clip, stream)))
        rows.append(vectors[frames])
        targets.append(clip.pitch[frames] - clip.pitch[frames].mean())
        names += [clip.name] * count
        speakers += [clip.speaker] * count
    if not rows:
        return bootstrap.missing("no clip is voiced")
    return number_probe(np.concatenate(rows), np.concatenate(targets), names, speakers)


def _pooled(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean and standard deviation over the frames, side by side: `[2 D]`."""
    return np.concatenate([vectors.mean(0), vectors.std(0)])


def _shape(clip: Probed, stream: str) -> tuple[int, ...]:
    return clip.vectors[stream].shape[1:]


def _voiced(clip: Probed) -> NDArray[np.bool_]:
    return ~np.isnan(clip.pitch)


def _pitch(audio: Audio, frames: int) -> NDArray[np.float64]:
    """Mean log2 F0 of the voiced part of each token frame, NaN where there is none."""
    track = f0_track(audio.mono().resample(RATE).samples[0])
    seconds = np.arange(len(track)) * PERIOD / 1000
    # Both begin with the audio; the track may have one value after its end.
    place = np.minimum(seconds / audio.duration * frames, frames - 1).astype(np.int64)
    voiced = track > 0
    sums = np.bincount(place[voiced], np.log2(track[voiced]), minlength=frames)
    counts = np.bincount(place[voiced], minlength=frames)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _phones(text: str) -> frozenset[str]:
    """Different IPA letters of a phoneme string; length marks, stress and diacritics left out."""
    return frozenset(symbol for symbol in text if unicodedata.category(symbol) in ("Ll", "Lo"))


def _present(clips: Sequence[Probed]) -> NDArray[np.bool_]:
    """Which of its language's `PHONES` questions each clip answers with yes: `[clips, PHONES]`."""
    asked: dict[str, list[str]] = {}
    for language in {clip.language for clip in clips}:
        own = [clip for clip in clips if clip.language == language]
        counts = Counter(phone for clip in own for phone in clip.phones)
        order = sorted(counts, key=lambda phone: (abs(counts[phone] / len(own) - 0.5), phone))
        asked[language] = order[:PHONES]
    least = min(len(phones) for phones in asked.values())
    return np.array(
        [[phone in clip.phones for phone in asked[clip.language][:least]] for clip in clips],
        dtype=bool,
    ).reshape(len(clips), least)
