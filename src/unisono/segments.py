"""Inputs to fixed segments to batches: what every tokenizer does before its encoder runs.

Nothing here knows a model. Audio of any length flows through as a stream of events
(`Segment`, then `End` or `Failed` for each item), is read ahead in a background thread, and is
grouped by length so that little padding is computed.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from unisono.audio import Audio, probe, read_blocks, resample_blocks
from unisono.errors import AudioError, UnisonoError

Mono = Literal["mean", "first"]
VOICE_SECONDS = 60.0
"""A voice is known after this much of a recording."""
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Segment:
    """A piece of item `item`: mono float32 `[n]` at the model's rate, n >= 1."""

    item: int
    index: int
    samples: np.ndarray


@dataclass(frozen=True)
class End:
    """Item `item` is read to its end; it had `samples` samples at `rate` Hz, in `segments`."""

    item: int
    samples: int
    rate: int
    segments: int


@dataclass(frozen=True, eq=False)
class Failed:
    """Item `item` cannot be read; segments of it that came before are void."""

    item: int
    error: UnisonoError


Event = Segment | End | Failed


def read_segments(
    inputs: Iterable[Any], rate: int, length: int, mono: Mono = "mean"
) -> Iterator[Event]:
    """Cut every input into segments of `length` samples at `rate` Hz, the last one shorter.

    `inputs` holds `Audio`, paths, or `(array, rate)` pairs. An input that cannot be read gives one
    `Failed` event and the next one goes on. Memory: one block of one file.
    """
    for item, value in enumerate(inputs):
        try:
            yield from _read_one(item, value, rate, length, mono)
        except UnisonoError as error:
            yield Failed(item, error)


def cut(blocks: Iterable[np.ndarray], length: int) -> Iterator[np.ndarray]:
    """Re-cut a stream of `[n]` blocks into pieces of `length` samples, the last one shorter."""
    held: list[np.ndarray] = []
    count = 0
    for block in blocks:
        while block.size:
            take = min(length - count, block.size)
            held.append(block[:take])
            count += take
            block = block[take:]
            if count == length:
                yield np.concatenate(held)
                held, count = [], 0
    if count:
        yield np.concatenate(held)


def prefetch(source: Iterable[T], depth: int = 8) -> Iterator[T]:
    """Run `source` in a background thread, at most `depth` elements ahead; errors come through.

    When the consumer stops early the thread stops at its next element.
    """
    box: queue.Queue[tuple[str, Any]] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def put(kind: str, value: Any) -> None:
        while not stop.is_set():
            try:
                box.put((kind, value), timeout=0.1)
                return
            except queue.Full:
                continue

    def work() -> None:
        try:
            for element in source:
                put("element", element)
                if stop.is_set():
                    return
            put("end", None)
        except BaseException as error:
            put("error", error)

    thread = threading.Thread(target=work, name="unisono-read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = box.get()
            if kind == "element":
                yield value
            elif kind == "error":
                raise value
            else:
                return
    finally:
        stop.set()
        thread.join(timeout=5.0)


def batches_by_length(lengths: list[int], budget: int) -> list[list[int]]:
    """Group positions of `lengths` so that count x longest <= `budget`, neighbours in length.

    A single element longer than the budget forms its own batch.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    groups: list[list[int]] = []
    for position in order:
        if groups and (len(groups[-1]) + 1) * lengths[groups[-1][0]] <= budget:
            groups[-1].append(position)
        else:
            groups.append([position])
    return groups


def mono_samples(audio: Audio, mono: Mono) -> np.ndarray:
    """One channel `[n]` of `audio`: the mean of all, or the first."""
    return audio.samples[0] if mono == "first" else audio.mono().samples[0]


def as_audio(value: Any) -> Audio:
    """`Audio`, or an `(array, rate)` pair, as `Audio`; `AudioError` for anything else."""
    if isinstance(value, Audio):
        return value
    if isinstance(value, tuple) and len(value) == 2:
        array, rate = value
        if hasattr(array, "detach"):  # a torch tensor, without importing torch
            array = array.detach().cpu().numpy()
        return Audio(array, rate)
    raise AudioError(
        f"cannot take {type(value).__name__} as audio; give an Audio, a path, "
        "an (array, sample rate) pair, or a list of them"
    )


def read_voice(voice: Any, rate: int) -> np.ndarray:
    """A recording of a voice, mono at `rate`: float32 `[n]`; of a file its first VOICE_SECONDS."""
    if isinstance(voice, str | Path):
        return next(read_blocks(voice, rate, VOICE_SECONDS))
    return as_audio(voice).mono().resample(rate).samples[0]


class CountedResampler:
    """A stream of `[n]` blocks at `rate` as blocks at `target`; `taken` counts what went in."""

    def __init__(self, blocks: Iterable[np.ndarray], rate: int, target: int) -> None:
        self.taken = 0
        self._blocks, self._rate, self._target = blocks, rate, target

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in resample_blocks(self._counted(), self._rate, self._target):
            yield block[0]

    def _counted(self) -> Iterator[np.ndarray]:
        for block in self._blocks:
            self.taken += block.size
            yield block[None]


def _read_one(item: int, value: Any, rate: int, length: int, mono: Mono) -> Iterator[Event]:
    """Events of one input."""
    if isinstance(value, str | os.PathLike):
        own_rate = probe(value).rate
        blocks = _file_blocks(value, mono)
    else:
        audio = as_audio(value)
        own_rate, blocks = audio.rate, iter([mono_samples(audio, mono)])
    # The header's length can be an estimate, so samples are counted as they pass.
    stream = CountedResampler(blocks, own_rate, rate)
    segments = 0
    for piece in cut(stream, length):
        yield Segment(item, segments, piece)
        segments += 1
    yield End(item, stream.taken, own_rate, segments)


def _file_blocks(path: str | os.PathLike[str], mono: Mono) -> Iterator[np.ndarray]:
    """Blocks `[n]` of a file at its own rate."""
    for block in read_blocks(path, block_seconds=4.0, mono=mono == "mean"):
        yield block if mono == "mean" else block[0]
