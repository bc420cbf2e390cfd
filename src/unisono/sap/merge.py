"""One SAP for a clip from the SAPs of its consecutive windows. Source: ours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from unisono.sap.lexical import words
from unisono.sap.repair import NO_EVENTS, UNSPECIFIED
from unisono.sap.schema import SAP, Event, NonLinguisticEvents, Paralinguistics

__all__ = ["join_texts", "merge"]


def merge(parts: Sequence[SAP]) -> SAP:
    """The SAP of a clip whose consecutive windows have the SAPs `parts` (at least one).

    - transcription: the windows' joined by spaces, null when all are null;
    - each field of the voice: the value of most spoken letters, where a window votes with the
      letters and digits of its transcription (one if it has none) and null does not vote; the
      earliest of equals;
    - events: united by label, upper and lower case and punctuation aside, in the order of their
      first appearance, discrete and continuous apart; their characteristics joined, each once,
      and "unspecified" gives way to others;
    - description: the windows' joined, each once; a window without sounds adds nothing if another
      one has some.

    One window's SAP is returned as it is.
    """
    if len(parts) == 1:
        return parts[0]
    weights = [max(1, sum(map(str.isalnum, part.transcription or ""))) for part in parts]
    voice = {
        name: _most([getattr(part.paralinguistics, name) for part in parts], weights)
        for name in Paralinguistics.model_fields
    }
    scenes = [part.nonLinguisticEvents for part in parts]
    return SAP.from_object(
        {
            "transcription": join_texts(part.transcription for part in parts) or None,
            "paralinguistics": voice,
            "nonLinguisticEvents": {
                "description": _descriptions(scenes),
                "discreteEvents": _united(e for s in scenes for e in s.discreteEvents),
                "continuousEvents": _united(e for s in scenes for e in s.continuousEvents),
            },
        }
    )


def join_texts(texts: Iterable[str | None]) -> str:
    """Texts one after the other, with a space between; nothing for None and blank ones."""
    return " ".join(text.strip() for text in texts if text and text.strip())


def _most(values: Sequence[str | None], weights: Sequence[int]) -> str | None:
    votes: dict[str, int] = {}
    for value, weight in zip(values, weights, strict=True):
        if value is not None:
            votes[value] = votes.get(value, 0) + weight
    # The first of the largest: a dict keeps the order of first appearance.
    return max(votes, key=lambda value: votes[value]) if votes else None


def _united(events: Iterable[Event]) -> list[dict[str, str]]:
    labels: dict[str, str] = {}
    characters: dict[str, list[str]] = {}
    for event in events:
        key = _key(event.label)
        labels.setdefault(key, event.label)
        characters.setdefault(key, []).append(event.characteristic)
    return [
        {"label": label, "characteristic": "; ".join(_telling(characters[key], UNSPECIFIED))}
        for key, label in labels.items()
    ]


def _descriptions(scenes: Sequence[NonLinguisticEvents]) -> str:
    heard = _telling([scene.description for scene in scenes], NO_EVENTS)
    if len(heard) == 1:
        return heard[0]
    return " ".join(text if text[-1] in ".!?…。！？" else f"{text}." for text in heard)


def _telling(texts: Sequence[str], empty: str) -> list[str]:
    """Each text once; `empty`, which says nothing, only if there is no other."""
    once = _once(texts)
    return [text for text in once if _key(text) != _key(empty)] or once


def _once(texts: Iterable[str]) -> list[str]:
    """Each text once, as it stands first."""
    found: dict[str, str] = {}
    for text in texts:
        found.setdefault(_key(text), text.strip())
    return list(found.values())


def _key(text: str) -> str:
    return " ".join(words(text)) or text.strip()
