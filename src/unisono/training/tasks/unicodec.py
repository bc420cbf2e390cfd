"""Stage: UniCodec, whole; reconstruction, rate and distillation first, then adversarial as well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from unisono.data.dataset import ClipSet
from unisono.data.effects import band_limit
from unisono.quantize.gumbel import Quantized, gumbel_temperature
from unisono.synthesis.mel import MelConfig, MelSpectrogram
from unisono.training.config import Section, TrainConfig, parse_options
from unisono.training.disguise import disguise, draw_disguises
from unisono.training.given import take_weights
from unisono.training.losses import (
    CompressedSpectralLoss,
    MultiScaleMelLoss,
    discriminator_loss,
    feature_matching,
    generator_loss,
)
from unisono.training.pitch_track import track_pitch
from unisono.training.prefetch import to_device
from unisono.training.reporting import Sample
from unisono.training.speech_teacher import TaughtClips
from unisono.training.voice_crops import VoiceCrops
from unisono.training.voice_swap import swapped_voices
from unisono.training.world import World
from unisono.unicodec.config import UniCodecConfig
from unisono.unicodec.discriminator import SpectrumDiscriminator
from unisono.unicodec.model import UniCodec, Vectors
from unisono.unicodec.pitch import PitchQuantizer
from unisono.unicodec.source import Pitch

_NARROW = (0.2, 0.33)
"""Highest frequency of a recording without an upper band, as a share of the rate."""


class TeacherSection(Section):
    """Whose states S is to tell of."""

    model: str
    """Folder or hub id of a speech model of transformers."""
    layer: int = Field(ge=0)
    cache: Path
    """Folder for its features of all clips."""


class UniCodecOptions(Section):
    """Options of the UniCodec stage; the weights are the specification's."""

    model: dict[str, Any] = Field(default_factory=dict)
    """Sizes, see `UniCodecConfig`; what is left out is the full size."""
    start_from: Path | None = None
    """Run of this stage or model (embedded name or folder): weights of equal name and shape are
    taken over."""
    crop_seconds: float = Field(3.0, gt=0)
    other_share: float = Field(0.5, ge=0, le=1)
    """Share of the crops whose G comes from another crop of the same voice (ours): so it cannot
    tell what is said."""
    residual_dropout: float = Field(0.25, ge=0, le=1)
    """Share of the crops that are decoded without P (ours)."""
    temperature: tuple[float, float, float] = (2.0, 0.9999995, 0.5)
    """Gumbel's temperature at the start, its factor a step, and its least."""
    semantic_bits: float = Field(10.24, gt=0)
    """Entropy of S a frame that the rate loss aims at."""
    residual_bits: float = Field(30.0, gt=0)
    rate_weight: float = Field(4e-4, ge=0)
    """0.04 · 0.01 for each bit beside the aim."""
    spectral_weight: float = Field(1.0, ge=0)
    spectral_phases: float = Field(0.5, ge=0, le=1)
    """Share of the spectral term that counts phases; a decoder with a source cannot know them."""
    pitch_weight: float = Field(1.0, ge=0)
    """Of the pitch's error in octaves, of decoders with a source (ours)."""
    voicing_weight: float = Field(0.2, ge=0)
    tracking_weight: float = Field(0.3, ge=0)
    """Of the cross-entropy of pitch and voicing as the encoder finds them, where P tells them."""
    pitch_alone: float = Field(0.0, ge=0, le=1)
    """Share of the crops that are decoded with nothing of P but the pitch, as another voice is
    (ours); of those that have P at all."""
    swap_voice: float = Field(0.0, ge=0)
    """Weight of the voice, see `training.voice_swap`; 0: nothing is said again by others (ours)."""
    swap_content: float = Field(0.5, ge=0)
    """Weight of what is said then."""
    disguise_share: float = Field(0.0, ge=0, le=1)
    """Share of the crops of which S and P are given a disguised version (ours)."""
    disguise_residual: bool = True
    """Whether P is given it too."""
    disguise_octaves: float = Field(0.4, ge=0)
    """Pitch and formants go up or down together by as much at most."""
    disguise_colour: float = Field(0.3, ge=0)
    """Standard deviation of the logarithm of the gains at six frequencies."""
    disguise_band: float = Field(0.0, ge=0, le=1)
    """Share of the disguises that take the upper band away."""
    narrow_share: float = Field(0.0, ge=0, le=1)
    """Share of the crops that are recordings without an upper band, G's other crop too: so that G
    tells such recordings (ours)."""
    mel_weight: float = Field(0.25, ge=0)
    teacher: TeacherSection | None = None
    distill_weight: float = Field(0.5, ge=0)
    consistency_weight: float = Field(0.1, ge=0)
    """Of 1 - cos between G's vectors of two crops of one voice [TiCodec]."""
    adversarial_from: int = Field(10**9, ge=0)
    """First step with the discriminator: stage 2."""
    discriminator_every: int = Field(1, ge=1)
    discriminator: dict[str, Any] = Field(default_factory=dict)
    adversarial_weight: float = Field(0.001, ge=0)
    matching_weight: float = Field(0.1, ge=0)
    valid_seconds: float = Field(60.0, gt=0)


