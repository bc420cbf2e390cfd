"""Tokens as one range-coded string of bytes, by the distributions of code statistics.

Order: streams as in the layout, each group by group, each in time. The coder is constriction's
(32-bit words, 64-bit state); it gets whole frequencies in a form that its own rounding keeps as
they are, so files do not depend on the machine's floats.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisono.errors import TokenError, require_extra
from unisono.storage.entropy import PRECISION, CodeStatistics
from unisono.tokens import AudioTokens, TokenLayout

__all__ = ["check_coder", "range_decode", "range_encode"]


def check_coder() -> None:
    """Raise `MissingExtraError` when range coding cannot be done here."""
    require_extra("constriction", "entropy")


def range_encode(tokens: AudioTokens, statistics: CodeStatistics) -> bytes:
    """The codes as bytes, whole little-endian 32-bit words; `TokenError` for another layout."""
    _check_layout(tokens.layout, statistics)
    encoder = require_extra("constriction", "entropy").stream.queue.RangeEncoder()
    for stream in tokens.layout.streams:
        for group, codes in enumerate(tokens.codes[stream.name]):
            models = _Models(statistics, stream.name, group)
            if not models.contexts:
                encoder.encode(codes, models[None])
                continue
            context = None
            for code in codes.tolist():
                encoder.encode(code, models[context])
                context = models.contexts[code]
    return encoder.get_compressed().astype("<u4").tobytes()


def range_decode(
    data: bytes, layout: TokenLayout, frames: Mapping[str, int], statistics: CodeStatistics
) -> dict[str, NDArray[np.int32]]:
    """The codes `[groups, frames]` of each stream; `TokenError` for data that do not hold them."""
    _check_layout(layout, statistics)
    if len(data) % 4:
        raise TokenError("its payload is not a whole number of 32-bit words")
    _check_size(len(data), layout, frames, statistics)
    words = np.frombuffer(data, dtype="<u4").astype(np.uint32)
    decoder = require_extra("constriction", "entropy").stream.queue.RangeDecoder(words)
    codes = {}
    try:
        for stream in layout.streams:
            rows = np.empty((stream.groups, frames[stream.name]), dtype=np.int32)
            for group in range(stream.groups):
                models = _Models(statistics, stream.name, group)
                rows[group] = _group(decoder, models, rows.shape[1])
            codes[stream.name] = rows
    except AssertionError as error:  # constriction's word for data that nobody encoded
        raise TokenError("its payload is no range code of these statistics") from error
    if not decoder.maybe_exhausted():
        raise TokenError("bytes follow its last code")
    return codes


def _group(decoder: Any, models: _Models, count: int) -> NDArray[np.int32]:
    if not models.contexts:
        return decoder.decode(models[None], count)
    codes, context = [], None
    for _ in range(count):
        code = decoder.decode(models[context])
        codes.append(code)
        context = models.contexts[code]
    return np.array(codes, dtype=np.int32)


class _Models:
    """constriction's models of one group by context, made when first needed."""

    def __init__(self, statistics: CodeStatistics, name: str, group: int) -> None:
        self._statistics, self._name, self._group = statistics, name, group
        contexts = statistics.contexts.get(name)
        self.contexts = [] if contexts is None else contexts[group].tolist()
        self._made: dict[int | None, Any] = {}

    def __getitem__(self, context: int | None) -> Any:
        if context not in self._made:
            frequencies = self._statistics.frequencies(self._name, self._group, context)
            # constriction gives each code 1 and shares the rest out by the weights. Weights that
            # add up to that rest are scaled by exactly 1, so every frequency stays as it is.
            weights = (frequencies - np.uint64(1)).astype(np.float64)
            categorical = require_extra("constriction", "entropy").stream.model.Categorical
            self._made[context] = categorical(weights, perfect=False)
        return self._made[context]


def _check_layout(layout: TokenLayout, statistics: CodeStatistics) -> None:
    if layout != statistics.layout:
        raise TokenError(
            f"the code statistics were made for another layout (of model {statistics.model!r}); "
            "take those of the model that made the tokens"
        )


def _check_size(
    size: int, layout: TokenLayout, frames: Mapping[str, int], statistics: CodeStatistics
) -> None:
    """Refuse a forged length before memory is taken for it: every code costs some bits."""
    least = 0.0
    for stream in layout.streams:
        for group in range(stream.groups):
            contexts = _Models(statistics, stream.name, group).contexts
            most = max(
                int(statistics.frequencies(stream.name, group, context).max())
                for context in {None, *contexts}
            )
            least += min(frames[stream.name], 1 << 62) * (PRECISION - math.log2(most))
    if least > 8 * size + 64:
        raise TokenError("its payload is shorter than its header says")
