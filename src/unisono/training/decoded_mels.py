"""Mels as a flow decoder makes them of real recordings: what a vocoder will be given (ours).

A vocoder that has only heard true mels turns the flow's smoother ones into a dull or rough voice;
trained on both, it learns to sharpen them [fine-tuning on predicted mels, HiFi-GAN].
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unisono.errors import DataError
from unisono.training.cache import StateCache, add_weights, write_cache
from unisono.training.config import load_config
from unisono.training.state import module_weights
from unisono.training.tasks.flow import FlowTask
from unisono.training.world import World


class DecodedMels:
    """Training sequences of a flow run, each with the mel of its own tokens and voice.

    Args:
        run: folder of the flow stage.
        folder: where the mels are kept; an interrupted filling goes on.
        seconds: how much audio, drawn from all sequences by `seed`.
        sampling: arguments of `FlowDecoder.mel`, such as steps and start.
        kinds: which sequences `crop` draws from; all are decoded.

    Raises:
        DataError: the run has no whole checkpoint, or the folder holds mels of other settings.
    """

    def __init__(
        self,
        run: Path,
        folder: Path,
        seconds: float,
        sampling: dict[str, Any],
        seed: int,
        kinds: Sequence[str] = ("speech", "music", "sound"),
        world: World | None = None,
    ) -> None:
        world = world or World()
        config = load_config(run / "config.yaml")
        task = FlowTask(config, world)
        weights = module_weights(run)["flow"]
        task.flow.load_state_dict(weights)
        order = np.random.default_rng(seed).permutation(len(task.tokens["train"]))
        lengths = np.array(task.sequences["train"].seconds)[order]
        chosen = order[: int(np.searchsorted(np.cumsum(lengths), seconds)) + 1]
        digest = hashlib.sha256(repr((seed, seconds, sorted(sampling.items()))).encode())
        add_weights(digest, weights)

        @torch.no_grad()
        def compute(sequence: list[int]) -> tuple[float, dict[str, np.ndarray]]:
            batch = task.collate("train", sequence)
            mel = task.flow.mel(batch.tokens, speaker=batch.voice, seed=sequence[0], **sampling)
            return batch.seconds, {"mel": mel[0].T.numpy()}

        if world.main:
            task.flow.eval()
            write_cache(folder, [[int(i)] for i in chosen], compute, digest.hexdigest())
        world.wait()
        self._cache = StateCache(folder)
        # The flow decoder itself has done its work.
        sequences = task.sequences["train"]
        self._sequences, self._hop = sequences, task.mel.config.hop
        drawn = [
            record.seconds * all(item.kind in kinds for item in sequences.items(record.clips[0]))
            for record in self._cache.sequences
        ]
        self._shares = np.cumsum(drawn)
        if not self._shares[-1]:
            raise DataError(f"{run}: no decoded sequence is of kind {list(kinds)}; name others")

    def crop(self, frames: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A random stretch: wave `[frames × hop]` and its decoded mel `[mels, frames]`."""
        hop = self._hop
        place = int(np.searchsorted(self._shares, rng.random() * self._shares[-1], side="right"))
        record = self._cache.sequences[place]
        first = int(rng.integers(0, max(1, record.frames - frames + 1)))
        mel = self._cache.read("mel", place)[first : first + frames].T
        wave = self._sequences.wave(record.clips[0])
        wave = wave[first * hop : (first + frames) * hop]
        missing = frames * hop - len(wave)
        short = frames - mel.shape[1]
        return np.pad(wave, (0, missing)), np.pad(mel, ((0, 0), (0, short)), mode="edge")
