"""A SAP in words from what a reader tells of a clip: values of fields, and where sounds are (ours).

Levels are not told, so the words are those of `wording` for length and place alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unisono.sap import words
from unisono.sap.scene import Part
from unisono.sap.schema import SAP, Event, NonLinguisticEvents, Paralinguistics
from unisono.sap.wording import length_word, place_word

__all__ = ["HeardSound", "told_sap"]


@dataclass(frozen=True)
class HeardSound:
    """A sound with its label, its beginning and its length in seconds."""

    label: str
    start: float
    seconds: float


def told_sap(
    transcription: str | None,
    vocal: Mapping[str, str],
    sounds: Sequence[HeardSound],
    seconds: float,
    speech: bool,
) -> SAP:
    """The SAP of a clip of `seconds`; fields that `vocal` lacks are unknown.

    Without `speech` nothing is said of a voice. Sounds are named in their order.
    """
    parts = [_part(sound, seconds) for sound in sounds]
    sentences = [_sentence(part, seconds) for part in parts]
    nothing = words.ALONE[0] if speech else "No distinct sounds."
    voice = {name: vocal.get(name) if speech else None for name in Paralinguistics.model_fields}
    return SAP(
        transcription=(transcription or None) if speech else None,
        paralinguistics=Paralinguistics.model_validate(voice),
        nonLinguisticEvents=NonLinguisticEvents(
            description=" ".join(sentences) or nothing,
            discreteEvents=[_event(part, seconds) for part in parts if not part.lasting],
            continuousEvents=[_event(part, seconds) for part in parts if part.lasting],
        ),
    )


def _part(sound: HeardSound, seconds: float) -> Part:
    lasts = sound.label == words.MUSIC[0] or sound.label in words.LASTING
    lasting = lasts and 2 * sound.seconds >= seconds
    return Part("event", sound.label, sound.start, sound.seconds, 0.0, lasting=lasting)


def _event(part: Part, seconds: float) -> Event:
    place = words.PLACE[place_word(part, seconds)][0]
    length = words.LENGTH[length_word(part.seconds)][0]
    character = place if part.lasting else f"{length}, {place}"
    return Event(label=part.label, characteristic=character[:1].upper() + character[1:])


def _sentence(part: Part, seconds: float) -> str:
    noun = words.NOUNS.get(part.label, (f"a sound of {part.label}",))[0]
    place = words.PLACE[place_word(part, seconds)][0]
    return f"{noun[:1].upper()}{noun[1:]} can be heard {place}."
