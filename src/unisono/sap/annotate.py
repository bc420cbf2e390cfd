"""Labels from models: caption → SAP for any number of clips, at most a few in memory at a time.

A captioner hears a clip (where the data has no caption yet), a writer turns the caption into SAP,
a sink keeps it. A run can be killed at any moment; the next one goes on where it was.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from unisono.errors import AudioError, DataError, UnisonoError
from unisono.sap.annotate_input import Clip, ClipStream
from unisono.sap.annotate_models import Captioner, SapWriter
from unisono.sap.annotate_output import Label, Sink
from unisono.sap.client import AccessError, AnswerError, RequestError, ServerError
from unisono.sap.schema import SAP, SapError

__all__ = ["AnnotateOptions", "Summary", "annotate"]

# How many clips without an answer a summary names.
NAMED = 20

Value = TypeVar("Value")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AnnotateOptions:
    """How a run goes.

    Attributes:
        concurrency: clips in work at once.
        rate: sample rate that the captioner gets, Hz.
        max_seconds: longer clips are put aside.
        give_up: the run stops when this many clips in a row got no answer; None: `concurrency`,
            but at least 4.
    """

    concurrency: int = 8
    rate: int = 16_000
    max_seconds: float = 300.0
    give_up: int | None = None

    def __post_init__(self) -> None:
        if self.concurrency < 1 or (self.give_up is not None and self.give_up < 1):
            raise DataError("annotation needs a concurrency and a give_up of at least 1")


@dataclass
class Summary:
    """What a run did, in clips.

    Attributes:
        labelled: stored, with an answer of this run or of an earlier one that was killed.
        reused: of these, answered in an earlier run.
        kept: of these, with a SAP that the data had already.
        repaired: of these, with a text that had to be put right.
        skipped: stored or put aside by earlier runs, or listed twice.
        rejected: put aside, with the reason in the file of rejects.
        unanswered: the server gave no answer; the next run asks again.
        reasons: for the first of the unanswered: clip → why.
        seconds: time that the run took.
    """

    labelled: int = 0
    reused: int = 0
    kept: int = 0
    repaired: int = 0
    skipped: int = 0
    rejected: int = 0
    unanswered: int = 0
    reasons: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


async def annotate(
    clips: ClipStream,
    writer: SapWriter,
    sink: Sink,
    captioner: Captioner | None = None,
    options: AnnotateOptions | None = None,
    progress: Callable[[Summary], None] | None = None,
) -> Summary:
    """Label every clip that the sink does not hold yet, and store it.

    Clips that have a caption are not heard; clips that have a valid SAP keep it. A known text of
    the clip is its transcription, whatever the models say.

    Args:
        clips: the clips; its `settled` should be the sink's.
        writer: turns captions into SAP.
        sink: an open sink; closing it is left to the caller.
        captioner: hears clips; without one every clip needs a caption.
        progress: called after each clip with the summary so far.

    Raises:
        ServerError: the server is gone, or takes nothing from us. What was done is stored.
        DataError: the input is damaged, or a clip has no caption and there is no captioner.
    """
    run = _Run(clips, writer, sink, captioner, options or AnnotateOptions(), progress)
    return await run.all()


@dataclass(frozen=True)
class _Held:
    """A clip that the server would not take; is it the clip's fault, or is it every clip's?"""

    clip: Clip
    reason: str
    caption: str


class _Run:
    def __init__(
        self,
        clips: ClipStream,
        writer: SapWriter,
        sink: Sink,
        captioner: Captioner | None,
        options: AnnotateOptions,
        progress: Callable[[Summary], None] | None,
    ) -> None:
        self._clips, self._writer, self._sink = clips, writer, sink
        self._captioner, self._options, self._progress = captioner, options, progress
        self._give_up = options.give_up or max(4, options.concurrency)
        self._summary = Summary()
        self._iterator: Iterator[Clip] = iter(clips)
        self._turn = asyncio.Lock()
        self._streak = 0
        self._held: list[_Held] = []

    async def all(self) -> Summary:
        began = time.monotonic()
        tasks = [asyncio.create_task(self._work()) for _ in range(self._options.concurrency)]
        try:
            await asyncio.gather(*tasks)
            # Some clips were refused at the end of the data: their own fault, for all we know.
            self._release()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._summary.skipped = self._clips.skipped
            self._summary.seconds = time.monotonic() - began
        return self._summary

    async def _work(self) -> None:
        while (clip := await self._next()) is not None:
            await self._clip(clip)
            self._summary.skipped = self._clips.skipped
            if self._progress is not None:
                self._progress(self._summary)

    async def _next(self) -> Clip | None:
        async with self._turn:
            # Reading may take long, as when a million finished clips are passed over.
            clip = await asyncio.to_thread(next, self._iterator, None)
            if clip is not None:
                self._sink.settle(clip.key)
            return clip

    async def _clip(self, clip: Clip) -> None:
        caption = clip.known.get("caption", "")
        try:
            label = self._ready(clip)
            if label is None:
                caption = caption or await self._hear(clip)
                label = await self._write(clip, caption)
            self._sink.put(clip, label)
            self._summary.labelled += 1
        except AnswerError as error:
            self._answering()
            self._reject(clip, str(error), caption, error.answer)
        except AudioError as error:
            self._reject(clip, str(error), caption, "")
        except AccessError:
            raise
        except (ServerError, RequestError) as error:
            self._failed(clip, error, caption)

    def _ready(self, clip: Clip) -> Label | None:
        """A label for which nobody needs to be asked."""
        label = self._sink.answered(clip.key)
        if label is not None:
            self._summary.reused += 1
            return label
        stated = clip.known.get("sap")
        if not stated:
            return None
        try:
            sap, _ = SAP.parse_lenient(stated)
        except SapError as error:
            log.info("%s: its SAP is not valid (%s), made anew", clip.where, error)
            return None
        self._summary.kept += 1
        return Label(clip.known.get("caption", ""), sap.canonical())

    async def _hear(self, clip: Clip) -> str:
        if self._captioner is None:
            raise DataError(
                f"{clip.where} has no caption; name a captioner, or give data with captions"
            )
        seconds = await _read(clip, clip.seconds)
        if seconds > self._options.max_seconds:
            raise AudioError(
                f"{clip.where} lasts {seconds:.0f} s, more than {self._options.max_seconds:g} s; "
                "cut it"
            )
        samples = await _read(clip, lambda: clip.samples(self._options.rate))
        return await self._captioner.caption(samples, self._options.rate)

    async def _write(self, clip: Clip, caption: str) -> Label:
        known = clip.known
        text = known.get("text", "").strip()
        facts = {
            "what is said": text,
            "language": known.get("language", ""),
            "kind of sound": known.get("label", ""),
            "emotion": known.get("emotion", ""),
        }
        written = await self._writer.write(caption, facts)
        self._answering()
        self._summary.repaired += bool(written.repairs)
        sap = written.sap.model_copy(update={"transcription": text}) if text else written.sap
        return Label(caption, sap.canonical())

    def _answering(self) -> None:
        """The server does answer: what it would not take was at fault itself."""
        self._streak = 0
        self._release()

    def _release(self) -> None:
        held, self._held = self._held, []
        for one in held:
            self._reject(one.clip, one.reason, one.caption, "")

    def _reject(self, clip: Clip, reason: str, caption: str, answer: str) -> None:
        self._sink.reject(clip, " ".join(reason.split()), caption, answer)
        self._summary.rejected += 1

    def _failed(self, clip: Clip, error: UnisonoError, caption: str) -> None:
        self._streak += 1
        if self._streak >= self._give_up:
            self._summary.unanswered += 1 + len(self._held)
            raise ServerError(
                f"{error}; {self._streak} clips in a row got no answer, the last {clip.where}: "
                "see to the server and run again to go on"
            ) from error
        if isinstance(error, RequestError):
            self._held.append(_Held(clip, str(error), caption))
            return
        self._summary.unanswered += 1
        if len(self._summary.reasons) < NAMED:
            self._summary.reasons[clip.where] = str(error)
        log.warning("%s: %s", clip.where, error)


async def _read(clip: Clip, what: Callable[[], Value]) -> Value:
    """Audio is read beside the loop, which has other clips' answers to take."""
    try:
        return await asyncio.to_thread(what)
    except OSError as error:
        raise AudioError(f"{clip.where} cannot be read ({error.strerror or error})") from error
