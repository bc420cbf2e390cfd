"""From the facts of a scene to its label: which bucket a number falls into, and the words for it.

The edges are ours. Loudness is level over full scale; tempo and pitch are compared with what is
usual, where a table of voices tells it, and with the unchanged recording otherwise.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unisono.sap import words
from unisono.sap.scene import Part
from unisono.sap.schema import SAP, Event, NonLinguisticEvents, Paralinguistics
from unisono.sap.values import Age, Emotion, Gender

__all__ = ["Spoken", "label_scene", "language_name", "length_word", "level_word", "place_word"]

USUAL_PITCH = {"Male": 118.0, "Female": 205.0}
"""Hz, about the medians of adults' speech."""
_TEMPO = (0.72, 0.88), (1.14, 1.36)
_SEMITONES = (-5.0, -2.0), (2.0, 5.0)
_REGISTER_HZ = (100.0, 130.0, 170.0, 215.0, 260.0)
_WHOLE = 0.85
"""Share of a scene that is "throughout"."""


@dataclass(frozen=True)
class Spoken:
    """What is known of a scene's speech after all changes.

    Attributes:
        tempo: pace over the usual one, 1 is usual.
        semitones: pitch over the usual one.
        pitch: median F0 in Hz; None when unknown.
    """

    text: str
    language: str
    accent: str
    gender: Gender | None
    age: Age | None
    emotion: Emotion | None
    tempo: float
    semitones: float
    pitch: float | None


def label_scene(
    spoken: Spoken | None, parts: Sequence[Part], seconds: float, rng: np.random.Generator | None
) -> SAP:
    """The label of a scene of `seconds`; the generator chooses among phrasings, None the first.

    Args:
        spoken: facts of the speech, which is then the first part; None without speech.
        parts: everything that is heard.
    """
    say, voice = _Sayer(rng), spoken is not None
    room = any("rt60" in part.changes for part in parts)
    others = sorted((part for part in parts if part.role != "speech"), key=lambda p: p.start)
    events = NonLinguisticEvents(
        description=_description(others, seconds, voice, room, say),
        discreteEvents=[_event(p, seconds, voice, say) for p in others if not p.lasting],
        continuousEvents=[_event(p, seconds, voice, say) for p in others if p.lasting],
    )
    if spoken is None:
        nothing = Paralinguistics(
            age=None, gender=None, emotion=None, accent=None, prosody=None, timbre=None
        )
        return SAP(transcription=None, paralinguistics=nothing, nonLinguisticEvents=events)
    vocal = Paralinguistics(
        age=spoken.age,
        gender=spoken.gender,
        emotion=spoken.emotion,
        accent=_accent(spoken, say),
        prosody=_prosody(spoken, parts[0].level, say),
        timbre=_timbre(spoken, parts[0].changes, say),
    )
    return SAP(transcription=spoken.text, paralinguistics=vocal, nonLinguisticEvents=events)


def language_name(code: str) -> str:
    """English name of a BCP 47 code, with its region where that names an accent; "" if unknown."""
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    code = code.lower().replace("_", "-")
    base = code.partition("-")[0]
    for known in (code, base):
        if known in words.LANGUAGES:
            return words.LANGUAGES[known]
    return LANGUAGES.get(base, "").title()


def tempo_word(tempo: float) -> str:
    """Bucket of `words.TEMPO` for a pace over the usual one."""
    return _five(tempo, *_TEMPO, ("very slow", "slow", "normal", "fast", "very fast"))


def pitch_word(semitones: float) -> str:
    """Bucket of `words.PITCH` for semitones over the usual pitch."""
    return _five(semitones, *_SEMITONES, ("very low", "low", "normal", "high", "very high"))


def loudness_word(level: float) -> str:
    """Bucket of `words.LOUDNESS` for speech at a level over full scale, dB."""
    return ("soft", "normal", "loud")[bisect_left((-30.0, -21.0), level)]


