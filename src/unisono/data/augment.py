"""Augmentation: which changes of sound training makes, how often and how strong, from the seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from unisono.data import effects
from unisono.data.dataset import ClipSet
from unisono.data.effects import Wave
from unisono.data.manifest import Kind

__all__ = ["LENGTH_CHANGING", "Applied", "AugmentSection", "Augmented", "Augmenter"]

LENGTH_CHANGING = frozenset({"speed"})
"""Effects after which a clip is of another length: labels by the frame no longer fit."""


def _ordered(span: tuple[float, float]) -> tuple[float, float]:
    if not span[0] <= span[1] or not np.isfinite(span).all():
        raise ValueError("a range is two finite numbers, the smaller first")
    return span


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
Positive = Annotated[float, Field(gt=0)]
Colour = Literal["white", "pink", "clips"]
PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(_ordered)]


class EffectSection(BaseModel):
    """An effect and its probability; values are drawn uniformly from its ranges."""

    model_config = ConfigDict(extra="forbid")

    probability: float = Field(default=0.0, ge=0, le=1)


class SpeedSection(EffectSection):
    """Faster and higher, as a tape; changes the length."""

    factor: PositiveRange = (0.9, 1.1)


class PitchSection(EffectSection):
    """Higher or lower, as long as before."""

    semitones: Range = (-3.0, 3.0)


class RoomSection(EffectSection):
    """Reverberation of a made-up room."""

    rt60: PositiveRange = (0.1, 0.7)
    """Seconds until it has fallen by 60 dB."""
    direct: Range = (0.0, 15.0)
    """Energy of the direct sound over the reverberation's, dB."""


class NoiseSection(EffectSection):
    """Noise at a signal-to-noise ratio."""

    snr: Range = (5.0, 30.0)
    """dB, over the whole clip."""
    colours: list[Colour] = Field(default=["white", "pink"], min_length=1)
    """One is drawn; `clips` are recordings from the sources below."""
    sources: list[str] = Field(default_factory=list)
    """Data sets with noise, in every form that `data.train` takes."""
    kinds: list[Kind] = Field(default=["sound", "music"])

    @model_validator(mode="after")
    def _has_sources(self) -> NoiseSection:
        if "clips" in self.colours and not self.sources:
            raise ValueError("colours name clips, but there are no sources of noise")
        return self


class BandSection(EffectSection):
    """A missing upper band, as of a lower sample rate, or a telephone."""

    cutoff: PositiveRange = (2500.0, 7000.0)
    """Hz; one beyond the clip's own band does nothing."""
    telephone: float = Field(default=0.25, ge=0, le=1)
    """Share of the cases that are a telephone instead."""


class GainSection(EffectSection):
    """Another loudness."""

    decibels: Range = (-12.0, 6.0)


class AugmentSection(BaseModel):
    """Effects in the order in which they are applied; without probabilities nothing changes."""

    model_config = ConfigDict(extra="forbid")

    speed: SpeedSection = Field(default_factory=SpeedSection)
    pitch: PitchSection = Field(default_factory=PitchSection)
    room: RoomSection = Field(default_factory=RoomSection)
    noise: NoiseSection = Field(default_factory=NoiseSection)
    band: BandSection = Field(default_factory=BandSection)
    gain: GainSection = Field(default_factory=GainSection)
    peak: float = Field(default=0.99, gt=0, le=1)
    """What was changed is turned down where it would exceed this."""

    @property
    def active(self) -> bool:
        """Whether any effect can happen."""
        return any(getattr(self, name).probability > 0 for name in _EFFECTS)

    @property
    def changes_length(self) -> bool:
        """Whether an effect can happen that changes the length."""
        return any(getattr(self, name).probability > 0 for name in LENGTH_CHANGING)


@dataclass(frozen=True)
class Applied:
    """One effect as it happened: its name and values, such as `{"snr": 12.3}`."""

    name: str
    values: dict[str, float | str]


@dataclass(frozen=True)
class Augmented:
    """Changed samples `[n]`, float32, and what was done to them, in order."""

    samples: Wave
    applied: tuple[Applied, ...]

    @property
    def changed_length(self) -> bool:
        """Whether the length is another one than before."""
        return any(effect.name in LENGTH_CHANGING for effect in self.applied)


