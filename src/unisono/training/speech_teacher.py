"""What a self-supervised or recognising model hears in clips: targets for distillation.

Features of all clips are made once, at token rate, and kept; short clips share a pass, each on
its own place in time.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from unisono.data.dataset import ClipSet
from unisono.errors import ConfigError
from unisono.training.cache import StateCache, write_cache
from unisono.training.world import World

PASS_SECONDS = 28.0
"""Audio of one pass; Whisper's encoder always takes 30 s."""


class SpeechTeacher:
    """Any speech model of transformers whose encoder gives states at a fixed rate.

    Args:
        folder: local folder or hub id (Whisper, HuBERT, WavLM, wav2vec 2, XLS-R, …).
        layer: whose states are taken, from 1; 0: what enters the first.

    Raises:
        ConfigError: the model cannot be loaded, or has fewer layers.
    """

    def __init__(self, folder: str | Path, layer: int, device: torch.device | None = None) -> None:
        from transformers import AutoFeatureExtractor, AutoModel

        try:
            self.extractor = AutoFeatureExtractor.from_pretrained(folder)
            model = AutoModel.from_pretrained(folder, dtype=torch.float32)
        except (OSError, ValueError) as error:
            reason = str(error).strip().split("\n")[0]
            raise ConfigError(f"teacher {folder} cannot be loaded: {reason}") from error
        model = model.get_encoder() if model.config.is_encoder_decoder else model
        layers = getattr(model.config, "encoder_layers", None) or model.config.num_hidden_layers
        if not 0 <= layer <= layers:
            raise ConfigError(f"teacher {folder} has {layers} layers, not {layer}")
        if getattr(model, "layers", None) is not None:  # the others need not be run
            model.layers = model.layers[: max(layer, 1)]
        self.model = model.eval().to(device or torch.device("cpu"))
        self.layer = layer

    @torch.inference_mode()
    def __call__(self, wave: np.ndarray, rate: int, frames: int) -> Tensor:
        """States of `wave [n]`, averaged to `frames` equal spans of it: `[frames, width]`."""
        given = self.extractor(wave, sampling_rate=rate, return_tensors="pt")
        name = self.model.main_input_name
        states = self.model(
            **{name: given[name].to(self.model.device)}, output_hidden_states=True
        ).hidden_states[self.layer][0]
        # Padded to a fixed length by its extractor, or as long as the wave.
        heard = getattr(self.extractor, "n_samples", None) or len(wave)
        real = max(1, round(len(states) * len(wave) / heard))
        return F.adaptive_avg_pool1d(states[:real].T, frames).T.float().cpu()


class TaughtClips:
    """Teacher's features of every clip of a set, from a cache that is filled first.

    Args:
        folder: of the caches, one folder a source of the clips.
        teacher, layer: see `SpeechTeacher`.
        frame: samples a feature at the set's rate.

    Raises:
        DataError: a folder holds features of another teacher or of other clips.
    """

    def __init__(
        self,
        clips: ClipSet,
        folder: Path,
        teacher: str | Path,
        layer: int,
        frame: int,
        world: World | None = None,
    ) -> None:
        world = world or World()
        device = world.device

        @functools.cache
        def model() -> SpeechTeacher:
            return SpeechTeacher(teacher, layer, device)

        def compute(own: list[int], numbers: list[int]) -> tuple[float, dict[str, np.ndarray]]:
            counts = [self._counts[own[n]] for n in numbers]
            parts = [
                _fitted(clips.read(own[n]), count * frame)
                for n, count in zip(numbers, counts, strict=True)
            ]
            wave = np.concatenate(parts)
            states = model()(wave, clips.rate, sum(counts))
            return len(wave) / clips.rate, {"states": states.numpy()}

        self._counts = [
            -(-max(1, round(item.duration * clips.rate)) // frame) for item in clips.items
        ]
        self._places: dict[int, tuple[StateCache, int, int]] = {}
        """Of each clip: cache, pass there, and first frame in the pass."""
        for source, own in _by_source(clips).items():
            plan = _passes([self._counts[n] for n in own], int(PASS_SECONDS * clips.rate / frame))
            if world.main:
                items = [(clips.items[n].path, clips.items[n].start) for n in own]
                key = json.dumps([str(teacher), layer, frame, items])
                write_cache(
                    folder / source,
                    plan,
                    functools.partial(compute, own),
                    hashlib.sha256(key.encode()).hexdigest(),
                )
            world.wait()
            cache = StateCache(folder / source)
            for index, numbers in enumerate(plan):
                first = 0
                for number in numbers:
                    self._places[own[number]] = cache, index, first
                    first += self._counts[own[number]]
            self.width = cache.widths["states"]
        self.mean, self.deviation = self._statistics()

    def read(self, clip: int, first: int, frames: int) -> np.ndarray:
        """Features of a clip from frame `first` on: `[frames, width]`, zeros past its end.

        Each dimension has mean 0 and variance 1 over clips (ours): a share that all frames have
        in common would make any two of them similar.
        """
        rows = (self._rows(clip)[first : first + frames] - self.mean) / self.deviation
        return np.pad(rows, ((0, frames - len(rows)), (0, 0)))

    def _rows(self, clip: int) -> np.ndarray:
        cache, index, start = self._places[clip]
        return cache.read("states", index)[start : start + self._counts[clip]]

    def _statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation `[width]` over some clips of the set, evenly chosen."""
        step = max(1, len(self._counts) // 200)
        rows = np.concatenate([self._rows(clip) for clip in range(0, len(self._counts), step)])
        return rows.mean(0), rows.std(0) + np.float32(1e-4)


def _by_source(clips: ClipSet) -> dict[str, list[int]]:
    """Numbers of the clips of each source, in order."""
    found: dict[str, list[int]] = {}
    for number, item in enumerate(clips.items):
        found.setdefault(item.source, []).append(number)
    return found


def _passes(counts: Sequence[int], most: int) -> list[list[int]]:
    """Clips in order, so many together that they stay below `most` frames."""
    plan: list[list[int]] = []
    total = most
    for number, count in enumerate(counts):
        if total + count > most:
            plan.append([])
            total = 0
        plan[-1].append(number)
        total += count
    return plan


def _fitted(wave: np.ndarray, length: int) -> np.ndarray:
    return np.pad(wave, (0, max(0, length - len(wave))))[:length]
