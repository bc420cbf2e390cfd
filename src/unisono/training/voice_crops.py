"""Crops of one length out of clips of any length, two of the same voice at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unisono.data.dataset import ClipSet


@dataclass(frozen=True)
class Part:
    """A stretch of a clip within a crop: clip, first frame there, and frames."""

    clip: int
    first: int
    frames: int


class VoiceCrops:
    """Draws crops; where a clip is too short, others of its speaker follow (ours).

    Everything lies on a grid of `frame` samples, so that features at that rate fit the crops.
    Clips without a speaker follow clips of their source.
    """

    def __init__(self, clips: ClipSet, frame: int) -> None:
        self.clips, self.frame = clips, frame
        self._frames = [max(1, int(item.duration * clips.rate) // frame) for item in clips.items]
        self._voices: dict[tuple[str, str | None], list[int]] = {}
        for number, item in enumerate(clips.items):
            self._voices.setdefault((item.source, item.speaker), []).append(number)
        self._shares = np.cumsum(self._frames) / sum(self._frames)

    def draw(self, rng: np.random.Generator, frames: int) -> list[Part]:
        """A crop that begins anywhere in a clip, clips drawn by their length."""
        clip = int(np.searchsorted(self._shares, rng.random()))
        return self._fill(min(clip, len(self._frames) - 1), rng, frames)

    def draw_like(self, clip: int, rng: np.random.Generator, frames: int) -> list[Part]:
        """A crop of the voice of `clip`, from any of its clips."""
        return self._fill(self._other(clip, rng), rng, frames)

    def read(self, parts: Sequence[Part]) -> np.ndarray:
        """Samples of a crop: float32 `[frames * frame]`."""
        waves = []
        for part in parts:
            length = part.frames * self.frame
            begin = part.first * self.frame / self.clips.rate
            wave = self.clips.read(part.clip, begin, length / self.clips.rate)[:length]
            waves.append(np.pad(wave, (0, length - len(wave))))
        return np.concatenate(waves)

    def _fill(self, clip: int, rng: np.random.Generator, frames: int) -> list[Part]:
        spare = max(0, self._frames[clip] - frames)
        first = int(rng.integers(0, spare + 1))
        parts = [Part(clip, first, min(frames, self._frames[clip]))]
        while (missing := frames - sum(part.frames for part in parts)) > 0:
            clip = self._other(clip, rng)
            parts.append(Part(clip, 0, min(missing, self._frames[clip])))
        return parts

    def _other(self, clip: int, rng: np.random.Generator) -> int:
        item = self.clips.items[clip]
        voice = self._voices[item.source, item.speaker]
        return voice[int(rng.integers(0, len(voice)))]
