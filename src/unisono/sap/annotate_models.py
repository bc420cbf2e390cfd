"""The two models of annotation: one hears a clip, one writes SAP; any object that fits will do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal, Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from unisono.errors import DataError
from unisono.sap.client import AnswerError, ChatServer
from unisono.sap.prompts import again, caption_messages, sap_messages
from unisono.sap.schema import SAP, Repair, SapError

__all__ = ["Captioner", "SapWriter", "ServerCaptioner", "ServerSapWriter", "Structured", "Written"]

Structured = Literal["none", "json_object", "json_schema"]
"""What the server is told about the form of an answer; not every server takes every kind."""


@dataclass(frozen=True)
class Written:
    """A SAP, and what had to be put right in the model's text for it."""

    sap: SAP
    repairs: tuple[Repair, ...] = ()


class Captioner(Protocol):
    """Hears a clip. A model in this process is called through `asyncio.to_thread`."""

    async def caption(self, samples: NDArray[np.float32], rate: int) -> str:
        """A free description of mono float32 samples `[n]` at `rate` Hz.

        Raises `AnswerError` when the model gives none, `ServerError` or `RequestError` when it
        cannot be asked.
        """


class SapWriter(Protocol):
    """Reads a caption and writes SAP."""

    async def write(self, caption: str, facts: Mapping[str, str]) -> Written:
        """The SAP of a caption, given facts (name → value) that are certain; raises likewise."""


class ServerCaptioner:
    """A captioner behind a server that takes `input_audio` (16-bit WAV)."""

    def __init__(self, server: ChatServer) -> None:
        self.server = server

    async def caption(self, samples: NDArray[np.float32], rate: int) -> str:
        """See `Captioner.caption`."""
        messages = await asyncio.to_thread(lambda: caption_messages(_wav(samples, rate)))
        text = _said(await self.server.ask(messages))
        if not text:
            raise AnswerError("the caption is empty")
        return text


class ServerSapWriter:
    """A text model behind a server.

    Args:
        server: the model.
        tries: how often it may answer; after an invalid answer it is told what is wrong.
        structured: the form that the server itself enforces.
    """

    def __init__(self, server: ChatServer, tries: int = 2, structured: Structured = "none") -> None:
        self.server, self.tries = server, tries
        self._form = _response_format(structured)

    async def write(self, caption: str, facts: Mapping[str, str]) -> Written:
        """See `SapWriter.write`; `AnswerError` carries the last answer."""
        messages = sap_messages(caption, facts)
        for remaining in reversed(range(self.tries)):
            text = await self.server.ask(messages, **self._form)
            answer = _said(text)
            try:
                sap, repairs = SAP.parse_lenient(answer)
            except SapError as error:
                fault = " ".join(str(error).split())
                if not remaining:
                    raise AnswerError(fault, text) from None
                messages = [*messages, *again(answer, fault)]
            else:
                return Written(sap, tuple(repairs))
        raise DataError("a model that may answer 0 times writes no SAP; allow at least 1 try")


def _response_format(structured: Structured) -> dict[str, Any]:
    if structured == "json_object":
        return {"response_format": {"type": "json_object"}}
    if structured == "json_schema":
        schema = {"name": "sap", "strict": True, "schema": SAP.model_json_schema()}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    return {}


def _said(text: str) -> str:
    """The answer without the thinking that some models write before it."""
    return text.rpartition("</think>")[2].strip()


def _wav(samples: NDArray[np.float32], rate: int) -> bytes:
    buffer = BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()