class Augmenter:
    """Applies an `AugmentSection`; what happens depends on the seed and the place alone.

    Each effect has random numbers of its own, so that switching one on changes no other.

    Args:
        section: which effects.
        rate: sample rate in Hz of what comes in.
        seed: of the run.

    Raises:
        DataError: noise sources that are missing, or hold no clip.
    """

    def __init__(self, section: AugmentSection, rate: int, seed: int = 0) -> None:
        self.section, self.rate, self.seed = section, rate, seed
        noise = section.noise
        self.noises: ClipSet | None = None
        """Clips for `noise.colours: [clips]`."""
        if noise.probability > 0 and "clips" in noise.colours:
            self.noises = ClipSet(noise.sources, noise.kinds, rate=rate)

    def __call__(self, samples: Wave, *place: int) -> Augmented:
        """Samples `[n]` changed as (seed, place) decides; the very same array when nothing is.

        Args:
            samples: mono, float32.
            place: e.g. position of the batch and number of the item, none negative.
        """
        applied: list[Applied] = []
        wave = samples
        for number, name in enumerate(_EFFECTS):
            section = getattr(self.section, name)
            rng = np.random.default_rng((self.seed, *place, number))
            if rng.random() < section.probability and effects.power(wave) > 0:
                wave, values = getattr(self, f"_{name}")(wave, section, rng)
                if values:
                    applied.append(Applied(name, values))
        peak = float(np.abs(wave).max(initial=0.0))
        if applied and peak > self.section.peak:
            change = effects.decibels_of(self.section.peak / peak)
            # Scaled by a little less: rounding must not lift the largest sample above the limit.
            wave = wave * np.float32(self.section.peak / peak * (1 - 1e-6))
            applied.append(Applied("limit", {"decibels": change}))
        return Augmented(wave, tuple(applied))

    def _speed(self, wave: Wave, section: SpeedSection, rng: np.random.Generator) -> _Change:
        factor = rng.uniform(*section.factor)
        return effects.change_speed(wave, factor, self.rate), {"factor": factor}

    def _pitch(self, wave: Wave, section: PitchSection, rng: np.random.Generator) -> _Change:
        semitones = rng.uniform(*section.semitones)
        return effects.change_pitch(wave, semitones, self.rate), {"semitones": semitones}

    def _room(self, wave: Wave, section: RoomSection, rng: np.random.Generator) -> _Change:
        rt60, direct = rng.uniform(*section.rt60), rng.uniform(*section.direct)
        response = effects.impulse_response(rt60, direct, self.rate, rng)
        return effects.reverberate(wave, response), {"rt60": rt60, "direct": direct}

    def _noise(self, wave: Wave, section: NoiseSection, rng: np.random.Generator) -> _Change:
        snr = rng.uniform(*section.snr)
        colour = section.colours[rng.integers(len(section.colours))]
        values: dict[str, float | str] = {"snr": snr, "colour": colour}
        if colour == "clips":
            noise, label = self._recorded(len(wave), rng)
            values |= {"label": label} if label else {}
        else:
            make = effects.white_noise if colour == "white" else effects.pink_noise
            noise = make(len(wave), rng)
        if effects.power(noise) == 0:
            return wave, {}
        return effects.add_noise(wave, noise, snr), values

    def _recorded(self, length: int, rng: np.random.Generator) -> tuple[Wave, str]:
        """A stretch of a noise clip, repeated where it is too short, and the clip's label."""
        assert self.noises is not None
        index = int(rng.integers(len(self.noises)))
        whole, wanted = self.noises.items[index].duration, length / self.rate
        offset = rng.uniform(0, max(0.0, whole - wanted))
        clip = self.noises.take(index, offset, min(wanted, whole))
        return np.resize(clip.samples, length), self.noises.items[clip.index].label

    def _band(self, wave: Wave, section: BandSection, rng: np.random.Generator) -> _Change:
        if rng.random() < section.telephone:
            return effects.telephone(wave, self.rate), {"line": "telephone"}
        cutoff = rng.uniform(*section.cutoff)
        if 2 * cutoff >= self.rate:
            return wave, {}
        return effects.band_limit(wave, cutoff, self.rate), {"cutoff": cutoff}

    def _gain(self, wave: Wave, section: GainSection, rng: np.random.Generator) -> _Change:
        decibels = rng.uniform(*section.decibels)
        return effects.change_gain(wave, decibels), {"decibels": decibels}


_Change = tuple[Wave, dict[str, float | str]]
_EFFECTS = ("speed", "pitch", "room", "noise", "band", "gain")