def level_word(part: Part, voice: bool) -> str:
    """Bucket of `words.EVENT_LEVEL`: over the voice where there is one, else over full scale."""
    if voice and part.snr is not None:
        return ("loud", "medium", "soft")[bisect_left((1.0, 9.0), part.snr)]
    return ("soft", "medium", "loud")[bisect_left((-29.0, -20.0), part.level)]


def place_word(part: Part, seconds: float) -> str:
    """Bucket of `words.PLACE` for a part of a scene of `seconds`."""
    if part.seconds >= _WHOLE * seconds:
        return "throughout"
    if part.lasting and part.seconds >= seconds / 2:
        return "part"
    middle = (part.start + part.end) / 2
    return ("beginning", "middle", "end")[bisect_left((seconds / 3, 2 * seconds / 3), middle)]


def channel_word(changes: dict[str, float]) -> str:
    """Bucket of `words.CHANNEL` for what was done to the speech."""
    if "telephone" in changes:
        return "telephone"
    if "cutoff" in changes:
        return "muffled"
    if "rt60" not in changes:
        return "near"
    return "far" if changes["direct"] < 4 and changes["rt60"] > 0.4 else "roomy"


class _Sayer:
    """Chooses phrasings."""

    def __init__(self, rng: np.random.Generator | None) -> None:
        self._rng = rng

    def of(self, phrasings: Sequence[str]) -> str:
        if self._rng is None:
            return phrasings[0]
        return phrasings[int(self._rng.integers(len(phrasings)))]


def _accent(spoken: Spoken, say: _Sayer) -> str | None:
    accent = spoken.accent or language_name(spoken.language)
    return say.of(words.ACCENT).format(accent=accent) if accent else None


def _prosody(spoken: Spoken, level: float, say: _Sayer) -> str:
    tempo = say.of(words.TEMPO[tempo_word(spoken.tempo)])
    pitch = say.of(words.PITCH[pitch_word(spoken.semitones)])
    loudness = say.of(words.LOUDNESS[loudness_word(level)])
    return say.of(words.PROSODY).format(tempo=tempo, pitch=pitch, loudness=loudness)


def _timbre(spoken: Spoken, changes: dict[str, float], say: _Sayer) -> str:
    register = "unknown"
    if spoken.pitch is not None:
        names = ("very deep", "deep", "medium", "bright", "high", "very high")
        register = names[bisect_left(_REGISTER_HZ, spoken.pitch)]
    voice = words.VOICE.get((spoken.gender, spoken.age), "voice")
    named = f"{say.of(words.REGISTER[register])} {voice}".strip()
    channel = say.of(words.CHANNEL[channel_word(changes)])
    return _upper(say.of(words.TIMBRE).format(voice=named, channel=channel))


def _event(part: Part, seconds: float, voice: bool, say: _Sayer) -> Event:
    template = say.of(words.LASTING_CHARACTER if part.lasting else words.CHARACTER)
    character = template.format(
        level=say.of(words.EVENT_LEVEL[level_word(part, voice)]),
        length=say.of(words.LENGTH[length_word(part.seconds)]),
        place=say.of(words.PLACE[place_word(part, seconds)]),
    )
    return Event(label=part.label, characteristic=_upper(character))


def _description(
    parts: Sequence[Part], seconds: float, voice: bool, room: bool, say: _Sayer
) -> str:
    sentences = [
        _upper(
            say.of(words.SENTENCE).format(
                noun=say.of(words.NOUNS.get(part.label, (f"a sound of {part.label}",))),
                place=say.of(words.PLACE[place_word(part, seconds)]),
                level=say.of(words.EVENT_LEVEL[level_word(part, voice)]),
            )
        )
        for part in parts
    ]
    sentences = sentences or [say.of(words.ALONE)]
    return " ".join([*sentences, say.of(words.REVERBERANT)] if room else sentences)


def length_word(seconds: float) -> str:
    """Bucket of `words.LENGTH` for a sound of `seconds`."""
    return ("brief", "short", "long")[bisect_left((0.6, 2.5), seconds)]


def _five(value: float, low: Sequence[float], high: Sequence[float], names: Sequence[str]) -> str:
    return names[bisect_left((*low, *high), value)]


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
