"""Live streams of a causal UniCodec: codes in as they come, waves out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unisono.errors import TokenError
from unisono.unicodec.model import PIECE_SECONDS, UniCodec, Vectors
from unisono.unicodec.state import StreamState
from unisono.unicodec.streaming import Ends, LiveStream


class DecoderStream(LiveStream):
    """Codes to waves while they come; made by `UniCodecTokenizer.decoder_stream`.

    Raises:
        ConfigError: the model is not causal, or `batch` has no sense.
    """

    def __init__(self, model: UniCodec, batch: int = 1) -> None:
        super().__init__(model, batch)
        streams, device, dtype = model.config.streams, model.device, model.dtype
        self._late = model.spectrum.delay
        self._voiced = [False] * batch
        self._begun = [False] * batch
        self._pitched = [model.config.pitch] * batch  # by P, as far as an item has come
        self._glob = torch.zeros(batch, streams["global"].book.dim, device=device, dtype=dtype)
        # Quantized S and P of each item's newest frame; the last one is repeated at the end.
        self._last = {
            name: torch.zeros(batch, 1, streams[name].book.dim, device=device, dtype=dtype)
            for name in ("semantic", "residual")
        }

    @torch.inference_mode()
    def push(
        self, codes: Sequence[Mapping[str, Any] | None], ends: Ends = False
    ) -> list[np.ndarray]:
        """Take the next codes of every item; give the samples that are complete.

        Args:
            codes: a mapping an item, as `EncoderStream.push` gives it or `AudioTokens.codes`:
                `semantic` `[groups, frames]`, `residual` alike (or its pitch alone; left out: P
                counts as absent), and `global` `[groups, 1]` with the first frames, later only to
                change the voice. Items that go on have equally many frames; None or nothing for an
                item that has ended.
            ends: items that end with these codes, which may be fewer than the others'.

        Returns:
            Float32 `[n]` an item: 30 ms behind the frames given, which come at the item's end.

        Raises:
            TokenError: codes of another shape or range, no global codes yet, unequal numbers of
                frames, or codes of an item that has ended.
        """
        state, flags = self._open_state(), self._flags(ends)
        self._one_each(codes, "mappings of codes", TokenError)
        counts = [self._check(n, own or {}) for n, own in enumerate(codes)]
        total = self._total(counts, flags)
        dims = {name: last.shape[-1] for name, last in self._last.items()}
        given = {name: self._glob.new_zeros(self.batch, total, dim) for name, dim in dims.items()}
        for n, own in enumerate(codes):
            self._take(n, own or {}, counts[n], given)
        ending = [n for n in range(self.batch) if flags[n] and not self._ended[n]]
        waves: list[list[Tensor]] = [[] for _ in range(self.batch)]
        begin = 0
        # Cut where items end, because their last 30 ms need a look past their end.
        for end in sorted({total, *(counts[n] for n in ending)}):
            if end > begin:
                self._decode(given, begin, end, counts, state, waves)
            here = [n for n in ending if counts[n] == end]
            if any(self._begun[n] for n in here):
                rest = self._rest(state)
                for n in here:
                    waves[n].append(rest[n][: self._late if self._begun[n] else 0])
            begin = end
        for n in ending:
            self._ended[n] = True
        empty = self._glob.new_zeros(0)
        return [torch.cat([empty, *parts]).float().cpu().numpy() for parts in waves]

    def _check(self, item: int, codes: Mapping[str, Any]) -> int:
        """Frames of an item's codes, when they are as they must be."""
        layout = self.model.config.layout
        unknown = set(codes) - {stream.name for stream in layout.streams}
        if unknown:
            raise TokenError(f"Item {item} has unknown streams: {', '.join(sorted(unknown))}.")
        frames = np.asarray(codes["semantic"]).shape[-1] if "semantic" in codes else 0
        for stream in layout.streams:
            if stream.name not in codes:
                continue
            array = np.asarray(codes[stream.name])
            wanted = stream.groups, 1 if stream.rate is None else frames
            if stream.name == "residual" and self.model.config.pitch and array.shape[:1] == (1,):
                wanted = 1, frames
            if array.shape != wanted or array.dtype.kind not in "iu":
                raise TokenError(
                    f"{stream.name} of item {item} must be whole numbers [groups, frames] = "
                    f"{list(wanted)}, not {array.dtype} {list(array.shape)}."
                )
            if array.size and not 0 <= array.min() <= array.max() < stream.codebook_size:
                raise TokenError(
                    f"{stream.name} of item {item} has codes outside 0 to "
                    f"{stream.codebook_size - 1}."
                )
        if frames and self._ended[item]:
            raise TokenError(f"Item {item} has ended; give it nothing, new tokens a new stream.")
        if frames and not self._voiced[item] and "global" not in codes:
            raise TokenError(f"Item {item} has no voice yet; give 'global' with its first frames.")
        return frames

    def _total(self, counts: list[int], flags: list[bool]) -> int:
        on = {n: c for n, c in enumerate(counts) if not flags[n] and not self._ended[n]}
        total = max(counts)
        for n, count in on.items():
            if count != total:
                raise TokenError(
                    f"Item {n} has {count} frames and another {total}; give items that go on "
                    "equally many, or end this one."
                )
        return total

    def _take(
        self, item: int, codes: Mapping[str, Any], count: int, given: dict[str, Tensor]
    ) -> None:
        """Look an item's codes up; only now, so that a refused push changes nothing."""
        model = self.model
        if "global" in codes:
            rows = self._tensor(codes["global"])
            self._glob[item] = model.global_encoder.quantizer.lookup(rows)[0]
            self._voiced[item] = True
        if count:
            rows = self._tensor(codes["semantic"])
            given["semantic"][item, :count] = model.semantic_encoder.quantizer.lookup(rows)
            residual = model.no_residual
            if "residual" in codes:
                residual = model.residual_vectors(self._tensor(codes["residual"]))
            else:
                self._pitched[item] = False
            given["residual"][item, :count] = residual

    def _tensor(self, codes: Any) -> Tensor:
        """`[groups, frames]` → `[frames, groups]`."""
        return torch.from_numpy(np.asarray(codes).T.astype(np.int64)).to(self.model.device)

    def _decode(
        self,
        given: dict[str, Tensor],
        begin: int,
        end: int,
        counts: list[int],
        state: StreamState,
        waves: list[list[Tensor]],
    ) -> None:
        """Decode frames `begin` to `end` of all; keep the samples of items that have them."""
        model = self.model
        piece = max(1, round(PIECE_SECONDS * model.config.rate / model.config.frame))
        pitched = self._all_pitched()
        for start in range(begin, end, piece):
            stop = min(end, start + piece)
            semantic, residual = (given[n][:, start:stop] for n in ("semantic", "residual"))
            vectors = Vectors(self._glob, semantic, residual, pitched)
            made = model.synthesize_piece(vectors, state)
            for n, count in enumerate(counts):
                if count >= stop:
                    waves[n].append(made[n] if self._begun[n] else made[n, self._late :])
                    self._begun[n] = True
            self._last = {"semantic": semantic[:, -1:], "residual": residual[:, -1:]}

    def _rest(self, state: StreamState) -> Tensor:
        """What each item lacks if it ends here: `[batch, late]`; the stream itself stays."""
        semantic, residual = (self._last[name] for name in ("semantic", "residual"))
        last = Vectors(self._glob, semantic, residual, self._all_pitched())
        return self.model.synthesize_end(self._glob, last, state.fork())

    def _all_pitched(self) -> bool:
        """Whether P says the pitch of all items that go on."""
        return all(said or over for said, over in zip(self._pitched, self._ended, strict=True))
