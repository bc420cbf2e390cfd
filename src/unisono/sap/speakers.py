"""Who speaks: a table of voices, and gender and age estimated from pitch where nobody says them.

Method (ours): the median F0 of each of a voice's clips (DIO and StoneMask of WORLD), then the
median over clips. Adult men speak at medians of about 85 to 155 Hz, adult women at 165 to 255 Hz;
the thresholds below lie inside, and between and above them the answer is "unknown". A voice whose
clips differ by more than `MIXED` semitones is several people under one name: unknown as well.
Whose gender was found is taken for an adult: pitch cannot tell the elderly, nor a child from a high
female voice. What is known better is stated in the table, and estimation leaves stated lines alone.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from unisono.data.dataset import ClipSet
from unisono.data.effects import Wave
from unisono.data.manifest import ManifestItem
from unisono.errors import DataError, require_extra
from unisono.sap.values import Age, Emotion, Gender
from unisono.storage.atomic import write_bytes

__all__ = [
    "Voice",
    "clip_pitch",
    "find_voice",
    "letters",
    "measure_voices",
    "read_voices",
    "write_voices",
]

MALE_BELOW, FEMALE_ABOVE, FEMALE_BELOW = 145.0, 175.0, 260.0
"""Median F0 in Hz: male below the first, female between the next two."""
FREE_SHIFT = 2.0
"""Semitones by which any voice may be raised or lowered and is heard as of its gender still."""
MIXED = 5.0
"""Semitones between the quartiles of a voice's clips beyond which it is several people."""
LEAST_VOICED, LEAST_CLIPS = 0.2, 3
"""Seconds of voice that a clip needs to count, and clips that a voice needs."""

LEAST_LETTERS = 12
"""Letters below which a clip has no pace of its own: a short word may be drawn out."""

Method = Literal["stated", "name", "pitch", "unknown"]

_NAMED = re.compile(r"(?:^|[-_. ])(female|woman|male|man|f|m)(?:[-_. ]|$)", re.IGNORECASE)


