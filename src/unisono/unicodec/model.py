"""UniCodec: waves to codes of three streams, and codes to waves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unisono.unicodec.config import UniCodecConfig
from unisono.unicodec.decoder import FusionDecoder
from unisono.unicodec.pitch import PitchQuantizer, pitch_of_rows
from unisono.unicodec.source import Excitation, Pitch
from unisono.unicodec.spectrum import Spectrum
from unisono.unicodec.state import StreamState
from unisono.unicodec.streams import GlobalEncoder, ResidualEncoder, SemanticEncoder

Codes = Mapping[str, Tensor]
"""`global [B, groups]`, `semantic` and `residual [B, T, groups]`, int64."""

PIECE_SECONDS = 10.0
"""Causal models work through long audio in pieces of this length, with the same result."""


@dataclass(frozen=True)
class Vectors:
    """Quantized vectors: glob `[B, dg]`, semantic `[B, T, ds]`, residual `[B, T, dp]`.

    pitched: whether P says a pitch in every frame, so that none has to be told."""

    glob: Tensor
    semantic: Tensor
    residual: Tensor
    pitched: bool = False


class UniCodec(nn.Module):
    """Three encoders over one spectrum and the decoder that fuses them.

    `absent` stands for P where it was left out, so that G and S alone can be decoded [ours].
    """

    def __init__(self, config: UniCodecConfig) -> None:
        super().__init__()
        self.config = config
        self.spectrum = Spectrum(config)
        self.global_encoder = GlobalEncoder(config)
        self.semantic_encoder = SemanticEncoder(config)
        self.residual_encoder = ResidualEncoder(config)
        self.decoder = FusionDecoder(config)
        self.excitation = Excitation(config) if config.decoder.source else None
        self.absent = nn.Parameter(torch.zeros(config.residual_stream.book.dim))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.absent.device

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the weights."""
        return self.absent.dtype

    @property
    def no_residual(self) -> Tensor:
        """What stands for P where it was left out, `[dim]`; it says no pitch."""
        if not self.config.pitch:
            return self.absent
        first = self._pitch_dim
        return F.pad(self.absent[first:], (first, 0))

    # Encoding -----------------------------------------------------------------------------------

    def encode(self, waves: Tensor, lengths: Tensor | None = None) -> dict[str, Tensor]:
        """Codes of `waves [B, n]` at the model's rate, n whole frames; see `Codes`.

        lengths: real samples `[B]` of each item, whole frames, which G is made of; None: all.
        Codes after an item's end mean nothing. A model that is not causal takes items of one
        length only.
        """
        c = self.config
        if waves.shape[1] % c.frame:
            raise ValueError(f"{waves.shape[1]} samples are not whole frames of {c.frame}")
        counts = None if lengths is None else lengths // c.hop
        if not c.causal:
            spectrum = self.spectrum(waves)
            return {"global": self.global_codes(spectrum, counts), **self.local_codes(spectrum)}
        state, found = StreamState(), []
        piece = c.frame * max(1, round(PIECE_SECONDS * c.rate / c.frame))
        vector = None
        for start in range(0, waves.shape[1], piece):
            spectrum = self.spectrum(waves[:, start : start + piece], state)
            here = spectrum.shape[2]
            real = torch.full((len(waves),), here, device=waves.device)
            if counts is not None:
                real = (counts - start // c.hop).clamp(0, here)
            vector = self.global_encoder(spectrum, real, state)
            found.append(self.local_codes(spectrum, state))
        assert vector is not None
        joined = {name: torch.cat([part[name] for part in found], dim=1) for name in found[0]}
        return {"global": self.global_encoder.quantizer.encode(vector), **joined}

    def global_codes(
        self, spectrum: Tensor, counts: Tensor | None = None, state: StreamState | None = None
    ) -> Tensor:
        """G `[B, groups]` of a spectrum, of which `counts [B]` frames are real."""
        encoder = self.global_encoder
        return encoder.quantizer.encode(encoder(spectrum, counts, state))

    def local_codes(self, spectrum: Tensor, state: StreamState | None = None) -> dict[str, Tensor]:
        """S and P of a spectrum `[B, 2, T, F]`, T whole folds."""
        semantic = self.semantic_encoder.quantizer
        codes = semantic.encode(self.semantic_encoder(spectrum, state))
        known = semantic.lookup(codes)
        left = self.residual_encoder(spectrum, known, state)
        return {"semantic": codes, "residual": self.residual_encoder.quantizer.encode(left)}

    # Decoding -----------------------------------------------------------------------------------

    def vectors(self, codes: Codes) -> Vectors:
        """Vectors of codes; without `residual` among them, P counts as absent."""
        semantic = self.semantic_encoder.quantizer.lookup(codes["semantic"])
        pitched = self.config.pitch and "residual" in codes
        if "residual" in codes:
            residual = self.residual_vectors(codes["residual"])
        else:
            residual = self.no_residual.expand(*semantic.shape[:2], -1)
        glob = self.global_encoder.quantizer.lookup(codes["global"])
        return Vectors(glob, semantic, residual, pitched)

    def residual_vectors(self, codes: Tensor) -> Tensor:
        """Vectors `[..., dim]` of P's codes `[..., groups]`, or `[..., 1]`: its pitch alone."""
        quantizer = self.residual_encoder.quantizer
        if codes.shape[-1] == self.config.residual_stream.book.groups:
            return quantizer.lookup(codes)
        assert isinstance(quantizer, PitchQuantizer)
        return self._with_pitch(quantizer.book.codebook[codes[..., 0]])

    def pitch_alone(self, residual: Tensor) -> Tensor:
        """P's vectors `[..., dim]` with nothing left but the pitch that they say."""
        return self._with_pitch(residual[..., : self._pitch_dim])

    def saying(self, pitch: Pitch) -> Tensor:
        """P's vectors `[B, T, dim]` with nothing but `pitch`, which is at `T * fold` hops."""
        quantizer = self.residual_encoder.quantizer
        assert isinstance(quantizer, PitchQuantizer)
        return self._with_pitch(quantizer.book.codebook[quantizer.book.codes(pitch)])

    def _with_pitch(self, rows: Tensor) -> Tensor:
        rest = self.absent[self._pitch_dim :]
        return torch.cat([rows, rest.expand(*rows.shape[:-1], -1)], dim=-1)

    @property
    def _pitch_dim(self) -> int:
        """Numbers of P's vectors that say the pitch."""
        book = self.config.residual_stream.book
        return book.dim // book.groups

    def decode(self, codes: Codes) -> Tensor:
        """Waves `[B, T * frame]` of codes."""
        return self.synthesize(self.vectors(codes))

    def synthesize(self, vectors: Vectors) -> Tensor:
        """Waves `[B, T * frame]` of vectors."""
        return self.draw(vectors)[0]

    def draw(self, vectors: Vectors, pitch: Pitch | None = None) -> tuple[Tensor, Pitch | None]:
        """Waves `[B, T * frame]` of vectors, and the pitch that is told at each spectrum frame.

        pitch: drawn instead of it, `[B, T * fold]`, where P says none. None is told where P says
        all. The inverse spectrum lags; the last frame is repeated to get its end out [ours].
        """
        semantic, residual = (
            F.pad(x.transpose(1, 2), (0, self._tail), mode="replicate").transpose(1, 2)
            for x in (vectors.semantic, vectors.residual)
        )
        planes, told = self.decoder(
            vectors.glob, semantic, residual, tell_pitch=not vectors.pitched
        )
        if pitch is not None:
            pitch = pitch.extended(self._tail * self.config.fold)
        delay = self.spectrum.delay
        length = vectors.semantic.shape[1] * self.config.frame
        drawn = self._pitch(told if pitch is None else pitch, residual)
        wave = self._rendered(planes, drawn)[:, delay : delay + length]
        frames = vectors.semantic.shape[1] * self.config.fold
        return wave, None if told is None else told.first(frames)

    def synthesize_piece(self, vectors: Vectors, state: StreamState) -> Tensor:
        """The next samples `[B, T * frame]` of a stream, `Spectrum.delay` samples late."""
        planes, pitch = self.decoder(
            vectors.glob, vectors.semantic, vectors.residual, state, not vectors.pitched
        )
        return self._rendered(planes, self._pitch(pitch, vectors.residual, state), state)

    def synthesize_end(self, glob: Tensor, last: Vectors, state: StreamState) -> Tensor:
        """What a stream still lacks: `[B, delay]`, when `last` (one frame) was its last."""
        semantic, residual = (x.expand(-1, self._tail, -1) for x in (last.semantic, last.residual))
        end = Vectors(glob, semantic, residual, last.pitched)
        return self.synthesize_piece(end, state)[:, : self.spectrum.delay]

    def _pitch(
        self, told: Pitch | None, residual: Tensor, state: StreamState | None = None
    ) -> Pitch | None:
        """The pitch that P `[B, T, dim]` says, and where it says none `told`."""
        if not self.config.pitch:
            return told
        said, known = pitch_of_rows(residual, self.config.fold, self, state)
        if told is None:
            return said
        octaves = torch.where(known, said.octaves, told.octaves)
        return Pitch(octaves, torch.where(known, said.voiced, told.voiced))

    def _rendered(
        self, planes: Tensor, pitch: Pitch | None, state: StreamState | None = None
    ) -> Tensor:
        """Samples of the decoder's planes, `Spectrum.delay` samples late."""
        spectrum = self.spectrum.expand(planes[:, :2])
        if self.excitation is not None:
            assert pitch is not None
            pulses, noise = (
                self.spectrum.analyse(layer, wave, state)
                for layer, wave in self.excitation(pitch, state)
            )
            level = self.spectrum.expand(F.pad(planes[:, 4:5], (0, 0, 0, 0, 0, 1)))
            spectrum = spectrum + self.spectrum.expand(planes[:, 2:4]) * pulses + level * noise
        return self.spectrum.overlap(spectrum, state)

    @property
    def _tail(self) -> int:
        """Frames after the last one until all its samples are complete."""
        return -(-self.spectrum.delay // self.config.frame)
