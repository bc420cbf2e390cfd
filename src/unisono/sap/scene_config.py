"""Which scenes are composed, from what, and how strong every change is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from unisono.data.manifest import Kind, Split
from unisono.errors import ConfigError

__all__ = ["Mix", "SceneConfig", "load_scene_config"]

Mix = Literal[
    "speech",
    "speech+events",
    "speech+music",
    "speech+events+music",
    "events",
    "music",
    "events+music",
]
"""What a scene holds, without noise."""


def _ordered(span: tuple[float, float]) -> tuple[float, float]:
    if not span[0] <= span[1] or not np.isfinite(span).all():
        raise ValueError("a range is two finite numbers, the smaller first")
    return span


Share = Annotated[float, Field(ge=0, le=1)]
Span = Annotated[tuple[float, float], AfterValidator(_ordered)]
Length = Annotated[float, Field(ge=0, le=60)]
Lengths = Annotated[tuple[Length, Length], AfterValidator(_ordered)]
Positive = Annotated[float, Field(gt=0)]
Positives = Annotated[tuple[Positive, Positive], AfterValidator(_ordered)]
Factor = Annotated[float, Field(ge=0.5, le=2)]
Factors = Annotated[tuple[Factor, Factor], AfterValidator(_ordered)]
Octave = Annotated[float, Field(ge=-12, le=12)]
Semitones = Annotated[tuple[Octave, Octave], AfterValidator(_ordered)]
Level = Annotated[float, Field(ge=-60, le=0)]
Levels = Annotated[tuple[Level, Level], AfterValidator(_ordered)]
Times = Annotated[int, Field(ge=0, le=1000)]


class Section(BaseModel):
    """A part of the config; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid")


class Material(Section):
    """Clips of one role: data in every form that `data.train` of a training config takes."""

    sources: list[str] = Field(default_factory=list)
    kinds: list[Kind]
    weights: dict[str, float] = Field(default_factory=dict)
    """Share of a source's clips that is used; 0 leaves it out, 2 repeats it."""


class SpeedChange(Section):
    """Faster or slower speech, the pitch kept."""

    probability: Share = 0.4
    factor: Factors = (0.72, 1.4)


class PitchChange(Section):
    """Higher or lower speech, the length kept."""

    probability: Share = 0.3
    semitones: Semitones = (-3.0, 3.0)


class BandChange(Section):
    """Speech without its upper band, or over a telephone."""

    probability: Share = 0.0
    cutoff: Positives = (2500.0, 5000.0)
    telephone: Share = 0.5
    """Share of the cases that are a telephone."""


class PlaySpeed(Section):
    """A sound played faster or slower: higher and shorter, or lower and longer."""

    probability: Share = 0.0
    factor: Factors = (0.8, 1.25)


class Repeats(Section):
    """A short sound again and again, as one chops, hammers, walks or shoots: still one event."""

    probability: Share = 0.0
    times: tuple[Annotated[int, Field(ge=2, le=20)], Annotated[int, Field(ge=2, le=20)]] = (2, 8)
    """Fewest and most."""
    pause: Lengths = (0.0, 0.4)
    """Seconds between two; one length for all, give or take a fifth."""
    longest: Positive = 1.0
    """Longer sounds than this many seconds come once."""

    @model_validator(mode="after")
    def _counts(self) -> Repeats:
        if self.times[0] > self.times[1]:
            raise ValueError("times is two numbers, the smaller first")
        return self


class SpeechMaterial(Material):
    """Speech with text; clips of one speaker follow each other until the scene is long enough."""

    kinds: list[Kind] = ["speech"]
    speakers: Path | None = None
    """Table of voices (`unisono compose CONFIG --voices` makes it); none: gender unknown."""
    only_known_gender: bool = False
    """Leave out voices whose gender the table does not tell."""
    languages: list[str] = Field(default_factory=list)
    """Languages that are used; none named: all."""
    clips: int = Field(default=3, ge=1, le=20)
    """Most clips in a scene."""
    pause: Lengths = (0.15, 0.5)
    """Seconds between two clips."""
    level: Levels = (-36.0, -16.0)
    """dB over full scale."""
    speed: SpeedChange = Field(default_factory=SpeedChange)
    pitch: PitchChange = Field(default_factory=PitchChange)
    band: BandChange = Field(default_factory=BandChange)


