"""Stage: flow decoder, tokens of a trained encoder → mel."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from unisono.data.dataset import BatchPlan, read_sequence
from unisono.errors import ConfigError
from unisono.storage.weights import load_weights, save_weights
from unisono.synthesis.convolution import TokenConvolutions
from unisono.synthesis.flow import FlowDecoder
from unisono.synthesis.mel import MelConfig, MelSpectrogram
from unisono.synthesis.voice import voice_vector
from unisono.training.cache import JoinedCache
from unisono.training.config import Section, TrainConfig, load_config, parse_options
from unisono.training.state import module_weights
from unisono.training.tasks.encoder import EncoderOptions, as_stored, build_encoder, cached_states
from unisono.uniaudio.encoder import EncoderState, UniAudioEncoder


class FlowOptions(Section):
    """Options of the flow stage."""

    flow: dict[str, Any]
    """Flow decoder config in the reference's form."""
    mel: dict[str, Any]
    encoder_run: Path
    """Run folder of the encoder stage; its cache and its newest checkpoint give the tokens."""
    from_encoder: bool = True
    """Start the token embedding from the encoder's codebook and a convolution encoder from the mel
    head of the encoder stage (ours); sizes must agree."""
    start_from: Path | None = None
    """Run of another flow decoder: tensors of equal name and shape are taken over, and nothing
    from the encoder."""
    prior_weight: float = 1.0
    """Weight of the L1 of μ to the mel (ours, after Matcha-TTS)."""
    voice_dropout: float = Field(0.2, ge=0, le=1)
    """Share of items whose voice vector is withheld, where the flow takes one."""


@dataclass(frozen=True)
class MelBatch:
    """Tokens `[B, T]`, mels `[B, mels, F]`, the real lengths of both, and voices `[B, V]`."""

    tokens: Tensor
    token_lengths: Tensor
    mel: Tensor
    mel_lengths: Tensor
    voice: Tensor | None


