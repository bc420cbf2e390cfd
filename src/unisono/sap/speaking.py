"""Speech of a scene: clips of one speaker in a row, changed by known amounts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unisono.data import effects
from unisono.data.effects import Wave
from unisono.data.manifest import ManifestItem
from unisono.sap import scene_sounds
from unisono.sap.material import SpeechPool, clip_name
from unisono.sap.scene_config import SceneConfig
from unisono.sap.speakers import Voice
from unisono.sap.values import Emotion, is_unknown, nearest_emotion
from unisono.sap.wording import USUAL_PITCH, Spoken

__all__ = ["Speech", "speak"]

_DEPTH = 55.0
"""dB under the loudest 10 ms at which a clip of speech begins and ends."""
_SHORTEST = 0.3
"""Seconds of speech below which tempo and pitch stay: the stretcher needs some to work on."""


@dataclass(frozen=True)
class Speech:
    """Samples `[n]`, the level they shall have, and what is known of them."""

    wave: Wave
    level: float
    spoken: Spoken
    speaker: str
    phonemes: str
    clips: tuple[str, ...]
    changes: dict[str, float]


def speak(
    pool: SpeechPool, config: SceneConfig, target: float, rng: np.random.Generator
) -> Speech | None:
    """Clips of a random speaker of about `target` seconds together, changed; None to try again.

    The same draws are made whatever happens to the clips, so that one change does not alter
    another. The result is never longer than the longest scene.
    """
    section, rate = config.speech, config.rate
    # All draws that are not about clips first.
    faster, factor = rng.random() < section.speed.probability, rng.uniform(*section.speed.factor)
    shifted, semitones = (
        rng.random() < section.pitch.probability, rng.uniform(*section.pitch.semitones)
    )  # fmt: skip
    banded, telephone = rng.random() < section.band.probability, rng.random()
    cutoff, level = rng.uniform(*section.band.cutoff), rng.uniform(*section.level)
    wave, items = _clips(pool, config, target * (factor if faster else 1.0), rng)
    if not items or effects.power(wave) == 0:
        return None
    voice, changes = pool.voice(items[0]), {}
    long_enough = len(wave) >= _SHORTEST * rate
    if faster and long_enough:
        factor = max(factor, len(wave) / rate / config.seconds[1])
        wave = scene_sounds.change_tempo(wave, factor, rate)
        changes["speed"] = factor
    semitones = _shift_that_keeps(voice, semitones) if shifted and long_enough else 0.0
    if semitones:
        wave = effects.change_pitch(wave, semitones, rate)
        changes["semitones"] = semitones
    if banded and telephone < section.band.telephone:
        wave, changes["telephone"] = effects.telephone(wave, rate), 1.0
    elif banded and 2 * cutoff < rate:
        wave, changes["cutoff"] = effects.band_limit(wave, cutoff, rate), cutoff
    wave = wave[: round(config.seconds[1] * rate)]
    if effects.power(wave) == 0:
        return None
    return Speech(
        wave=wave,
        level=level,
        spoken=_spoken(pool, voice, items, changes),
        speaker=items[0].speaker,
        phonemes=" ".join(said) if all(said := [item.phonemes for item in items]) else "",
        clips=tuple(clip_name(item) for item in items),
        changes=changes,
    )


def _clips(
    pool: SpeechPool, config: SceneConfig, target: float, rng: np.random.Generator
) -> tuple[Wave, list[ManifestItem]]:
    """Clips of one speaker until the next would exceed `target` seconds; at least one."""
    section, rate = config.speech, config.rate
    index: int | None = pool.draw(rng)
    pieces: list[Wave] = []
    items: list[ManifestItem] = []
    used: set[int] = set()
    limit = min(target, config.seconds[1])
    while index is not None and len(items) < section.clips:
        clip = pool.take(index)
        # A damaged clip may have given way to one of another speaker.
        if clip is None or clip.index in used or (items and not _alike(pool, clip.index, items)):
            break
        wave = scene_sounds.trim(clip.samples, rate, _DEPTH)
        if items:
            # Told apart by level alone they would be two recordings; one voice keeps one level.
            wave = wave * np.float32(np.sqrt(effects.power(pieces[0]) / effects.power(wave)))
            pause = np.zeros(round(rng.uniform(*section.pause) * rate), np.float32)
            if sum(map(len, pieces)) + len(pause) + len(wave) > limit * rate:
                break
            pieces.append(pause)
        pieces.append(wave)
        items.append(pool.item(clip.index))
        used.add(clip.index)
        index = pool.another(clip.index, rng)
    return (np.concatenate(pieces) if pieces else np.zeros(0, np.float32)), items


def _alike(pool: SpeechPool, index: int, items: list[ManifestItem]) -> bool:
    item = pool.item(index)
    return item.speaker == items[0].speaker and item.language == items[0].language


def _shift_that_keeps(voice: Voice, semitones: float) -> float:
    """The shift, or its opposite, or none: the voice must still be heard as of its gender."""
    found = (shift for shift in (semitones, -semitones) if voice.keeps_gender(shift))
    return next(found, 0.0)


def _spoken(
    pool: SpeechPool, voice: Voice, items: list[ManifestItem], changes: dict[str, float]
) -> Spoken:
    shift = changes.get("semitones", 0.0)
    pitch = None if voice.pitch is None else voice.pitch * 2 ** (shift / 12)
    above = shift
    usual = USUAL_PITCH.get(voice.gender or "") if voice.age != "Child" else None
    if pitch is not None and usual is not None:
        above = 12 * float(np.log2(pitch / usual))
    return Spoken(
        text=" ".join(" ".join(item.text.split()) for item in items),
        language=items[0].language,
        accent=voice.accent,
        gender=voice.gender,
        age=voice.age,
        emotion=_emotion(items, voice),
        tempo=pool.tempo(items) * changes.get("speed", 1.0),
        semitones=above,
        pitch=pitch,
    )


def _emotion(items: list[ManifestItem], voice: Voice) -> Emotion | None:
    """The one that all clips have; the voice's own where they say none."""
    said = {item.emotion for item in items if not is_unknown(item.emotion)}
    if not said:
        return voice.emotion
    found = {nearest_emotion(word) for word in said}
    return found.pop() if len(found) == 1 else None