class Voice(BaseModel):
    """One line of the table.

    Attributes:
        speaker: the name in the manifests, without a `*FACTOR` at its end.
        gender, age: None when unknown.
        accent: such as "Scottish English"; empty: the language tells.
        emotion: of every clip that does not say its own, for a voice that only reads.
        language: the commonest of its clips.
        pitch: median F0, Hz.
        spread: semitones between the quartiles of the clips' medians.
        pace: letters a second, median over clips with text.
        clips: how many were measured.
        method: who says gender and age: `stated` by a person, the speaker's `name` (as in
            `es_MX_f_Allison`), measured `pitch`, or nobody.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    speaker: str = Field(min_length=1)
    gender: Gender | None = None
    age: Age | None = None
    accent: str = ""
    emotion: Emotion | None = None
    language: str = ""
    pitch: float | None = Field(default=None, gt=0)
    spread: float | None = Field(default=None, ge=0)
    pace: float | None = Field(default=None, gt=0)
    clips: int = Field(default=0, ge=0)
    method: Method = "stated"

    def raised(self, factor: float) -> Voice:
        """The voice played `factor` times as fast, as a tape: its measures change with it.

        Its gender and age become unknown where `keeps_gender` denies.
        """
        pitch = None if self.pitch is None else self.pitch * factor
        changed: dict[str, object] = {
            "pitch": pitch, "pace": None if self.pace is None else self.pace * factor
        }  # fmt: skip
        if not self.keeps_gender(12 * math.log2(factor)):
            changed |= {"gender": None, "age": None}
        return self.model_copy(update=changed)

    def keeps_gender(self, semitones: float) -> bool:
        """Whether the voice, so much higher, is still heard as of its gender.

        It is when it is moved by little, or away from the other gender, or stays on its own side
        of the middle between the thresholds. Of a voice without a pitch only the first is known.
        """
        if self.gender is None or abs(semitones) <= FREE_SHIFT:
            return True
        if self.pitch is None:
            return False
        pitch, middle = self.pitch * 2 ** (semitones / 12), (MALE_BELOW + FEMALE_ABOVE) / 2
        if self.gender == "Male":
            return semitones < 0 or pitch <= middle
        return semitones > 0 or pitch >= middle


def find_voice(voices: Mapping[str, Voice], speaker: str) -> Voice | None:
    """The line of a speaker; `joe*1.12` is the voice `joe` played 1.12 times as fast."""
    if speaker in voices:
        return voices[speaker]
    name, factor = split_factor(speaker)
    voice = voices.get(name)
    return None if voice is None else voice.raised(factor)


def split_factor(speaker: str) -> tuple[str, float]:
    """Name and speed of `NAME*FACTOR`; 1 when there is no factor."""
    name, star, factor = speaker.rpartition("*")
    if star and re.fullmatch(r"\d+(\.\d+)?", factor) and float(factor) > 0:
        return name, float(factor)
    return speaker, 1.0


def read_voices(path: str | Path) -> dict[str, Voice]:
    """A table of voices: JSON Lines, one `Voice` each.

    Raises:
        DataError: it cannot be read, a line is wrong, or two lines are of one speaker.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(
            f"{path}: the table of voices cannot be read ({error.strerror}); make it with "
            "`unisono compose CONFIG --voices`"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: the table of voices is not UTF-8 text") from error
    voices: dict[str, Voice] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            voice = Voice.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"])) or "line"
            raise DataError(f"{path}, line {number}: {field}: {first['msg']}") from error
        if voice.speaker in voices:
            raise DataError(f"{path}, line {number}: a second line for {voice.speaker}; keep one")
        voices[voice.speaker] = voice
    return voices


def write_voices(path: str | Path, voices: Iterable[Voice]) -> None:
    """Write a table, sorted by name; the file appears only when whole."""
    lines = [
        json.dumps(voice.model_dump(exclude_defaults=True) | {"method": voice.method},
                   ensure_ascii=False)
        for voice in sorted(voices, key=lambda voice: voice.speaker)
    ]  # fmt: skip
    write_bytes(path, "".join(line + "\n" for line in lines).encode(), DataError)


def measure_voices(
    clips: ClipSet,
    known: Mapping[str, Voice] | None = None,
    most: int = 24,
    done: Callable[[], None] = lambda: None,
) -> dict[str, Voice]:
    """The table of all voices of a clip set; stated genders, ages and accents stay.

    Args:
        known: an earlier table; its `stated` lines keep what they say.
        most: clips measured of one voice, evenly spread over its clips.
        done: called after each voice.
    """
    groups: dict[str, list[int]] = {}
    for index, item in enumerate(clips.items):
        if item.speaker:
            groups.setdefault(split_factor(item.speaker)[0], []).append(index)
    voices = dict(known or {})
    for name in sorted(groups):
        stated = voices.get(name)
        # Clips as they were recorded tell most; sped-up ones serve where there are no others.
        plain = [index for index in groups[name] if clips.items[index].speaker == name]
        measured = _measure(name, clips, _spread(plain or groups[name], most))
        if stated is not None and stated.method == "stated":
            keep = {"gender", "age", "accent", "emotion", "method"}
            keep |= {"language"} if stated.language else set()
            measured = measured.model_copy(update={key: getattr(stated, key) for key in keep})
        voices[name] = measured
        done()
    return voices


def clip_pitch(wave: Wave, rate: int) -> float | None:
    """Median F0 in Hz of a mono clip's voiced frames; None with too little voice."""
    world = require_extra("pyworld", "train")
    samples = np.ascontiguousarray(wave, dtype=np.float64)
    if len(samples) < LEAST_VOICED * rate:
        return None
    f0, times = world.dio(samples, rate, f0_floor=65.0, f0_ceil=500.0, frame_period=10.0)
    f0 = world.stonemask(samples, f0, times, rate)
    voiced = f0[f0 > 0]
    return float(np.median(voiced)) if len(voiced) * 0.01 >= LEAST_VOICED else None


def letters(text: str) -> int | None:
    """Letters of a text, a measure of how much is said; None where digits stand for words."""
    if any(sign.isdigit() for sign in text):
        return None
    return sum(sign.isalpha() for sign in text) or None


def _measure(name: str, clips: ClipSet, indices: Sequence[int]) -> Voice:
    pitches: list[float] = []
    paces: list[float] = []
    languages: list[str] = []
    for index in indices:
        clip = clips.take(index)
        item = clips.items[clip.index]
        base, factor = split_factor(item.speaker)
        if base != name:
            continue
        languages.append(item.language)
        pitch = clip_pitch(clip.samples, clips.rate)
        if pitch is not None:
            pitches.append(pitch / factor)
        pace = _pace(item)
        if pace is not None:
            paces.append(pace / factor)
    gender, age, method = _named(name)
    pitch, spread = None, None
    if len(pitches) >= LEAST_CLIPS:
        pitch = float(np.median(pitches))
        low, high = np.quantile(pitches, (0.25, 0.75))
        spread = float(12 * np.log2(high / low))
        if method == "unknown" and spread <= MIXED:
            gender, age = _by_pitch(pitch)
            method = "pitch" if age else "unknown"
    return Voice(
        speaker=name, gender=gender, age=age, method=method, clips=len(languages),
        language=max(sorted(set(languages)), key=languages.count, default=""),
        pitch=None if pitch is None else round(pitch, 1),
        spread=None if spread is None else round(spread, 2),
        pace=round(float(np.median(paces)), 2) if paces else None,
    )  # fmt: skip


def _by_pitch(pitch: float) -> tuple[Gender | None, Age | None]:
    if pitch < MALE_BELOW:
        return "Male", "Adult"
    if FEMALE_ABOVE < pitch < FEMALE_BELOW:
        return "Female", "Adult"
    return None, None


def _named(name: str) -> tuple[Gender | None, Age | None, Method]:
    """What a name says; whoever is called a man or a woman is an adult."""
    found = _NAMED.search(name)
    if found is None:
        return None, None, "unknown"
    male = found.group(1).lower() in ("m", "male", "man")
    return "Male" if male else "Female", "Adult", "name"


def _pace(item: ManifestItem) -> float | None:
    """Letters a second of a clip long enough to have a pace."""
    count = letters(item.text)
    return count / item.duration if count is not None and count >= LEAST_LETTERS else None


def _spread(indices: Sequence[int], most: int) -> list[int]:
    if len(indices) <= most:
        return list(indices)
    return [indices[place * len(indices) // most] for place in range(most)]
