"""The vocoder over mel that arrives in pieces: the same wave as from the whole mel at once."""

from __future__ import annotations

import torch
from torch import Tensor

from unisono.synthesis.vocoder import HiFTVocoder

# F0's predictor looks five frames to each side (five convolutions of width three).
_F0_CONTEXT = 5


class StreamingVocoder:
    """Turns mel pieces of one item into wave pieces, without seams.

    The source (sines and noise) runs on from piece to piece, and the filter sees enough frames
    before and after each piece (`context_frames`) that its output is that of the whole mel to
    float tolerance. Memory is bounded by a piece and its context.
    """

    def __init__(self, vocoder: HiFTVocoder, generator: torch.Generator, max_frames: int = 512):
        self.vocoder, self.generator, self.max_frames = vocoder, generator, max_frames
        self.context = context_frames(vocoder) + _F0_CONTEXT
        self._mel: Tensor | None = None
        self._source: Tensor | None = None
        self._phases: Tensor | None = None
        self._cycles: Tensor | None = None
        self._done = 0

    @torch.no_grad()
    def push(self, mel: Tensor, last: bool = False) -> Tensor:
        """Take `mel [mels, T]`; return the wave `[n]` that is final by now (all, when `last`)."""
        mel = mel[None]
        self._mel = mel if self._mel is None else torch.cat([self._mel, mel], 2)
        self._extend_source(last)
        assert self._source is not None
        known = self._source.shape[2] // self.vocoder.hop
        end = known if last else known - self.context
        pieces = [self._render(start, min(start + self.max_frames, end), known)
                  for start in range(self._done, end, self.max_frames)]  # fmt: skip
        self._done = max(end, self._done)
        self._forget(self._done - self.context)
        return torch.cat(pieces) if pieces else mel.new_zeros(0)

    def _extend_source(self, last: bool) -> None:
        """Append the source of all frames whose F0 no longer depends on mel to come."""
        assert self._mel is not None
        hop, harmonic = self.vocoder.hop, self.vocoder.source
        if self._source is None:
            self._phases, _ = harmonic.draw(1, 0, self._mel, self.generator)
            self._source = self._mel.new_zeros(1, 1, 0)
        start, total = self._source.shape[2] // hop, self._mel.shape[2]
        end = total if last else total - _F0_CONTEXT
        if end <= start:
            return
        before = min(start, _F0_CONTEXT)
        f0 = self.vocoder.f0(self._mel[:, :, start - before :])[:, before : before + end - start]
        shape = (1, harmonic.harmonics + 1, (end - start) * hop)
        noise = torch.randn(shape, generator=self.generator, device=self.generator.device)
        assert self._phases is not None
        piece = harmonic(f0, self._phases, noise.to(self._mel), self._cycles)
        self._cycles = harmonic.advance(f0, self._cycles)[:, -1].remainder(1.0)
        self._source = torch.cat([self._source, piece], 2)

    def _render(self, start: int, end: int, known: int) -> Tensor:
        """Wave of the held frames `start` to `end`, computed with context on both sides."""
        assert self._mel is not None and self._source is not None
        first, hop = max(0, start - self.context), self.vocoder.hop
        stop = min(known, end + self.context)
        wave = self.vocoder.filter(
            self._mel[:, :, first:stop], self._source[:, :, first * hop : stop * hop]
        )
        return wave[0, (start - first) * hop : (end - first) * hop]

    def _forget(self, frames: int) -> None:
        """Drop held frames that no later piece needs."""
        assert self._mel is not None and self._source is not None
        if frames > 0:
            self._mel = self._mel[:, :, frames:].clone()
            self._source = self._source[:, :, frames * self.vocoder.hop :].clone()
            self._done -= frames


def context_frames(vocoder: HiFTVocoder) -> int:
    """Mel frames to each side that the filter's output at a frame depends on (upper bound)."""
    c, reach, rate = vocoder.config, 3.0 + 1.0, 1
    widest = max(
        _reach(k, d)
        for k, d in zip(c.resblock_kernel_sizes, c.resblock_dilation_sizes, strict=True)
    )
    for i, up in enumerate(c.upsample_rates):
        reach += (c.upsample_kernel_sizes[i] / up + 1) / rate
        rate *= up
        source = _reach(c.source_resblock_kernel_sizes[i], c.source_resblock_dilation_sizes[i])
        reach += (widest + source + 2) / rate
    return int(reach + (3 + c.istft_params["n_fft"] / c.istft_params["hop_len"]) / rate) + 1


def _reach(kernel: int, dilations: tuple[int, ...]) -> int:
    return sum((kernel - 1) // 2 * (d + 1) for d in dilations)