class EventMaterial(Material):
    """Labelled sounds."""

    kinds: list[Kind] = ["sound"]
    rename: dict[str, str] = Field(default_factory=dict)
    """Labels under other names, beyond `words.RENAMED`; an empty name leaves the label out."""
    balance: Share = 0.5
    """How often a label comes: by its clips' number to the power of 1 - balance."""
    least: int = Field(default=1, ge=1)
    """Labels with fewer clips are left out."""
    count: tuple[Annotated[int, Field(ge=1, le=8)], Annotated[int, Field(ge=1, le=8)]] = (1, 2)
    seconds: Positives = (0.1, 6.0)
    """Shortest and longest event that comes and goes; a longer clip is cut."""
    loop: Share = 0.5
    """Share of lasting sounds (`words.LASTING`) that are repeated to last over the scene."""
    level: Levels = (-34.0, -14.0)
    """dB over full scale of the loudest event where nobody speaks."""
    snr: Span = (-3.0, 15.0)
    """Foreground over the event, dB, each over its own extent."""
    alone: Share = 0.0
    """Share of the scenes of events only that hold one event and little around it."""
    speed: PlaySpeed = Field(default_factory=PlaySpeed)
    repeat: Repeats = Field(default_factory=Repeats)

    @model_validator(mode="after")
    def _counts(self) -> EventMaterial:
        if self.count[0] > self.count[1]:
            raise ValueError("count is two numbers, the smaller first")
        return self


class MusicMaterial(Material):
    """Music, over the whole scene."""

    kinds: list[Kind] = ["music"]
    level: Levels = (-36.0, -14.0)
    """dB over full scale where it is alone."""
    snr: Span = (0.0, 18.0)
    """Foreground over the music, dB."""


class NoiseChange(Section):
    """Noise over the whole scene."""

    probability: Share = 0.15
    colours: list[Literal["white", "pink"]] = Field(default=["white", "pink"], min_length=1)
    snr: Span = (8.0, 24.0)
    """Foreground over the noise, dB."""


class RoomChange(Section):
    """A made-up room in which voices and sounds are; music and noise are not in it."""

    probability: Share = 0.2
    rt60: Positives = (0.2, 0.9)
    """Seconds until the reverberation has fallen by 60 dB."""
    direct: Span = (-3.0, 12.0)
    """Energy of the direct sound over the reverberation's, dB."""


class SceneConfig(Section):
    """Scenes: what they hold, how long they are, and what is done to the parts."""

    rate: int = Field(16_000, ge=8000, le=192_000)
    split: Split = "train"
    size: int = Field(100_000, ge=1)
    """Scenes that count as the whole set; each is a function of the seed and its number."""
    seconds: Annotated[tuple[Positive, Positive], AfterValidator(_ordered)] = (2.0, 12.0)
    """Shortest and longest scene."""
    mix: dict[Mix, Times] = Field(default_factory=lambda: dict(_MIX))
    """How often each kind of scene comes, in whole numbers."""
    speech: SpeechMaterial = Field(default_factory=SpeechMaterial)
    events: EventMaterial = Field(default_factory=EventMaterial)
    music: MusicMaterial = Field(default_factory=MusicMaterial)
    noise: NoiseChange = Field(default_factory=NoiseChange)
    room: RoomChange = Field(default_factory=RoomChange)
    peak: float = Field(default=0.98, gt=0, le=0.999)
    """A scene that exceeds this is turned down as a whole."""
    varied: bool = True
    """Whether labels draw among several phrasings; False: always the first, for small models."""

    @model_validator(mode="after")
    def _has_material(self) -> SceneConfig:
        if not any(self.mix.values()):
            raise ValueError("mix has no kind of scene with a number above 0")
        for role in ("speech", "events", "music"):
            if self.uses(role) and not getattr(self, role).sources:
                raise ValueError(f"mix has scenes with {role}, but {role}.sources names no data")
        return self

    def uses(self, role: str) -> bool:
        """Whether any kind of scene holds speech, events or music."""
        return any(times and role in mix.split("+") for mix, times in self.mix.items())


_MIX: dict[Mix, int] = {
    "speech": 6,
    "speech+events": 4,
    "speech+music": 2,
    "speech+events+music": 1,
    "events": 4,
    "music": 1,
    "events+music": 1,
}


def load_scene_config(path: str | Path) -> SceneConfig:
    """Read a YAML file that holds a `SceneConfig`.

    Raises:
        ConfigError: missing, not YAML, or a key or value is wrong; the sentence names it.
    """
    path = Path(path)
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give a YAML file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: not plain YAML ({reason}); tags are refused") from error
    try:
        return SceneConfig.model_validate(tree)
    except ValidationError as error:
        parts = (f"{'.'.join(map(str, e['loc'])) or 'scenes'}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"{path}: {'; '.join(parts)}") from error
