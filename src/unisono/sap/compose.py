"""Scenes with labels that are true by construction: item i is a function of the seed and i.

Clips of a corpus are changed by known amounts, placed at known times and mixed at known levels;
the label tells what was done (UniAudio-Token describes clips by models instead; this is ours).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from unisono.data import effects
from unisono.data.effects import Wave
from unisono.errors import DataError
from unisono.sap import scene_sounds, words
from unisono.sap.material import EventPool, Pool, Sources, SpeechPool, clip_name
from unisono.sap.scene import Part, Role, Scene
from unisono.sap.scene_config import Mix, SceneConfig
from unisono.sap.speaking import Speech, speak
from unisono.sap.wording import label_scene

__all__ = ["SceneSet"]

_EDGE = 0.005
"""Seconds of fade at the ends of a sound, against clicks."""
_MARGIN = 0.4
"""Most seconds before and after speech that is alone."""
_TRIES = 64
"""Draws until a clip must have served: damaged, silent and too short ones do not."""
_PLAN, _SPEECH, _EVENTS, _MUSIC, _NOISE, _ROOM, _WORDS = range(7)
"""Each has random numbers of its own, so that one does not change when another does."""

_T = TypeVar("_T")


class SceneSet:
    """Composed scenes by number; `len` of them are one epoch, and every number has a scene.

    It can be pickled, and be read by several processes or threads.

    Args:
        config: what the scenes hold.
        seed: another one gives other scenes.

    Raises:
        DataError: data that are missing, or hold no clip that serves.
    """

    def __init__(self, config: SceneConfig, seed: int = 0) -> None:
        self.config, self.seed = config, seed
        opened = Sources()
        self.speech = SpeechPool(config, opened) if config.uses("speech") else None
        self.events = EventPool(config, opened) if config.uses("events") else None
        self.music = (
            Pool(config.music, config, opened, lack="of music") if config.uses("music") else None
        )
        self._mixes: list[Mix] = [mix for mix, times in config.mix.items() for _ in range(times)]

    def __len__(self) -> int:
        return self.config.size

    def __getitem__(self, number: int) -> Scene:
        """Scene `number` of the epoch.

        Raises:
            IndexError: not within the set; `compose` has scenes without end.
        """
        if not 0 <= number < len(self):
            raise IndexError(number)
        return self.compose(number)[0]

    def compose(self, number: int) -> tuple[Scene, list[Wave]]:
        """Any scene, and the stems `[n]` that add up to it, one for each of its parts.

        Raises:
            DataError: the clips that were tried do not serve.
        """
        plan = self._rng(number, _PLAN)
        mix = self._mixes[int(plan.integers(len(self._mixes)))].split("+")
        rate, longest = self.config.rate, round(self.config.seconds[1] * self.config.rate)
        target = plan.uniform(*self.config.seconds)
        length = min(max(1, round(target * rate)), longest)
        sounds: list[_Sound] = []
        speech = None
        if self.speech is not None and "speech" in mix:
            speech = self._speech(self.speech, number, target)
            length = self._speech_length(len(speech.wave), length, mix == ["speech"], plan)
            start = int(plan.integers(length - len(speech.wave) + 1))
            sounds.append(
                _Sound("speech", speech.spoken.language, speech.wave, start,
                       level=speech.level, clips=speech.clips, changes=speech.changes)
            )  # fmt: skip
        if self.events is not None and "events" in mix:
            if mix == ["events"] and plan.random() < self.config.events.alone:
                sounds, length = self._event_alone(self.events, number)
            else:
                sounds += self._events(self.events, number, length, bool(sounds))
        if self.music is not None and "music" in mix:
            sounds.append(self._music(self.music, number, length, bool(sounds)))
        sounds += self._noise(number, length)
        self._room(sounds, number)
        stems, parts = _mix(sounds, length, rate, self.config.peak)
        sap = label_scene(
            None if speech is None else speech.spoken,
            parts,
            length / rate,
            self._rng(number, _WORDS) if self.config.varied else None,
        )
        scene = Scene(
            samples=np.asarray(np.sum(stems, axis=0, dtype=np.float64), np.float32),
            rate=rate,
            sap=sap,
            text="" if speech is None else speech.spoken.text,
            phonemes="" if speech is None else speech.phonemes,
            language="" if speech is None else speech.spoken.language,
            speaker="" if speech is None else speech.speaker,
            parts=tuple(parts),
        )
        return scene, stems

    def _rng(self, number: int, what: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, number, what))

    def _speech(self, pool: SpeechPool, number: int, target: float) -> Speech:
        rng = self._rng(number, _SPEECH)
        return _until(lambda: speak(pool, self.config, target, rng), "of speech")

    def _speech_length(
        self, speech: int, target: int, alone: bool, plan: np.random.Generator
    ) -> int:
        """Samples of a scene with this much speech: little around it where it is alone."""
        shortest, longest = (round(s * self.config.rate) for s in self.config.seconds)
        if alone:
            target = speech + int(plan.uniform(0, 2 * _MARGIN) * self.config.rate)
        return min(max(target, speech, shortest), longest)

    def _events(self, pool: EventPool, number: int, length: int, behind: bool) -> list[_Sound]:
        """Sounds that come and go without meeting each other, and lasting ones."""
        section, rng = self.config.events, self._rng(number, _EVENTS)
        count = int(rng.integers(section.count[0], section.count[1] + 1))
        sounds: list[_Sound] = []
        for _ in range(count):
            sound = _until(lambda: self._event(pool, length, rng), "of a sound")
            sound.snr = rng.uniform(*section.snr)
            if not sounds and not behind:
                sound.snr, sound.level = None, rng.uniform(*section.level)
            if sound.lasting or _find_place(sound, sounds, length, rng):
                sounds.append(sound)
        return sounds

    def _event_alone(self, pool: EventPool, number: int) -> tuple[list[_Sound], int]:
        """One event, and the length of a scene that holds little else."""
        section, rng, rate = self.config.events, self._rng(number, _EVENTS), self.config.rate
        longest = round(self.config.seconds[1] * rate)
        sound = _until(lambda: self._event(pool, longest, rng), "of a sound")
        sound.level = rng.uniform(*section.level)
        length = min(longest, sound.extent + int(rng.uniform(0, 2 * _MARGIN) * rate))
        sound.start = int(rng.integers(length - sound.extent + 1))
        sound.lasting = sound.label in words.LASTING and 2 * sound.extent >= length
        return [sound], length

    def _event(self, pool: EventPool, length: int, rng: np.random.Generator) -> _Sound | None:
        section, rate = self.config.events, self.config.rate
        index = pool.draw(rng)
        wanted = min(pool.item(index).duration, section.seconds[1])
        clip = pool.take(index, 0.0, wanted)
        if clip is None:
            return None
        item = pool.item(clip.index)
        label, wave = pool.label(item), scene_sounds.trim(clip.samples, rate)
        changes = {}
        if section.speed.probability and rng.random() < section.speed.probability:
            changes["played"] = float(rng.uniform(*section.speed.factor))
            wave = effects.change_speed(wave, changes["played"], rate)
        repeat = section.repeat
        short = 0 < len(wave) <= repeat.longest * rate
        if repeat.probability and short and rng.random() < repeat.probability:
            times = int(rng.integers(repeat.times[0], repeat.times[1] + 1))
            pause = rng.uniform(*repeat.pause) * rate
            pauses = (pause * rng.uniform(0.8, 1.2, times - 1)).tolist()
            wave, longest = scene_sounds.repeat(wave, pauses), round(section.seconds[1] * rate)
            wave, changes["times"] = wave[:longest], float(times)
        wave = wave[:length]
        if len(wave) < section.seconds[0] * rate:
            return None
        if label in words.LASTING and rng.random() < section.loop:
            # Most often over the whole scene, else over more than half of it.
            share = 1.0 if rng.random() < 0.6 else rng.uniform(0.5, 0.9)
            wave = scene_sounds.lengthen(wave, max(len(wave), round(share * length)), rate)
        lasting = label in words.LASTING and 2 * len(wave) >= length
        # Sounds that come and go find their place later, when the others' are known.
        start = int(rng.integers(length - len(wave) + 1)) if lasting else 0
        wave = scene_sounds.fade(wave, rate, _EDGE)
        return _Sound("event", label, wave, start, lasting=lasting, clips=(clip_name(item),),
                      changes=changes)  # fmt: skip

    def _music(self, pool: Pool, number: int, length: int, behind: bool) -> _Sound:
        section, rng, rate = self.config.music, self._rng(number, _MUSIC), self.config.rate

        def take() -> _Sound | None:
            index = pool.draw(rng)
            whole = pool.item(index).duration
            wanted = min(length / rate, whole)
            clip = pool.take(index, rng.uniform(0, whole - wanted), wanted)
            if clip is None:
                return None
            wave = scene_sounds.fade(clip.samples[:length], rate, 10 * _EDGE)
            if effects.power(wave) == 0:
                return None
            start = int(rng.integers(length - len(wave) + 1))
            item = pool.item(clip.index)
            return _Sound("music", item.label or "music", wave, start, lasting=True,
                          clips=(clip_name(item),))  # fmt: skip

        sound = _until(take, "of music")
        if behind:
            sound.snr = rng.uniform(*section.snr)
        else:
            sound.level = rng.uniform(*section.level)
        return sound

    def _noise(self, number: int, length: int) -> list[_Sound]:
        section, rng = self.config.noise, self._rng(number, _NOISE)
        if rng.random() >= section.probability:
            return []
        colour = section.colours[int(rng.integers(len(section.colours)))]
        make = effects.white_noise if colour == "white" else effects.pink_noise
        return [
            _Sound("noise", words.NOISE[colour], make(length, rng), 0,
                   snr=rng.uniform(*section.snr), lasting=True)
        ]  # fmt: skip

    def _room(self, sounds: list[_Sound], number: int) -> None:
        """Puts voices and sounds into one room; where a part lies is where it lies dry."""
        section, rng = self.config.room, self._rng(number, _ROOM)
        inside = [sound for sound in sounds if sound.role in ("speech", "event")]
        if not inside or rng.random() >= section.probability:
            return
        rt60, direct = rng.uniform(*section.rt60), rng.uniform(*section.direct)
        response = effects.impulse_response(rt60, direct, self.config.rate, rng)
        for sound in inside:
            sound.wave = scene_sounds.in_room(sound.wave, response)
            sound.changes = sound.changes | {"rt60": rt60, "direct": direct}


@dataclass
class _Sound:
    """A part before it is mixed: its samples lie from `start`; `extent` of them are the part."""

    role: Role
    label: str
    wave: Wave
    start: int
    level: float | None = None
    snr: float | None = None
    lasting: bool = False
    clips: tuple[str, ...] = ()
    changes: dict[str, float] = field(default_factory=dict)
    extent: int = 0

    def __post_init__(self) -> None:
        # A room adds its tail to the samples later, not to the part.
        self.extent = len(self.wave)


def _until(draw: Callable[[], _T | None], what: str) -> _T:
    for _ in range(_TRIES):
        found = draw()
        if found is not None:
            return found
    raise DataError(
        f"no clip {what} serves among {_TRIES} that were drawn: they are damaged, silent, or "
        "shorter or longer than the scenes ask; look at their durations and sound"
    )


def _find_place(sound: _Sound, others: list[_Sound], length: int, rng: np.random.Generator) -> bool:
    """Set a start at which the sound meets no other that comes and goes; False if none is found."""
    taken = [(other.start, other.start + other.extent) for other in others if not other.lasting]
    for _ in range(16):
        start = int(rng.integers(length - sound.extent + 1))
        if all(start + sound.extent <= begin or start >= end for begin, end in taken):
            sound.start = start
            return True
    return False


def _mix(
    sounds: list[_Sound], length: int, rate: int, peak: float
) -> tuple[list[Wave], list[Part]]:
    """Stems at their levels, all turned down alike if their sum exceeds `peak`; and the facts."""
    foreground = sounds[0].level
    assert foreground is not None
    stems = []
    for sound in sounds:
        stem = np.zeros(length, np.float64)
        stop = min(length, sound.start + len(sound.wave))
        stem[sound.start : stop] = sound.wave[: stop - sound.start]
        heard = effects.power(stem[sound.start : sound.start + sound.extent])
        level = foreground - (sound.snr or 0.0)
        stem *= np.sqrt(10 ** (level / 10) / heard)
        stems.append(stem)
    highest = float(np.abs(np.sum(stems, axis=0)).max())
    # A little less than the limit: rounding must not lift a sample above it.
    down = min(1.0, peak / highest * (1 - 1e-6))
    shift = effects.decibels_of(down)
    parts = [
        Part(
            role=sound.role,
            label=sound.label,
            start=sound.start / rate,
            seconds=sound.extent / rate,
            level=foreground - (sound.snr or 0.0) + shift,
            snr=sound.snr,
            lasting=sound.lasting,
            clips=sound.clips,
            changes=sound.changes,
        )
        for sound in sounds
    ]
    return [(stem * down).astype(np.float32) for stem in stems], parts
