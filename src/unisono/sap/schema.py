"""Semantic-Acoustic Primitives (SAP): what one clip holds, as one JSON object.

The keys are those of the reference's JSON, letter by letter (reference page section 3).
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from unisono.sap.errors import SapError
from unisono.sap.repair import Repair, plain, repair_fields, says_nothing
from unisono.sap.syntax import kind, read_object, search_object
from unisono.sap.values import AGES, EMOTIONS, GENDERS, Age, Emotion, Gender, is_unknown

__all__ = ["SAP", "Event", "NonLinguisticEvents", "Paralinguistics", "Repair", "SapError"]


def _whole(text: str) -> str:
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise PydanticCustomError("surrogate", "half a character")
    if not text.strip():
        raise PydanticCustomError("blank", "empty")
    return text


def _spoken(text: str) -> str:
    if says_nothing("transcription", text):
        raise PydanticCustomError("nothing", "write null where nothing is said")
    return text


def _known(text: str) -> str:
    if is_unknown(text):
        raise PydanticCustomError("nothing", "write null where nothing is known")
    return text


def _named(text: str) -> str:
    if is_unknown(text):
        raise PydanticCustomError("nothing", "leave an event out that has no name")
    return text


Text = Annotated[str, AfterValidator(_whole)]
Spoken = Annotated[Text, AfterValidator(_spoken)]
Known = Annotated[Text, AfterValidator(_known)]
Label = Annotated[Text, AfterValidator(_named)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Paralinguistics(_Part):
    """How a voice sounds; a field is None when unknown, all are without a human voice."""

    age: Age | None
    gender: Gender | None
    emotion: Emotion | None
    accent: Known | None
    prosody: Known | None
    timbre: Known | None

    @classmethod
    def unknown(cls) -> Paralinguistics:
        """Nothing known, or no voice."""
        return cls(age=None, gender=None, emotion=None, accent=None, prosody=None, timbre=None)


class Event(_Part):
    """A sound that is not speech: what it is, and how it sounds."""

    label: Label
    characteristic: Text


class NonLinguisticEvents(_Part):
    """The auditory scene: a description, sounds with a beginning and an end, and lasting ones."""

    description: Text
    discreteEvents: list[Event]
    continuousEvents: list[Event]


class SAP(_Part):
    """Linguistic content, vocal attributes and auditory scene of one clip."""

    transcription: Spoken | None
    paralinguistics: Paralinguistics
    nonLinguisticEvents: NonLinguisticEvents

    @classmethod
    def parse(cls, text: str, lenient: bool = False) -> SAP:
        """The SAP that `text` is, or with `lenient` the one that can be found in it.

        Raises `SapError` with one sentence that names the field, or the place in the JSON.
        """
        return cls.parse_lenient(text)[0] if lenient else cls.from_object(read_object(text))

    @classmethod
    def parse_lenient(cls, text: str) -> tuple[SAP, list[Repair]]:
        """The SAP in `text`, its small faults put right, and what was changed (see `repair`).

        Text that `parse` takes needs no repair. Raises `SapError` where no certain repair exists.
        """
        value, syntax = search_object(text, {plain(name) for name in cls.model_fields})
        try:
            return cls.from_object(value), syntax
        except SapError:
            fields, repairs = repair_fields(value)
            return cls.from_object(fields), syntax + repairs

    @classmethod
    def from_object(cls, value: Any) -> SAP:
        """The SAP of a JSON object that is already read; `SapError` names the wrong field."""
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            faults = error.errors(include_url=False)
            more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
            raise SapError(_sentence(faults[0]) + more) from None

    def canonical(self) -> str:
        """Compact JSON with the schema's key order and no ASCII escapes: the training target."""
        return json.dumps(self.model_dump(), ensure_ascii=False, separators=(",", ":"))

    def to_json(self, indent: int | None = 2) -> str:
        """JSON for people: the keys in the schema's order, indented."""
        return json.dumps(self.model_dump(), ensure_ascii=False, indent=indent)


_MUST_BE = {
    "age": f"{', '.join(AGES)} or null",
    "gender": f"{', '.join(GENDERS)} or null",
    "emotion": f"{', '.join(EMOTIONS)} or null",
    "transcription": "text or null",
    "accent": "text or null",
    "prosody": "text or null",
    "timbre": "text or null",
    "discreteEvents": "a list of events",
    "continuousEvents": "a list of events",
    "label": "text",
    "characteristic": "text",
    "description": "text",
}


def _sentence(fault: ErrorDetails) -> str:
    """One of pydantic's findings, with the path of its field, as one sentence."""
    path = ".".join(str(part) for part in fault["loc"])
    if not path:
        return f"the JSON is {kind(fault['input'])}, not an object"
    must = _MUST_BE.get(str(fault["loc"][-1]), "an object")
    match fault["type"]:
        case "missing":
            return f"{path} is missing: it must be {must}"
        case "extra_forbidden":
            return f"{path[:120]} is no key of a SAP"
        case "surrogate":
            return f"{path} holds half a character (a lone surrogate)"
        case "nothing":
            return f"{path} is {kind(fault['input'])}: {fault['msg']}"
        case _:
            return f"{path} is {kind(fault['input'])}: it must be {must}"
