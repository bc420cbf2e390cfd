"""Fields of a read JSON object brought into SAP's form, each change reported.

Only form is repaired. What a field says is kept, except for the closed sets, whose nearest member
is taken. Ours, but for the mapping of emotions (reference page section 3).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from unisono.sap.values import (
    AGES,
    EMOTIONS,
    GENDERS,
    is_unknown,
    nearest_age,
    nearest_emotion,
    nearest_gender,
)

__all__ = ["NO_EVENTS", "UNSPECIFIED", "Repair", "plain", "repair_fields"]

NO_EVENTS = "No distinct sounds."
"""Description given to a scene that has neither a description nor events."""

UNSPECIFIED = "unspecified"
"""Characteristic given to an event that has none."""

_VOICE = ("age", "gender", "emotion", "accent", "prosody", "timbre")
_SCENE = ("description", "discreteEvents", "continuousEvents")
_EVENT = ("label", "characteristic")
_CLOSED: dict[str, tuple[Sequence[str], Callable[[str], str | None]]] = {
    "age": (AGES, nearest_age),
    "gender": (GENDERS, nearest_gender),
    "emotion": (EMOTIONS, nearest_emotion),
}


@dataclass(frozen=True)
class Repair:
    """One change: `field` is a dotted path, or empty for the text as a whole."""

    field: str
    change: str

    def __str__(self) -> str:
        return f"{self.field}: {self.change}" if self.field else self.change


def plain(key: str) -> str:
    """A key without case, spaces and punctuation: `non_linguistic_events` is the schema's own."""
    return re.sub(r"[\W_]", "", key).casefold()


def repair_fields(value: dict[str, Any]) -> tuple[dict[str, Any], list[Repair]]:
    """`value` with the schema's keys and forms as far as that is certain, and the changes.

    What stays wrong is left for the strict validation to name. Missing: null for `transcription`
    and the voice, an empty list for events. A missing `nonLinguisticEvents` is left missing: a
    scene that nobody described is not a scene without sounds.
    """
    work = _Work()
    top = ("transcription", "paralinguistics", "nonLinguisticEvents")
    fields = work.keys("", value, top, inside=(*_VOICE, *_SCENE))
    voice = work.child(fields, "paralinguistics", _VOICE)
    scene = work.child(fields, "nonLinguisticEvents", _SCENE)
    out: dict[str, Any] = {"transcription": work.words("transcription", fields, " ")}
    out["paralinguistics"] = voice if not isinstance(voice, dict) else work.voice(voice)
    if scene is not None:
        out["nonLinguisticEvents"] = scene if not isinstance(scene, dict) else work.scene(scene)
    return out, work.repairs


class _Work:
    """The repairs so far, and the steps that add to them."""

    def __init__(self) -> None:
        self.repairs: list[Repair] = []

    def note(self, field: str, change: str) -> None:
        self.repairs.append(Repair(field, change))

    def keys(
        self, path: str, value: dict[str, Any], known: Sequence[str], inside: Sequence[str] = ()
    ) -> dict[str, Any]:
        """`value` under the schema's keys; keys that belong further `inside` are kept for it."""
        names = {plain(name): name for name in (*inside, *known)}
        out: dict[str, Any] = {}
        for key, member in value.items():
            name = names.get(plain(key))
            if name is None or (name in out and name in value):
                self.note(_at(path, key[:60]), "unknown key removed")
                continue
            if name != key:
                self.note(_at(path, name), f"key {key[:60]!r} renamed")
            out[name] = member
        return out

    def child(self, fields: dict[str, Any], name: str, known: Sequence[str]) -> Any:
        """The object `name`, with what stood beside it though it belongs inside."""
        value = fields.get(name)
        if value is not None and not isinstance(value, dict):
            return value
        own = self.keys(name, value or {}, known)
        for key in known:
            if key in fields and key not in own:
                own[key] = fields[key]
                self.note(_at(name, key), f"moved into {name}")
            elif key in fields:
                self.note(key, "unknown key removed")
        if name == "nonLinguisticEvents" and not own:
            return None
        return own

    def words(self, path: str, fields: dict[str, Any], between: str) -> Any:
        """Text or null, from text, number, list of texts, or nothing."""
        name = path.rpartition(".")[2]
        if name not in fields:
            self.note(path, "missing, null written")
            return None
        value = fields[name]
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            self.note(path, "list of texts joined")
            value = between.join(item for item in value if item.strip())
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            self.note(path, "number written as text")
            value = str(value)
        if isinstance(value, str) and says_nothing(name, value):
            self.note(path, f"{value[:40]!r} replaced by null")
            return None
        return value

    def voice(self, fields: dict[str, Any]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for name in _VOICE:
            path = _at("paralinguistics", name)
            value = self.words(path, fields, ", ")
            if name in _CLOSED and isinstance(value, str):
                members, nearest = _CLOSED[name]
                if value not in members:
                    member = nearest(value)
                    self.note(path, f"{value[:40]!r} replaced by {member or 'null'}")
                    value = member
            out[name] = value
        return out

    def scene(self, fields: dict[str, Any]) -> dict[str, Any]:
        lists = {name: self.events(name, fields) for name in _SCENE[1:]}
        path = "nonLinguisticEvents.description"
        described = fields.get("description")
        if described is None or (isinstance(described, str) and is_unknown(described)):
            listed = [value for value in lists.values() if isinstance(value, list)]
            labels = [
                event["label"]
                for events in listed
                for event in events
                if isinstance(event, dict) and isinstance(event.get("label"), str)
            ]
            described = ", ".join(labels) or NO_EVENTS
            self.note(
                path, "missing, " + ("the labels" if labels else repr(NO_EVENTS)) + " written"
            )
        return {"description": described, **lists}

    def events(self, name: str, fields: dict[str, Any]) -> Any:
        path = _at("nonLinguisticEvents", name)
        value = fields.get(name)
        if value is None:
            self.note(path, "null or missing, empty list written")
            return []
        if isinstance(value, str) and is_unknown(value):
            self.note(path, f"{value[:40]!r} replaced by an empty list")
            return []
        if isinstance(value, (str, dict)):
            self.note(path, "a single event put into a list")
            value = [value]
        if not isinstance(value, list):
            return value
        events = [self.event(f"{path}.{number}", item) for number, item in enumerate(value)]
        return [event for event in events if event is not None]

    def event(self, path: str, value: Any) -> Any:
        if isinstance(value, str) and not is_unknown(value):
            self.note(path, "text taken as the event's label")
            value = {"label": value}
        if isinstance(value, dict):
            value = self.keys(path, value, _EVENT)
            label = value.get("label")
        else:
            label = None if value is None or isinstance(value, str) else value
        if label is None or (isinstance(label, str) and is_unknown(label)):
            self.note(path, "event without a label removed")
            return None
        if not isinstance(value, dict):
            return value
        how = value.get("characteristic")
        if how is None or (isinstance(how, str) and is_unknown(how)):
            self.note(_at(path, "characteristic"), f"missing, {UNSPECIFIED!r} written")
            how = UNSPECIFIED
        return {"label": label, "characteristic": how}


def says_nothing(field: str, text: str) -> bool:
    """Whether a text stands for null; words that may have been spoken are a transcription."""
    if field == "transcription":
        return not text.strip() or text.strip().casefold() == "n/a"
    return is_unknown(text)


def _at(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
