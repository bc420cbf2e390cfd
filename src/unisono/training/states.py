"""What an encoder is trained on: cached states of its frozen layers, or features made anew."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from unisono.data.augment import Augmenter
from unisono.data.dataset import ClipSet, plan_sequences, read_sequence
from unisono.data.manifest import ManifestItem
from unisono.errors import ConfigError, DataError
from unisono.training.cache import JoinedCache, StateCache, write_cache
from unisono.training.config import TrainConfig
from unisono.training.encoder_options import EncoderOptions
from unisono.training.prefetch import to_device
from unisono.training.world import World
from unisono.uniaudio import LogMelFeatures, UniAudioEncoder
from unisono.uniaudio.encoder import EncoderState

LONGEST_SECONDS = 30
"""What Whisper's encoder takes; longer sequences are cut."""

_CPU = torch.device("cpu")

# Options that change nothing below the quantizer and SAE, so that cached states stay good.
_ABOVE = frozenset(
    {
        "quantize_vocab_size",
        "quantize_position",
        "quantize_ema_decay",
        "quantize_restart_interval",
        "quantize_loss_scale",
        "quantize_commit_coefficient",
        "encoder_residual_target_position",
        "use_residual_adapter",
        "use_residual_gate",
    }
)


@dataclass(frozen=True)
class EncoderInputs:
    """What enters the encoder for a batch, and the mel frames that belong to its tokens.

    Either `state`, after the frozen layers, or `features [B, n_mels, F]` with `feature_mask
    [B, F]`. mel: `[B, T, M]`, the log-mel frames of each token in a row; mask: `[B, T]`, 1 on
    real tokens.
    """

    state: EncoderState | None
    features: Tensor | None
    feature_mask: Tensor | None
    mel: Tensor
    mask: Tensor


class Sequences(Protocol):
    """The sequences of one split."""

    seconds: list[float]
    """Length of each."""

    mel_width: int
    """Numbers in the mel frames of one token."""

    def items(self, index: int) -> list[ManifestItem]:
        """The clips of a sequence."""

    def inputs(
        self, indices: Sequence[int], device: torch.device = _CPU, place: int | None = None
    ) -> EncoderInputs:
        """A batch of sequences; `place`, its number in training, draws the augmentation."""

    def wave(self, index: int) -> np.ndarray:
        """Samples of a sequence at 16 kHz: float32 `[n]`."""


class CachedSequences:
    """Sequences whose states after the frozen layers lie in a cache."""

    def __init__(
        self, encoder: UniAudioEncoder, options: EncoderOptions, cache: JoinedCache,
        clip_sets: Sequence[ClipSet],
    ) -> None:  # fmt: skip
        self.cache = cache
        self.clip_sets = clip_sets
        self.seconds = [sequence.seconds for sequence in cache.sequences]
        self.mel_width = cache.widths["mel"]
        self._layer = options.frozen
        self._pooled = encoder.config.pooling_position <= options.frozen

    def items(self, index: int) -> list[ManifestItem]:
        """The clips of a sequence."""
        part, _ = self.cache.locate(index)
        return [self.clip_sets[part].items[i] for i in self.cache.sequences[index].clips]

    def wave(self, index: int) -> np.ndarray:
        """Samples of a sequence at 16 kHz: float32 `[n]`."""
        part, _ = self.cache.locate(index)
        return _read(self.clip_sets[part], self.cache.sequences[index].clips)

    def inputs(
        self, indices: Sequence[int], device: torch.device = _CPU, place: int | None = None
    ) -> EncoderInputs:
        """States of a batch of sequences, from the cache."""
        lengths = [self.cache.sequences[i].frames for i in indices]

        def padded(name: str) -> Tensor:
            rows = torch.zeros(len(indices), max(lengths), self.cache.widths[name])
            for row, index in zip(rows, indices, strict=True):
                states = self.cache.read(name, index)
                row[: len(states)] = torch.from_numpy(states)
            return rows

        mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
        shallow = padded("shallow") if "shallow" in self.cache.widths else None
        state = EncoderState(padded("hidden"), mask, self._layer, shallow, pooled=self._pooled)
        return to_device(EncoderInputs(state, None, None, padded("mel"), mask), device)


