"""Stage: flow decoder, tokens of a trained encoder → mel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from unisono.data.dataset import BatchPlan
from unisono.errors import ConfigError, DataError
from unisono.synthesis.convolution import TokenConvolutions
from unisono.synthesis.flow import FlowDecoder
from unisono.synthesis.mel import MelConfig, MelSpectrogram
from unisono.synthesis.voice import voice_vector
from unisono.training.config import Section, TrainConfig, load_config, parse_options
from unisono.training.encoder_tokens import Tokenized, embeddings_of, models_embeddings, tokenized
from unisono.training.given import given_weights, is_model
from unisono.training.reporting import Sample
from unisono.training.world import World

_EMBEDDING = "input_embedding.weight"


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
    """Run of another flow decoder, or model (embedded name or folder): tensors of equal name and
    shape are taken over, save those that `from_encoder` gives. If it was trained on another
    encoder's tokens, a new code starts from the mean of the old codes' embeddings where it comes
    (ours)."""
    prior_weight: float = 1.0
    """Weight of the L1 of μ to the mel (ours, after Matcha-TTS)."""
    voice_dropout: float = Field(0.2, ge=0, le=1)
    """Share of items whose voice vector is withheld, where the flow takes one."""


@dataclass(frozen=True)
class MelBatch:
    """Tokens `[B, T]`, mels `[B, mels, F]`, the real lengths of both, voices `[B, V]`; seconds."""

    tokens: Tensor
    token_lengths: Tensor
    mel: Tensor
    mel_lengths: Tensor
    voice: Tensor | None
    seconds: float


class FlowTask:
    """Trains a `FlowDecoder` on (tokens, mel) pairs of the cached sequences."""

    def __init__(self, config: TrainConfig, world: World | None = None) -> None:
        self.config = config
        self.world = world or World()
        self.options: FlowOptions = parse_options(FlowOptions, config.options, config.task)
        if config.data.augment.active:
            raise ConfigError("data.augment: tokens are read once, from the clips as they are")
        given = tokenized(self.options.encoder_run, config, ("train", "valid"), self.world)
        self.sequences, self.tokens = given.sequences, given.tokens
        self.mel = MelSpectrogram(MelConfig(**self.options.mel))
        self.plan = BatchPlan(
            self.sequences["train"].seconds, config.data.batch_seconds, config.seed
        )
        torch.manual_seed(config.seed)
        self.flow = FlowDecoder.from_reference(self.options.flow)
        self._voiced = self.flow.voice_width > 0
        self._start(given)
        self.modules: dict[str, nn.Module] = {"flow": self.flow}
        self.players = {"flow": ("flow",)}

    def batch(self, step: int) -> MelBatch:
        """Sequences of this step."""
        return self.collate("train", self.plan(self.world.position(step)))

    def losses(self, batch: MelBatch, step: int) -> Iterator[tuple[str, Tensor, dict[str, float]]]:
        """Flow matching and the prior."""
        self.flow.train()
        place = self.world.position(step)
        generator = torch.Generator().manual_seed(hash((self.config.seed, place)) % 2**63)
        voice = batch.voice
        if voice is not None:
            told = torch.rand(len(voice), generator=generator) >= self.options.voice_dropout
            voice = voice * told.to(voice)[:, None]
        out = self.flow.loss(
            batch.tokens, batch.token_lengths, batch.mel, batch.mel_lengths, voice, generator
        )
        # The losses are means over this process's frames; every frame of all counts alike.
        frames = batch.mel_lengths.sum()
        loss = self.world.mean((out.flow + self.options.prior_weight * out.prior) * frames, frames)
        yield "flow", loss, {"flow": out.flow.item(), "prior": out.prior.item()}

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """The same losses on held-out sequences with fixed randomness."""
        self.flow.eval()
        indices = range(len(self.tokens["valid"]))
        groups = [list(indices[i : i + 8]) for i in range(0, len(indices), 8)]
        generator = torch.Generator().manual_seed(0)
        totals = {"flow": 0.0, "prior": 0.0}
        for group in groups:
            batch = self._on_device(self.collate("valid", group))
            out = self.flow.loss(
                batch.tokens, batch.token_lengths, batch.mel, batch.mel_lengths, batch.voice,
                generator,
            )  # fmt: skip
            totals["flow"] += out.flow.item() / len(groups)
            totals["prior"] += out.prior.item() / len(groups)
        return totals

    @torch.no_grad()
    def samples(self) -> dict[str, Sample]:
        """Mels of three held-out sequences: real, and made from their tokens and voice."""
        self.flow.eval()
        rate = self.mel.config.rate
        batch = self._on_device(self.collate("valid", range(min(3, len(self.tokens["valid"])))))
        made = self.flow.mel(batch.tokens, lengths=batch.token_lengths, speaker=batch.voice)
        found: dict[str, Sample] = {}
        for i, frames in enumerate(batch.mel_lengths.tolist()):
            seconds = frames * self.mel.config.hop / rate
            for name, mel in (("real", batch.mel), ("made", made)):
                found[f"{i + 1}-{name}"] = Sample(None, rate, mel[i, :, :frames], seconds=seconds)
        return found

    def _on_device(self, batch: MelBatch) -> MelBatch:
        device = next(self.flow.parameters()).device
        tensors = {k: v.to(device) for k, v in vars(batch).items() if isinstance(v, Tensor)}
        return replace(batch, **tensors)  # type: ignore[arg-type]

    @torch.no_grad()
    def _start(self, tokens: Tokenized) -> None:
        """Weights that need not start from chance; see the options."""
        own = self.flow.state_dict()
        taken: dict[str, Tensor] = {}
        if self.options.start_from is not None:
            given = given_weights(self.options.start_from).modules
            if "flow" not in given:
                raise DataError(f"start_from: {self.options.start_from} has no flow decoder")
            before = given["flow"]
            taken = {n: t for n, t in before.items() if n in own and own[n].shape == t.shape}
            if _EMBEDDING in taken and not self.options.from_encoder:
                path = self.options.start_from
                taken[_EMBEDDING] = (
                    models_embeddings(path, tokens, taken[_EMBEDDING])
                    if is_model(path)
                    else self._carried_over(taken[_EMBEDDING], path)
                )
        if self.options.from_encoder:
            quantizer = tokens.encoder.quantizer
            assert quantizer is not None
            first = {_EMBEDDING: quantizer.codebook.weight}
            if isinstance(self.flow.encoder, TokenConvolutions):
                taken = {n: t for n, t in taken.items() if not n.startswith("encoder")}
                first |= {f"encoder.{name}": tensor for name, tensor in tokens.mel_head.items()}
                nn.init.eye_(self.flow.encoder_proj.weight)
                nn.init.zeros_(self.flow.encoder_proj.bias)
            for name, tensor in first.items():
                if name not in own or own[name].shape != tensor.shape:
                    raise ConfigError(
                        f"from_encoder: the encoder stage has {name} of {list(tensor.shape)}, "
                        "the flow has none such; make the sizes agree or leave from_encoder out"
                    )
            taken |= first
        for name, tensor in taken.items():
            own[name].copy_(tensor)
        # Convolutions beyond those that were taken over begin as if they were not there.
        if any(name.startswith("encoder.convs.") for name in taken):
            for name, tensor in own.items():
                if name.startswith("encoder.convs.") and name not in taken:
                    tensor.zero_()

    def _carried_over(self, embedding: Tensor, run: Path) -> Tensor:
        """`embedding [codes, width]` of another run's tokens for the tokens of this one."""
        other = load_config(run / "config.yaml")
        encoder_run = parse_options(FlowOptions, other.options, other.task).encoder_run
        if encoder_run == self.options.encoder_run:
            return embedding
        old = tokenized(encoder_run, self.config, ("train",), self.world).tokens["train"]
        return embeddings_of(old, self.tokens["train"], embedding)

    def extra_state(self) -> dict[str, Any]:
        """Nothing beyond the modules."""
        return {}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Nothing to take back."""

    def collate(self, split: str, indices: Sequence[int]) -> MelBatch:
        """Tokens, mels and voices of sequences of a split, on the CPU."""
        tokens = [self.tokens[split][i] for i in indices]
        mels = []
        for index, ids in zip(indices, tokens, strict=True):
            wave = self.sequences[split].wave(index)
            # The tokens cover whole frames of the encoder: pad or cut the wave to their length.
            frames = self.flow.frames(len(ids))
            wave = _fit(wave, frames * self.mel.config.hop)
            mels.append(self.mel(torch.from_numpy(wave)[None])[0])
        mel_lengths = torch.tensor([mel.shape[1] for mel in mels])
        batch = torch.zeros(len(mels), mels[0].shape[0], int(mel_lengths.max()))
        for row, mel in zip(batch, mels, strict=True):
            row[:, : mel.shape[1]] = mel
        return MelBatch(
            tokens=nn.utils.rnn.pad_sequence(tokens, batch_first=True),
            token_lengths=torch.tensor([len(ids) for ids in tokens]),
            mel=batch,
            mel_lengths=mel_lengths,
            voice=torch.stack([voice_vector(mel) for mel in mels]) if self._voiced else None,
            seconds=int(mel_lengths.sum()) * self.mel.config.hop / self.mel.config.rate,
        )


def _fit(wave: np.ndarray, length: int) -> np.ndarray:
    return np.pad(wave[:length], (0, max(0, length - len(wave))))
