"""Live streams of a causal UniCodec: waves in as they come, codes out.

The way back is in `decoder_stream`. The items of a stream advance together, as one batch: a frame
is worked on once every item that has not ended has it. What comes out does not depend on how the
input was cut.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unisono.errors import AudioError, ConfigError
from unisono.unicodec.model import PIECE_SECONDS, UniCodec
from unisono.unicodec.state import StreamState

Ends = bool | Sequence[bool]
"""Which items end, one flag an item; True or False: all or none."""


class LiveStream:
    """What both directions share: the batch, the ends of its items, the state in a `with`."""

    def __init__(self, model: UniCodec, batch: int) -> None:
        if not model.config.causal:
            raise ConfigError(
                "This model is not causal, so it cannot stream; encode and decode whole "
                "recordings, or train a model with causal: true."
            )
        if batch < 1:
            raise ConfigError(f"A stream needs a batch of at least 1 item, not {batch}.")
        self.model, self.batch = model, batch
        self._state: StreamState | None = None
        self._ended = [False] * batch

    def __enter__(self) -> Any:
        self._state = StreamState()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._state = None

    def _open_state(self) -> StreamState:
        if self._state is None:
            raise ConfigError(
                "This stream is not open; use it inside its with block, and a new one for new "
                "items."
            )
        return self._state

    def _flags(self, ends: Ends) -> list[bool]:
        flags = [ends] * self.batch if isinstance(ends, bool) else [bool(end) for end in ends]
        if len(flags) != self.batch:
            raise ConfigError(f"ends has {len(flags)} flags for a stream of {self.batch} items.")
        return flags

    def _one_each(self, given: Sequence[Any], what: str, error: type[Exception]) -> None:
        if len(given) != self.batch:
            raise error(
                f"{len(given)} {what} for a stream of {self.batch} items; give one an item, empty "
                "where an item has nothing."
            )


class EncoderStream(LiveStream):
    """Waves to codes while they come; made by `UniCodecTokenizer.encoder_stream`.

    Args:
        batch: items that advance together.
        lookahead: seconds after which an item's global codes are made, once; `math.inf`: at its
            end, as offline.

    Raises:
        ConfigError: the model is not causal, or an argument has no sense.
    """

    def __init__(self, model: UniCodec, batch: int = 1, lookahead: float = 1.0) -> None:
        super().__init__(model, batch)
        if not lookahead > 0:
            raise ConfigError(f"lookahead must be above 0 seconds, not {lookahead}.")
        c = model.config
        frames = lookahead * c.rate / c.frame
        self._ahead = frames if math.isinf(frames) else max(1, math.ceil(frames - 1e-9))
        self._held = [np.zeros(0, np.float32) for _ in range(batch)]
        self._frames = [0] * batch
        """Frames of each item that were encoded."""
        self._clock = 0
        self._told = [False] * batch
        self._vector: Tensor | None = None

    @torch.inference_mode()
    def push(self, waves: Sequence[Any] | Any, ends: Ends = False) -> list[dict[str, np.ndarray]]:
        """Take the next samples of every item; give the codes that are new.

        Args:
            waves: `[batch, n]` of any n, or a list of arrays `[n]` of different n, at the model's
                rate.
            ends: items that end with these samples; their last frame is filled with zeros.

        Returns:
            A dict an item: `semantic` and `residual`, int32 `[groups, frames]`; and `global`
            `[groups, 1]` once, when `lookahead` was heard or the item ended.

        Raises:
            AudioError: waves of another shape, not finite, or of an item that has ended.
        """
        state, flags = self._open_state(), self._flags(ends)
        arrays = self._checked(waves)
        for n, array in enumerate(arrays):
            self._held[n] = np.concatenate([self._held[n], array])
            self._ended[n] |= flags[n]
        found: list[list[dict[str, np.ndarray]]] = [[] for _ in range(self.batch)]
        glob: list[np.ndarray | None] = [None] * self.batch
        while (count := self._ready()) > 0:
            self._encode(count, state, found)
            self._tell(glob)
        self._tell(glob)
        return [self._joined(parts, own) for parts, own in zip(found, glob, strict=True)]

    @torch.inference_mode()
    def refresh(self, item: int | None = None) -> list[np.ndarray]:
        """Global codes `[groups, 1]` made anew from all that was heard; of one item or of each.

        Raises:
            AudioError: an item has not had a whole frame yet.
        """
        self._open_state()
        items = range(self.batch) if item is None else [item]
        if any(not 0 <= n < self.batch for n in items):
            raise ConfigError(f"There is no item {item} in a stream of {self.batch}.")
        if any(self._frames[n] == 0 for n in items):
            raise AudioError("Nothing was heard yet of which global codes could be made.")
        codes = self._global_codes()
        return [codes[n][:, None] for n in items]

    def _checked(self, waves: Sequence[Any] | Any) -> list[np.ndarray]:
        self._one_each(waves, "waves", AudioError)
        arrays = []
        for n, wave in enumerate(waves):
            array = np.asarray(wave.detach().cpu() if isinstance(wave, Tensor) else wave)
            array = array.astype(np.float32, copy=False)
            if array.ndim != 1:
                raise AudioError(f"Item {n} has shape {list(array.shape)}; give mono waves [n].")
            if not np.isfinite(array).all():
                raise AudioError(f"Item {n} has samples that are NaN or infinite.")
            if self._ended[n] and array.size:
                raise AudioError(
                    f"Item {n} has ended; give it an empty array, and new audio a new stream."
                )
            arrays.append(array)
        return arrays

    def _ready(self) -> int:
        """Frames that can be encoded at once: no item waits, and none is cut at the look-ahead."""
        frame = self.model.config.frame
        whole = [
            -(-len(held) // frame) if ended else len(held) // frame
            for held, ended in zip(self._held, self._ended, strict=True)
        ]
        live = [n for n, ended in zip(whole, self._ended, strict=True) if not ended]
        count = min(live) if live else max(whole)
        if self._clock < self._ahead:
            count = int(min(count, self._ahead - self._clock))
        return min(count, max(1, round(PIECE_SECONDS * self.model.config.rate / frame)))

    def _encode(
        self, count: int, state: StreamState, found: list[list[dict[str, np.ndarray]]]
    ) -> None:
        """Encode the next `count` frames; items that have ended get zeros, which are not kept."""
        model, c = self.model, self.model.config
        waves = np.zeros((self.batch, count * c.frame), np.float32)
        real = [0] * self.batch
        for n, held in enumerate(self._held):
            taken = held[: count * c.frame]
            waves[n, : len(taken)] = taken
            real[n] = -(-len(taken) // c.frame)
            self._held[n] = held[len(taken) :]
            self._frames[n] += real[n]
        given = torch.from_numpy(waves).to(model.device, model.dtype)
        spectrum = model.spectrum(given, state)
        lengths = torch.tensor(real, device=model.device) * c.fold
        self._vector = model.global_encoder(spectrum, lengths, state)
        local = model.local_codes(spectrum, state)
        arrays = {name: codes.to(torch.int32).cpu().numpy() for name, codes in local.items()}
        for n in range(self.batch):
            if real[n]:
                found[n].append({name: array[n, : real[n]].T for name, array in arrays.items()})
        self._clock += count

    def _tell(self, glob: list[np.ndarray | None]) -> None:
        """Note the global codes of items that have them from now on."""
        due = [
            self._frames[n] > 0
            and not self._told[n]
            and (self._clock >= self._ahead or (self._ended[n] and not len(self._held[n])))
            for n in range(self.batch)
        ]
        if any(due):
            codes = self._global_codes()
            for n in np.flatnonzero(due):
                glob[n], self._told[n] = codes[n][:, None], True

    def _global_codes(self) -> np.ndarray:
        """`[batch, groups]`."""
        assert self._vector is not None
        codes = self.model.global_encoder.quantizer.encode(self._vector)
        return codes.to(torch.int32).cpu().numpy()

    def _joined(
        self, parts: list[dict[str, np.ndarray]], glob: np.ndarray | None
    ) -> dict[str, np.ndarray]:
        joined = {} if glob is None else {"global": glob}
        for stream in self.model.config.layout.streams:
            if stream.rate is not None:
                none = np.zeros((stream.groups, 0), np.int32)
                joined[stream.name] = np.concatenate(
                    [none, *(part[stream.name] for part in parts)], axis=1
                )
        return joined