class LiveSequences:
    """Sequences whose features are computed when they are asked for."""

    def __init__(self, encoder: UniAudioEncoder, config: TrainConfig, split: str) -> None:
        self.multiple = encoder.config.frame_multiple
        self.features = LogMelFeatures(n_mels=encoder.config.num_mel_bins)
        self.clip_sets = [clips for _, clips in _clip_sets(config, split)]
        self.places = [
            (part, clips)
            for part, clip_set in enumerate(self.clip_sets)
            for clips in self._planned(clip_set, config)
        ]
        self.seconds = [
            min(LONGEST_SECONDS, sum(item.duration for item in self.items(index)))
            for index in range(len(self.places))
        ]
        self.mel_width = self.multiple * encoder.config.num_mel_bins
        self.augment = Augmenter(config.data.augment, self.features.rate, config.seed)

    def _planned(self, clips: ClipSet, config: TrainConfig) -> list[list[int]]:
        """The clips of each sequence."""
        return plan_sequences(clips.items, config.data.sequence_seconds, config.seed)

    def items(self, index: int) -> list[ManifestItem]:
        """The clips of a sequence."""
        part, clips = self.places[index]
        return [self.clip_sets[part].items[i] for i in clips]

    def wave(self, index: int) -> np.ndarray:
        """Samples of a sequence at 16 kHz: float32 `[n]`."""
        part, clips = self.places[index]
        return _read(self.clip_sets[part], clips)

    def inputs(
        self, indices: Sequence[int], device: torch.device = _CPU, place: int | None = None
    ) -> EncoderInputs:
        """Features of a batch of sequences."""
        waves = [self.wave(index) for index in indices]
        if place is not None:
            changed = (self.augment(w, place, i) for w, i in zip(waves, indices, strict=True))
            waves = [change.samples[: LONGEST_SECONDS * self.features.rate] for change in changed]
        features, mask = self.features(waves, self.multiple)
        tokens = features.shape[2] // self.multiple
        inputs = EncoderInputs(
            state=None,
            features=features,
            feature_mask=mask,
            mel=features.transpose(1, 2).reshape(len(indices), tokens, -1),
            mask=mask[:, :: self.multiple],
        )
        return to_device(inputs, device)


class SingleSounds(LiveSequences):
    """Every labelled sound of a split by itself."""

    def _planned(self, clips: ClipSet, config: TrainConfig) -> list[list[int]]:
        return [[i] for i, item in enumerate(clips.items) if item.kind == "sound" and item.label]


def open_sequences(
    encoder: UniAudioEncoder,
    options: EncoderOptions,
    config: TrainConfig,
    split: str,
    world: World | None = None,
) -> Sequences:
    """The sequences of a split, with cached states when the options name a cache."""
    if options.cache is None:
        return LiveSequences(encoder, config, split)
    if config.data.augment.active:
        raise ConfigError("data.augment needs the sound itself: set options.cache: null")
    cache, found = cached_states(encoder, options, config, split, world)
    return CachedSequences(encoder, options, cache, found)


def cached_states(
    encoder: UniAudioEncoder,
    options: EncoderOptions,
    config: TrainConfig,
    split: str,
    world: World | None = None,
) -> tuple[JoinedCache, list[ClipSet]]:
    """States after the frozen layers of every manifest's clips of a split, made where missing.

    Returns the caches as one, and the clips of each; a manifest without such clips is left out.
    Of several processes the first makes them.
    """
    assert options.cache is not None
    world = world or World()
    named = _clip_sets(config, split)
    folders = [options.cache / f"{_stem(manifest)}-{split}" for manifest, _ in named]
    if world.main:
        for folder, (_, clips) in zip(folders, named, strict=True):
            _fill_cache(folder, encoder, options, config, clips)
    world.wait()
    return JoinedCache([StateCache(folder) for folder in folders]), [clips for _, clips in named]


def _stem(source: str) -> str:
    """Name of a source `PATH?key=value…` without folder, ending and what is said of it."""
    return Path(source.partition("?")[0]).stem


def _clip_sets(config: TrainConfig, split: str) -> list[tuple[str, ClipSet]]:
    """Manifests and their clips of a split; a manifest without such clips is left out."""
    data = config.data
    named = [
        (manifest, ClipSet([manifest], data.kinds, data.weights, split=split, required=False))
        for manifest in data.train
    ]
    named = [(manifest, clips) for manifest, clips in named if len(clips)]
    if not named:
        raise DataError(f"{', '.join(data.train)}: no {split} clips; name other manifests")
    return named


def _fill_cache(
    folder: Path,
    encoder: UniAudioEncoder,
    options: EncoderOptions,
    config: TrainConfig,
    clips: ClipSet,
) -> None:
    sequences = plan_sequences(clips.items, config.data.sequence_seconds, config.seed)
    features = LogMelFeatures(n_mels=encoder.config.num_mel_bins)
    multiple = encoder.config.frame_multiple

    @torch.no_grad()
    def compute(sequence: list[int]) -> tuple[float, dict[str, np.ndarray]]:
        wave = _read(clips, sequence)
        mel, mask = features([wave], multiple)
        state = encoder.run_layers(encoder.embed(mel, mask), options.frozen)
        arrays = {
            "hidden": state.hidden[0].numpy(),
            "mel": mel[0].T.reshape(state.hidden.shape[1], -1).numpy(),
        }
        if state.shallow is not None:
            arrays["shallow"] = state.shallow[0].numpy()
        return len(wave) / clips.rate, arrays

    encoder.eval()
    below = {k: v for k, v in options.encoder.items() if k not in _ABOVE}
    described = json.dumps(
        [below, options.frozen, options.int8_frozen, str(options.whisper), sequences,
         [(i.path, i.start) for i in clips.items]],
        sort_keys=True,
    )  # fmt: skip
    key = hashlib.sha256(described.encode()).hexdigest()
    write_cache(folder, sequences, compute, key)


def _read(clips: ClipSet, sequence: Sequence[int]) -> np.ndarray:
    return read_sequence(clips, sequence)[: LONGEST_SECONDS * clips.rate]
