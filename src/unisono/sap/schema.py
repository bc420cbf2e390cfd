"""Semantic-Acoustic Primitives (SAP): what one clip holds, as one JSON object.

The keys are those of the reference's JSON, letter by letter (UniAudio-Token, section on SAP).
"""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from unisono.errors import DataError
from unisono.sap.repair import Repair
from unisono.sap.values import Age, Emotion, Gender

__all__ = ["SAP", "Event", "NonLinguisticEvents", "Paralinguistics", "Repair", "SapError"]


class SapError(DataError):
    """A text that is no SAP; the message names the field."""


Text = Annotated[str, StringConstraints(pattern=r"\S")]
"""Text with at least one character that is no white space."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Paralinguistics(_Part):
    """How a voice sounds; a field is None when unknown, all are without a human voice."""

    age: Age | None
    gender: Gender | None
    emotion: Emotion | None
    accent: Text | None
    prosody: Text | None
    timbre: Text | None


class Event(_Part):
    """A sound that is not speech: what it is, and how it sounds."""

    label: Text
    characteristic: Text


class NonLinguisticEvents(_Part):
    """The auditory scene: a description, sounds with a beginning and an end, and lasting ones."""

    description: Text
    discreteEvents: list[Event]
    continuousEvents: list[Event]


class SAP(_Part):
    """Linguistic content, vocal attributes and auditory scene of one clip."""

    transcription: Text | None
    paralinguistics: Paralinguistics
    nonLinguisticEvents: NonLinguisticEvents

    @classmethod
    def parse(cls, text: str, lenient: bool = False) -> SAP:
        """The SAP that `text` holds; `SapError` names the field that is wrong."""
        try:
            return cls.model_validate(json.loads(text))
        except ValueError as error:
            raise SapError(str(error)) from None

    @classmethod
    def parse_lenient(cls, text: str) -> tuple[SAP, list[Repair]]:
        """The SAP in `text`, its small faults put right, and what was changed."""
        return cls.parse(text), []

    def canonical(self) -> str:
        """Compact JSON with the schema's key order and no ASCII escapes: the training target."""
        return json.dumps(self.model_dump(), ensure_ascii=False, separators=(",", ":"))

    def to_json(self, indent: int | None = 2) -> str:
        """JSON for people: the keys in the schema's order, indented."""
        return json.dumps(self.model_dump(), ensure_ascii=False, indent=indent)