@dataclass(frozen=True)
class Crops:
    """Waves `[B, n]`; others `[B, n]` of the same voices; swapped, absent, alone `[B]` bool.

    taught `[B, T, W]`: the teacher's features, zeros where there are none; no width: no teacher.
    octaves, voiced `[B, T * fold]`: the pitch, see `track_pitch`; no width: no source.
    shifts, band `[B]`, colour `[B, knots]`: see `disguise`.
    """

    wave: Tensor
    other: Tensor
    swapped: Tensor
    absent: Tensor
    alone: Tensor
    taught: Tensor
    octaves: Tensor
    voiced: Tensor
    shifts: Tensor
    colour: Tensor
    band: Tensor
    seconds: float


@dataclass(frozen=True)
class Made:
    """What the model made of crops: waves `[B, n]`, G of both crops, quantized S and P, pitch.

    tracking: what the encoder's pitch costs, where P tells it. swapped: see `swapped_voices`.
    """

    wave: Tensor
    glob: Tensor
    other: Tensor
    semantic: Quantized
    residual: Quantized
    pitch: Pitch | None
    tracking: Tensor | None = None
    swapped: tuple[Tensor, Tensor] | None = None


class UniCodecTask:
    """Trains all of `UniCodec` together; each term as the specification names its source."""

    mixed_precision = False
    """Compressed spectra span many orders of magnitude, as the vocoder's do."""

    def __init__(self, config: TrainConfig, world: World | None = None) -> None:
        self.config = config
        self.world = world or World()
        self.options: UniCodecOptions = parse_options(UniCodecOptions, config.options, config.task)
        torch.manual_seed(config.seed)
        self.sizes = UniCodecConfig.from_dict(self.options.model)
        self.model = UniCodec(self.sizes)
        self.sets = {split: self._clips(split) for split in ("train", "valid")}
        self.crops = {
            split: VoiceCrops(clips, self.sizes.frame) for split, clips in self.sets.items()
        }
        self.frames = max(1, round(self.options.crop_seconds * self.sizes.rate / self.sizes.frame))
        self.taught: dict[str, TaughtClips] = {}
        self.modules: dict[str, nn.Module] = {"codec": self.model}
        if (teacher := self.options.teacher) is not None:
            for split, clips in self.sets.items():
                self.taught[split] = TaughtClips(
                    clips, teacher.cache / split, teacher.model, teacher.layer, self.sizes.frame,
                    self.world,
                )  # fmt: skip
            dim = self.sizes.semantic_stream.book.dim
            self.distiller = nn.Linear(dim, self.taught["train"].width)
            self.modules["distiller"] = self.distiller
        self.players: dict[str, tuple[str, ...]] = {"generator": tuple(self.modules)}
        if self.options.adversarial_from < config.steps:
            self.discriminator = SpectrumDiscriminator(**self.options.discriminator)
            self.modules["discriminator"] = self.discriminator
            self.players["discriminator"] = ("discriminator",)
        if self.options.start_from is not None:
            take_weights(self.modules, self.options.start_from)
        self.spectral_loss = CompressedSpectralLoss(
            self.sizes.window, self.sizes.hop, phases=self.options.spectral_phases
        )
        self.mel_loss = MultiScaleMelLoss(self.sizes.rate)
        self.mel = MelSpectrogram(MelConfig(self.sizes.rate, fmax=None))

    def batch(self, step: int) -> Crops:
        """Random crops of this step; clips weighted by their length."""
        rng = np.random.default_rng((self.config.seed, 2, self.world.position(step)))
        seconds = self.frames * self.sizes.frame / self.sizes.rate
        count = max(1, round(self.config.data.batch_seconds / seconds))
        return self._collate("train", count, rng)

    def losses(self, batch: Crops, step: int) -> Iterator[tuple[str, Tensor, dict[str, float]]]:
        """First the discriminator's turn, once it plays; then the generator's."""
        o = self.options
        self.model.train()
        self.mel_loss.to(batch.wave.device)
        temperature = gumbel_temperature(step, *o.temperature)
        made = self.make(batch, temperature)
        adversarial = step >= o.adversarial_from
        if adversarial and step % o.discriminator_every == 0:
            real, _ = self.discriminator(batch.wave)
            fake, _ = self.discriminator(made.wave.detach())
            yield "discriminator", discriminator_loss(real, fake), {}
        terms = self._terms(batch, made)
        loss = sum(weight * term for weight, term in terms.values())
        figures = {name: term.item() for name, (_, term) in terms.items()}
        figures |= {"bits_s": made.semantic.bits.item(), "bits_p": made.residual.bits.item()}
        if adversarial:
            self.discriminator.requires_grad_(False)
            with torch.no_grad():
                _, features_real = self.discriminator(batch.wave)
            scores, features = self.discriminator(made.wave)
            self.discriminator.requires_grad_(True)
            fooled, matching = generator_loss(scores), feature_matching(features_real, features)
            loss = loss + o.adversarial_weight * fooled + o.matching_weight * matching
            figures |= {"fooled": fooled.item(), "matching": matching.item()}
        yield "generator", torch.as_tensor(loss), figures

    def make(self, batch: Crops, temperature: float | None) -> Made:
        """Through the quantizers and back; `temperature` None: as for real tokens."""
        model = self.model
        spectrum = model.spectrum(batch.wave)
        glob = model.global_encoder(spectrum)
        other = model.global_encoder(model.spectrum(batch.other))
        chosen = torch.where(batch.swapped[:, None], other, glob)
        voice = model.global_encoder.quantizer(chosen, temperature)
        hidden = spectrum
        if batch.shifts.any() or batch.colour.any():
            hidden = disguise(spectrum, batch.shifts, batch.colour, batch.band)
        semantic = model.semantic_encoder.quantizer(model.semantic_encoder(hidden), temperature)
        # While training the pitch is given, so that the filters learn for the right harmonics.
        given = None
        if temperature is not None and batch.octaves.shape[-1]:
            given = Pitch(batch.octaves, batch.voiced)
        seen = hidden if self.options.disguise_residual else spectrum
        left = model.residual_encoder(seen, semantic.vectors, pitch=given)
        residual = model.residual_encoder.quantizer(left, temperature)
        kept = residual.vectors
        if model.config.pitch:
            kept = torch.where(batch.alone[:, None, None], model.pitch_alone(kept), kept)
        kept = torch.where(batch.absent[:, None, None], model.no_residual, kept)
        wave, pitch = model.draw(Vectors(voice.vectors, semantic.vectors, kept), given)
        tracking = self._tracking(hidden, batch) if model.config.pitch else None
        swapped = None
        if self.options.swap_voice:
            swapped = swapped_voices(
                model, voice.vectors, semantic.vectors, spectrum, Pitch(batch.octaves, batch.voiced)
            )
        return Made(wave, glob, other, semantic, residual, pitch, tracking, swapped)

    def _tracking(self, spectrum: Tensor, batch: Crops) -> Tensor:
        """Cross-entropy of the levels between which the pitch lies where voiced, and of voicing.

        A disguise has moved the pitch of `spectrum` as well.
        """
        encoder = self.model.residual_encoder
        assert encoder.tracker is not None and isinstance(encoder.quantizer, PitchQuantizer)
        levels, voice = encoder.tracker(spectrum.detach().square().sum(1).sqrt())
        place = encoder.quantizer.book.place(batch.octaves + batch.shifts[:, None])
        low = place.floor().clamp(max=levels.shape[-1] - 2).long()
        scores = levels.log_softmax(-1)
        near, next_one = (scores.gather(-1, (low + n)[..., None])[..., 0] for n in range(2))
        missed = -((1 - (place - low)) * near + (place - low) * next_one) * batch.voiced
        voicing = F.binary_cross_entropy_with_logits(voice, batch.voiced)
        return missed.sum() / batch.voiced.sum().clamp(min=1) + voicing

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """On fixed held-out crops: all terms, and the mel distance of all, of G + S alone, and of
        these with the pitch where P says it."""
        self.model.eval()
        batch = self._held_out()
        self.mel_loss.to(batch.wave.device)
        figures = {}
        for kept in self._versions():
            made = self.make(_decoded_from(batch, kept), None)
            figures[f"mel_distance{kept}"] = self._mel_distance(made.wave, batch.wave)
            if not kept:
                terms = self._terms(batch, made)
                figures |= {term: float(value) for term, (_, value) in terms.items()}
                figures |= {
                    "bits_s": float(made.semantic.bits),
                    "bits_p": float(made.residual.bits),
                }
        return figures

    @torch.no_grad()
    def samples(self) -> dict[str, Sample]:
        """Three held-out crops: real, from all tokens, and from fewer, as `evaluate` has them."""
        self.model.eval()
        batch = self._held_out()
        found: dict[str, Sample] = {}
        versions = {"real": batch.wave[:3]}
        for kept in self._versions():
            made = self.make(_decoded_from(batch, kept), None)
            versions["made" + kept.replace("_", "-")] = made.wave[:3]
        mel = self.mel.to(batch.wave.device)
        for name, waves in versions.items():
            for number, (wave, picture) in enumerate(zip(waves, mel(waves), strict=True), 1):
                found[f"{number}-{name}"] = Sample(wave, self.sizes.rate, picture)
        return found

    def extra_state(self) -> dict[str, Any]:
        """Nothing beyond the modules."""
        return {}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Nothing to take back."""

    def _terms(self, batch: Crops, made: Made) -> dict[str, tuple[float, Tensor]]:
        """Weight and value of every term but the adversarial ones."""
        o = self.options
        off = (made.semantic.bits - o.semantic_bits).abs()
        off = off + (made.residual.bits - o.residual_bits).abs()
        alike = F.cosine_similarity(made.glob, made.other.detach(), dim=-1)
        terms = {
            "spectral": (o.spectral_weight, self.spectral_loss(made.wave, batch.wave)),
            "mel": (o.mel_weight, self.mel_loss(made.wave, batch.wave)),
            "rate": (o.rate_weight, off),
            "consistency": (o.consistency_weight, (1 - alike).mean()),
        }
        if made.pitch is not None and made.pitch.logits is not None:
            away = (made.pitch.octaves - batch.octaves).abs() * batch.voiced
            terms["pitch"] = (o.pitch_weight, away.sum() / batch.voiced.sum().clamp(min=1))
            voicing = F.binary_cross_entropy_with_logits(made.pitch.logits, batch.voiced)
            terms["voicing"] = (o.voicing_weight, voicing)
        if made.tracking is not None:
            terms["tracking"] = (o.tracking_weight, made.tracking)
        if made.swapped is not None:
            terms["swap_voice"] = (o.swap_voice, made.swapped[0])
            terms["swap_content"] = (o.swap_content, made.swapped[1])
        if batch.taught.shape[-1]:
            told = self.distiller(made.semantic.vectors)
            real = batch.taught.abs().sum(-1) > 0
            near = F.logsigmoid(F.cosine_similarity(told, batch.taught, dim=-1))
            distill = -(near * real).sum() / real.sum().clamp(min=1)
            terms["distill"] = (o.distill_weight, distill)
        return terms

    def _versions(self) -> tuple[str, ...]:
        return ("", "_gs", "_gs_pitch") if self.sizes.pitch else ("", "_gs")

    def _mel_distance(self, made: Tensor, real: Tensor) -> float:
        mel = self.mel.to(real.device)
        return float(F.l1_loss(mel(made), mel(real)))

    def _clips(self, split: str) -> ClipSet:
        data = self.config.data
        return ClipSet(data.train, data.kinds, data.weights, self.sizes.rate, split)

    def _held_out(self) -> Crops:
        """The same held-out crops every time."""
        seconds = self.frames * self.sizes.frame / self.sizes.rate
        count = max(2, round(self.options.valid_seconds / seconds))
        batch = self._collate("valid", count, np.random.default_rng(0))
        never = torch.zeros_like(batch.swapped)
        plain = torch.ones_like(batch.band)
        batch = replace(batch, shifts=batch.shifts * 0, colour=batch.colour * 0, band=plain)
        return to_device(replace(batch, swapped=never), self.model.device)

    def _collate(self, split: str, count: int, rng: np.random.Generator) -> Crops:
        crops, taught = self.crops[split], self.taught.get(split)
        waves: list[np.ndarray] = []
        others: list[np.ndarray] = []
        lessons = []
        for _ in range(count):
            parts = crops.draw(rng, self.frames)
            gain = np.float32(10 ** rng.uniform(-0.5, 0.1))
            other = crops.draw_like(parts[0].clip, rng, self.frames)
            both = [crops.read(parts), crops.read(other)]
            if rng.random() < self.options.narrow_share:
                cutoff = rng.uniform(*_NARROW) * self.sizes.rate
                both = [band_limit(wave, cutoff, self.sizes.rate) for wave in both]
            for kept, wave in zip((waves, others), both, strict=True):
                kept.append(wave * gain)
            if taught is not None:
                lessons.append(
                    np.concatenate([taught.read(p.clip, p.first, p.frames) for p in parts])
                )
        none = np.zeros((count, self.frames, 0), np.float32)
        hop, o = self.sizes.hop, self.options
        octaves = voiced = torch.zeros(count, 0)
        if self.sizes.decoder.source:
            tracks = [track_pitch(wave, self.sizes.rate, hop) for wave in waves]
            octaves, voiced = (torch.from_numpy(np.stack(x)) for x in zip(*tracks, strict=True))
        chance = torch.Generator().manual_seed(int(rng.integers(2**62)))
        disguises = draw_disguises(
            count, o.disguise_octaves, o.disguise_colour, o.disguise_share, chance, o.disguise_band
        )
        return Crops(
            torch.from_numpy(np.stack(waves)),
            torch.from_numpy(np.stack(others)),
            torch.from_numpy(rng.random(count) < o.other_share),
            torch.from_numpy(rng.random(count) < o.residual_dropout),
            torch.from_numpy(rng.random(count) < o.pitch_alone),
            torch.from_numpy(np.stack(lessons) if lessons else none),
            octaves,
            voiced,
            *disguises,
            count * self.frames * self.sizes.frame / self.sizes.rate,
        )


def _decoded_from(batch: Crops, kept: str) -> Crops:
    """The crops to decode from all of their tokens, from G and S `_gs`, and with the pitch
    `_gs_pitch`."""
    absent, alone = (torch.full_like(batch.absent, kept == n) for n in ("_gs", "_gs_pitch"))
    return replace(batch, absent=absent, alone=alone)
