"""UniCodec as an `AudioTokenizer`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from unisono.errors import ConfigError, TokenError
from unisono.segments import (
    VOICE_SECONDS,
    CountedResampler,
    as_audio,
    cut,
    mono_samples,
    read_voice,
)
from unisono.tokenizer import AudioTokenizer, Voice
from unisono.tokens import AudioTokens, TokenLayout
from unisono.unicodec.decoder_stream import DecoderStream
from unisono.unicodec.model import PIECE_SECONDS, UniCodec
from unisono.unicodec.pitch import PitchQuantizer
from unisono.unicodec.state import StreamState
from unisono.unicodec.streaming import EncoderStream

SEGMENT_SECONDS = 3600
"""A causal model goes through an hour of audio in pieces that know their past."""
WHOLE_SECONDS = 30
"""A model that is not causal takes so much at once."""
BEYOND = 0.25
"""Another voice's G is drawn so much farther away from the own one than it is (ours): S keeps some
of the own voice, and the decoder leans to it."""


class UniCodecTokenizer(AudioTokenizer):
    """Streams `global` (once), `semantic` and `residual` (25 Hz); see `UniCodecConfig`.

    n samples give ceil(n / 640) frames. Tokens without `residual` (`AudioTokens.only`) are decoded
    too, and where P says the pitch so are tokens with that alone (`AudioTokens.first_groups`);
    tokens of `semantic` alone need a `voice`, a recording or the tokens of one, whose G they then
    get: so do all tokens that are decoded with one (voice conversion), a little beyond it, see
    `BEYOND`. Of their P only the pitch is left, in that voice's register.
    """

    system: ClassVar[str] = "unicodec"

    def __init__(self, model: UniCodec, model_id: str) -> None:
        config = model.config
        self.model = model.eval()
        self.model_id = model_id
        self.layout = config.layout
        self.sample_rate = self.output_rate = config.rate
        self.segment_seconds = SEGMENT_SECONDS if config.causal else WHOLE_SECONDS

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(p.numel() for p in self.model.parameters())

    @torch.inference_mode()
    def encode_segments(self, segments: Sequence[np.ndarray]) -> list[dict[str, np.ndarray]]:
        """Codes of 16 kHz waves `[n]`, `[groups, ceil(n / 640)]` a stream; see `AudioTokenizer`.

        One by one on a CPU, where a batch gains nothing and may round otherwise; elsewhere
        together, if the model is causal.
        """
        model = self.model
        if model.device.type != "cpu" and model.config.causal:
            return self._codes(segments)
        return [codes for segment in segments for codes in self._codes([segment])]

    def decode_blocks(
        self, tokens: AudioTokens, seed: int, steps: int | None, voice: Voice | None
    ) -> Iterator[np.ndarray]:
        """Waveform pieces; nothing is drawn, so `seed` and `steps` change nothing."""
        with torch.inference_mode():
            given: Mapping[str, np.ndarray] = tokens.codes
            own = None
            if voice is not None:
                given = self._revoiced(given, self._voice(voice))
                own = tokens.codes.get("global")
            codes = {name: self._tensor(name, array) for name, array in given.items()}
            if "global" not in codes:
                raise ConfigError(
                    "These tokens have no global stream, so no voice; decode them with voice=, the "
                    "name of a recording to sound like."
                )
            glob = self._glob(codes["global"], own)
            for wave in self._waves(codes, glob):
                yield wave[0].float().cpu().numpy()

    # Live streams -------------------------------------------------------------------------------

    def encoder_stream(self, batch: int = 1, lookahead: float = 1.0) -> EncoderStream:
        """Codes of live waves: `with tok.encoder_stream() as stream: stream.push(waves)`."""
        return EncoderStream(self.model, batch, lookahead)

    def decoder_stream(self, batch: int = 1) -> DecoderStream:
        """Live waves of codes: `with tok.decoder_stream() as stream: stream.push(codes)`."""
        return DecoderStream(self.model, batch)

    def encode_stream(
        self, blocks: Iterable[Any], rate: int, lookahead: float = 1.0
    ) -> Iterator[AudioTokens]:
        """Tokens of a live stream; see `AudioTokenizer.encode_stream`.

        The first part holds what was heard in `lookahead` seconds, from which G is made; then
        comes a part a frame (40 ms; at rates of which 40 ms are not whole samples, as few frames
        as are, at most a second). Parts joined are the tokens of `encode`, but for G, which there
        hears the whole recording; so with `math.inf` they are equal, in a single part (up to an
        hour, where `encode` begins anew). A model that is not causal gives a part every 30 s.
        """
        config = self.model.config
        if not config.causal:
            yield from super().encode_stream(blocks, rate)
            return
        given = (as_audio((block, rate)) for block in blocks if np.size(block))
        waves = (mono_samples(audio, self.mono) for audio in given)
        source = CountedResampler(waves, rate, config.rate)
        unit = config.rate // math.gcd(config.rate, config.frame * rate)
        """Frames that last whole samples of the source."""
        held: list[dict[str, np.ndarray]] = []
        glob: np.ndarray | None = None
        done = 0

        def part() -> AudioTokens:
            codes = {
                name: np.concatenate([own[name] for own in held], axis=1)
                for name in ("semantic", "residual")
            }
            frames = codes["semantic"].shape[1]
            samples = min(frames * config.frame * rate // config.rate, source.taken - done)
            assert glob is not None
            return AudioTokens({"global": glob, **codes}, samples, rate, self.layout, self.model_id)

        with self.encoder_stream(1, lookahead) as stream:
            for piece in _then_end(cut(source, config.frame * unit)):
                (codes,) = stream.push([piece], ends=piece.size < config.frame * unit)
                glob = codes.pop("global", glob)
                if codes["semantic"].shape[1]:
                    held.append(codes)
                if glob is not None and held:
                    yield (tokens := part())
                    done += tokens.samples
                    held.clear()

    # What else there is -------------------------------------------------------------------------

    def accepts(self, layout: TokenLayout) -> bool:
        """Whether tokens of `layout` can be decoded: all streams, P's pitch instead of all of P,
        without P, or S alone."""
        names = [stream.name for stream in layout.streams]
        if "semantic" not in names:
            return False
        own = TokenLayout(tuple(s for s in self.layout.streams if s.name in names))
        pitched = self.model.config.pitch and "residual" in names
        return layout == own or (pitched and layout == own.first_groups(residual=1))

    def revoiced(self, tokens: AudioTokens, voice: AudioTokens) -> AudioTokens:
        """`tokens` with G of the tokens `voice`, and their pitch in its register (the median's).

        Where P says the pitch, nothing else of it is left: it is as the speaker said it.
        """
        self._check_voice(voice)
        if self.model.config.pitch and "residual" in tokens.codes:
            tokens = tokens.first_groups(residual=1)
        return replace(tokens, codes=self._revoiced(tokens.codes, voice.codes))

    def to(self, device: Any = None, dtype: Any = None) -> UniCodecTokenizer:
        """Move to a device and number format, in place; returns itself."""
        self.model.to(device=device, dtype=dtype)
        return self

    # Inside -------------------------------------------------------------------------------------

    def _codes(self, segments: Sequence[np.ndarray]) -> list[dict[str, np.ndarray]]:
        frame = self.model.config.frame
        counts = [-(-len(segment) // frame) for segment in segments]
        waves = np.zeros((len(segments), max(counts) * frame), np.float32)
        for row, segment in zip(waves, segments, strict=True):
            row[: len(segment)] = segment
        device, dtype = self.model.device, self.model.dtype
        lengths = torch.tensor(counts, device=device) * frame
        found = self.model.encode(torch.from_numpy(waves).to(device, dtype), lengths)
        arrays = {name: codes.to(torch.int32).cpu().numpy() for name, codes in found.items()}
        return [
            {
                name: array[n][:, None] if name == "global" else array[n, :count].T
                for name, array in arrays.items()
            }
            for n, count in enumerate(counts)
        ]

    def _tensor(self, name: str, codes: np.ndarray) -> Tensor:
        """Codes `[groups, frames]` as a batch of one: `[1, frames, groups]`; G: `[1, groups]`."""
        tensor = torch.from_numpy(codes.T.astype(np.int64)).to(self.model.device)
        return tensor if name == "global" else tensor[None]

    def _revoiced(
        self, codes: Mapping[str, np.ndarray], voice: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        changed = {**codes, "global": voice["global"]}
        quantizer = self.model.residual_encoder.quantizer
        if not isinstance(quantizer, PitchQuantizer) or "residual" not in codes:
            return changed
        changed["residual"] = codes["residual"][:1]
        if "residual" not in voice:
            return changed
        own, other = (torch.from_numpy(x["residual"][0].astype(np.int64)) for x in (codes, voice))
        here, there = quantizer.book.register_of(own), quantizer.book.register_of(other)
        if here is None or there is None:
            return changed
        moved = quantizer.book.transposed(own, there - here).numpy().astype(np.int32)
        return {**changed, "residual": moved[None]}

    def _glob(self, codes: Tensor, own: np.ndarray | None) -> Tensor:
        """G's vector `[1, dim]`; with the codes of an own voice that is left, beyond it."""
        lookup = self.model.global_encoder.quantizer.lookup
        glob = lookup(codes)
        return glob if own is None else glob + BEYOND * (glob - lookup(self._tensor("global", own)))

    def _check_voice(self, tokens: AudioTokens) -> None:
        self.check(tokens)
        if "global" not in tokens.codes:
            raise TokenError("The voice's tokens have no global stream; encode the recording anew.")

    def _voice(self, voice: Voice) -> Mapping[str, np.ndarray]:
        """Codes of a recording, or of its tokens."""
        if isinstance(voice, AudioTokens):
            self._check_voice(voice)
            return voice.codes
        if isinstance(voice, str) and not Path(voice).is_file():
            raise ConfigError(
                f"Voice '{voice}' is no audio file; model '{self.model_id}' takes recordings only."
            )
        wave = read_voice(voice, self.sample_rate)
        (codes,) = self._codes([wave[: round(VOICE_SECONDS * self.sample_rate)]])
        return codes

    def _waves(self, codes: Mapping[str, Tensor], glob: Tensor) -> Iterator[Tensor]:
        """Waves `[1, n]` in order, with G's vector `glob [1, dim]`; a causal model's in pieces."""
        model, config = self.model, self.model.config
        if not config.causal:
            yield model.synthesize(replace(model.vectors(codes), glob=glob))
            return
        state, late = StreamState(), model.spectrum.delay
        piece = max(1, round(PIECE_SECONDS * config.rate / config.frame))
        frames = codes["semantic"].shape[1]
        for start in range(0, frames, piece):
            here = {
                name: stream if name == "global" else stream[:, start : start + piece]
                for name, stream in codes.items()
            }
            vectors = replace(model.vectors(here), glob=glob)
            wave = model.synthesize_piece(vectors, state)
            yield wave[:, late:]
            late = max(0, late - wave.shape[1])
        last = replace(
            vectors, semantic=vectors.semantic[:, -1:], residual=vectors.residual[:, -1:]
        )
        yield model.synthesize_end(glob, last, state)


def _then_end(pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The pieces, and an empty one that says that no more comes."""
    yield from pieces
    yield np.zeros(0, np.float32)