class FlowTask:
    """Trains a `FlowDecoder` on (tokens, mel) pairs of the cached sequences."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.options: FlowOptions = parse_options(FlowOptions, config.options, config.task)
        encoder_config = load_config(self.options.encoder_run / "config.yaml")
        if encoder_config.task != "encoder":
            raise ConfigError(f"{self.options.encoder_run}: not a run of the encoder stage")
        encoder_config.data = config.data.model_copy(
            update={"sequence_seconds": encoder_config.data.sequence_seconds}
        )
        options = parse_options(EncoderOptions, encoder_config.options, "encoder")
        encoder = build_encoder(options)
        trained = module_weights(self.options.encoder_run)
        encoder.load_state_dict(trained["encoder"])
        as_stored(encoder)
        self.mel = MelSpectrogram(MelConfig(**self.options.mel))
        self.splits = {
            split: cached_states(encoder, options, encoder_config, split)
            for split in ("train", "valid")
        }
        self.tokens = {
            split: cached_tokens(encoder, options, cache, split)
            for split, (cache, _) in self.splits.items()
        }
        cache, _ = self.splits["train"]
        self.plan = BatchPlan(
            [s.seconds for s in cache.sequences], config.data.batch_seconds, config.seed
        )
        torch.manual_seed(config.seed)
        self.flow = FlowDecoder.from_reference(self.options.flow)
        self._start(encoder, trained["mel_head"])
        self.modules: dict[str, nn.Module] = {"flow": self.flow}
        self.players = {"flow": ("flow",)}

    def batch(self, step: int) -> MelBatch:
        """Sequences of this step."""
        return self._collate("train", self.plan(step))

    def losses(self, batch: MelBatch, step: int) -> Iterator[tuple[str, Tensor, dict[str, float]]]:
        """Flow matching and the prior."""
        self.flow.train()
        generator = torch.Generator().manual_seed(hash((self.config.seed, step)) % 2**63)
        voice = batch.voice
        if voice is not None:
            told = torch.rand(len(voice), generator=generator) >= self.options.voice_dropout
            voice = voice * told.to(voice)[:, None]
        out = self.flow.loss(
            batch.tokens, batch.token_lengths, batch.mel, batch.mel_lengths, voice, generator
        )
        loss = out.flow + self.options.prior_weight * out.prior
        yield "flow", loss, {"flow": out.flow.item(), "prior": out.prior.item()}

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """The same losses on held-out sequences with fixed randomness."""
        self.flow.eval()
        indices = range(len(self.splits["valid"][0]))
        groups = [list(indices[i : i + 8]) for i in range(0, len(indices), 8)]
        generator = torch.Generator().manual_seed(0)
        totals = {"flow": 0.0, "prior": 0.0}
        for group in groups:
            batch = self._collate("valid", group)
            out = self.flow.loss(
                batch.tokens, batch.token_lengths, batch.mel, batch.mel_lengths, batch.voice,
                generator,
            )  # fmt: skip
            totals["flow"] += out.flow.item() / len(groups)
            totals["prior"] += out.prior.item() / len(groups)
        return totals

    @torch.no_grad()
    def _start(self, encoder: UniAudioEncoder, head: Mapping[str, Tensor]) -> None:
        """Weights that need not start from chance; see the options."""
        own = self.flow.state_dict()
        taken: dict[str, Tensor] = {}
        if self.options.start_from is not None:
            before = module_weights(self.options.start_from)["flow"]
            taken = {n: t for n, t in before.items() if n in own and own[n].shape == t.shape}
        elif self.options.from_encoder:
            assert encoder.quantizer is not None
            taken = {"input_embedding.weight": encoder.quantizer.codebook.weight}
            if isinstance(self.flow.encoder, TokenConvolutions):
                taken |= {f"encoder.{name}": tensor for name, tensor in head.items()}
                nn.init.eye_(self.flow.encoder_proj.weight)
                nn.init.zeros_(self.flow.encoder_proj.bias)
            for name, tensor in taken.items():
                if name not in own or own[name].shape != tensor.shape:
                    raise ConfigError(
                        f"from_encoder: the encoder stage has {name} of {list(tensor.shape)}, "
                        "the flow has none such; make the sizes agree or leave from_encoder out"
                    )
        for name, tensor in taken.items():
            own[name].copy_(tensor)
        # Convolutions beyond those that were taken over begin as if they were not there.
        if any(name.startswith("encoder.convs.") for name in taken):
            for name, tensor in own.items():
                if name.startswith("encoder.convs.") and name not in taken:
                    tensor.zero_()

    def extra_state(self) -> dict[str, Any]:
        """Nothing beyond the modules."""
        return {}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Nothing to take back."""

    def _collate(self, split: str, indices: Sequence[int]) -> MelBatch:
        cache, clip_sets = self.splits[split]
        tokens = [self.tokens[split][i] for i in indices]
        mels = []
        for index, ids in zip(indices, tokens, strict=True):
            part, _ = cache.locate(index)
            wave = read_sequence(clip_sets[part], cache.sequences[index].clips)
            # The tokens cover whole frames of the encoder: pad or cut the wave to their length.
            frames = self.flow.frames(len(ids))
            wave = _fit(wave, frames * self.mel.config.hop)
            mels.append(self.mel(torch.from_numpy(wave)[None])[0])
        device = next(self.flow.parameters()).device
        mel_lengths = torch.tensor([mel.shape[1] for mel in mels])
        batch = torch.zeros(len(mels), mels[0].shape[0], int(mel_lengths.max()))
        for row, mel in zip(batch, mels, strict=True):
            row[:, : mel.shape[1]] = mel
        return MelBatch(
            tokens=nn.utils.rnn.pad_sequence(tokens, batch_first=True).to(device),
            token_lengths=torch.tensor([len(ids) for ids in tokens]).to(device),
            mel=batch.to(device),
            mel_lengths=mel_lengths.to(device),
            voice=torch.stack([voice_vector(mel) for mel in mels]).to(device)
            if self.flow.voice_width
            else None,
        )


def cached_tokens(
    encoder: UniAudioEncoder, options: EncoderOptions, cache: JoinedCache, split: str
) -> list[Tensor]:
    """Token ids `[T]` of every cached sequence, kept in a file beside the states."""
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    digest.update(repr([s.clips for s in cache.sequences]).encode())
    path = options.cache / f"tokens-{split}-{digest.hexdigest()[:16]}.safetensors"
    lengths = [s.frames for s in cache.sequences]
    if path.is_file():
        return list(load_weights(path)["tokens"].split(lengths))
    tokens = _tokens(encoder, options, cache)
    save_weights(path, {"tokens": torch.cat(tokens)})
    return tokens


@torch.no_grad()
def _tokens(encoder: UniAudioEncoder, options: EncoderOptions, cache: JoinedCache) -> list[Tensor]:
    """Token ids `[T]` of every cached sequence."""
    pooled = 0 < encoder.config.pooling_position <= options.frozen
    found = []
    for index in range(len(cache)):
        hidden = torch.from_numpy(cache.read("hidden", index))[None]
        shallow = None
        if "shallow" in cache.widths:
            shallow = torch.from_numpy(cache.read("shallow", index))[None]
        mask = torch.ones(hidden.shape[:2], dtype=torch.long)
        state = EncoderState(hidden, mask, options.frozen, shallow, pooled=pooled)
        state = encoder.run_layers(state, encoder.config.quantize_position)
        assert state.token_ids is not None
        found.append(state.token_ids[0])
    return found


def _fit(wave: np.ndarray, length: int) -> np.ndarray:
    return np.pad(wave[:length], (0, max(0, length - len(wave))))
