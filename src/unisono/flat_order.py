"""Flat order: which stream, group and id range each position of a flat id list belongs to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unisono.errors import TokenError

if TYPE_CHECKING:
    from unisono.tokens import TokenLayout

__all__ = ["Slots", "samples_of", "slots"]


@dataclass(frozen=True)
class Slots:
    """One entry a flat position, each `[n]`: which stream, first id of its group, group's size."""

    stream: NDArray[np.int64]
    low: NDArray[np.int64]
    size: NDArray[np.int64]


def slots(layout: TokenLayout, counts: Sequence[int]) -> Slots:
    """What belongs at each flat position, for `counts` frames of each stream."""
    order, _ = _events(layout, counts)
    groups = np.array([s.groups for s in layout.streams], dtype=np.int64)
    sizes = np.array([s.codebook_size for s in layout.streams], dtype=np.int64)
    firsts = np.array([layout.offset(s.name) for s in layout.streams], dtype=np.int64)
    repeats = groups[order]
    stream = np.repeat(order, repeats)
    starts = np.cumsum(repeats) - repeats
    group = np.arange(stream.size, dtype=np.int64) - np.repeat(starts, repeats)
    size = sizes[stream]
    return Slots(stream=stream, low=firsts[stream] + group * size, size=size)


def _events(
    layout: TokenLayout, counts: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Stream index and time of every frame in flat order; time in ticks, -1 for "once"."""
    exact = [stream.exact_rate for stream in layout.streams]
    ticks = _ticks_per_second(layout)
    stream = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    times, ranks = [], []
    rates = sorted({rate for rate in exact if rate is not None})
    for rate, count in zip(exact, counts, strict=True):
        if rate is None:
            times.append(np.full(count, -1, dtype=np.int64))
            ranks.append(0)
            continue
        step = ticks // rate
        if step * count >= 2**62:
            raise TokenError("the rates of this layout have no common clock that fits 64 bits")
        times.append(np.arange(count, dtype=np.int64) * int(step))
        ranks.append(rates.index(rate))
    time = np.concatenate(times)
    order = np.lexsort((stream, np.array(ranks, dtype=np.int64)[stream], time))
    return stream[order], time[order]


def _ticks_per_second(layout: TokenLayout) -> int:
    """Ticks of a clock on which every frame of every stream begins at a whole tick."""
    exact = [stream.exact_rate for stream in layout.streams]
    return math.lcm(*(rate.numerator for rate in exact if rate is not None))


def samples_of(layout: TokenLayout, ids: int, rate: int) -> int:
    """Samples at `rate` of an item that has `ids` flat ids, all of its frames whole."""
    once = layout.tokens_once
    exact = [stream.exact_rate for stream in layout.streams]
    pace = sum(
        (s.groups * r for s, r in zip(layout.streams, exact, strict=True) if r is not None),
        Fraction(0),
    )
    if not pace:
        raise TokenError("this layout has no timed stream: give the number of samples as well")
    # Frames of one second more than needed, so that the frame after the last id is among them.
    seconds = Fraction(max(ids - once, 0)) / pace
    counts = [
        1 if r is None else math.ceil(seconds * r) + 1 + math.ceil(r / min(filter(None, exact)))
        for r in exact
    ]
    order, time = _events(layout, counts)
    groups = np.array([s.groups for s in layout.streams], dtype=np.int64)
    total = np.cumsum(groups[order])
    # The item may end only where time moves on: frames that begin together belong together.
    ends = np.flatnonzero((np.diff(time) > 0) & (time[:-1] >= 0))
    at = int(np.searchsorted(total[ends], ids))
    if at == ends.size or total[ends[at]] != ids:
        whole = int(total[ends[at - 1]]) if at else 0
        raise TokenError(
            f"{ids} flat ids end inside a frame: position {whole} begins a frame that is not "
            f"complete; cut the list to {whole} ids"
            if whole
            else f"{ids} flat ids are not one whole frame, which takes {int(total[ends[0]])}"
        )
    end = Fraction(int(time[ends[at] + 1]), _ticks_per_second(layout))
    return max(1, math.floor(end * rate))
