"""UniCodec's three streams taken apart: fewer of them decoded, and their codes as vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unisono.audio import Audio
from unisono.errors import ConfigError
from unisono.evaluation.peers import fitted
from unisono.storage.packed import packed_size
from unisono.tokenizer import AudioTokenizer
from unisono.tokens import AudioTokens, TokenLayout
from unisono.unicodec.tokenizer import UniCodecTokenizer

STREAMS = {"global": "G", "semantic": "S", "residual": "P"}
"""Names of the layout, and of the tables."""

Vectors = Callable[[AudioTokens], Mapping[str, NDArray[np.float64]]]
"""Vectors `[frames, D]` of each stream's codes; one frame where a stream comes once."""


def check_streams(tokenizer: AudioTokenizer) -> None:
    """`ConfigError` for a model that has not the streams that are to be compared."""
    names = [stream.name for stream in tokenizer.layout.streams]
    if names != list(STREAMS):
        raise ConfigError(
            f"Model '{tokenizer.model_id}' has the streams {', '.join(names)}; this benchmark is "
            f"for models with {', '.join(STREAMS)}, such as unicodec-mini."
        )


@dataclass(frozen=True)
class Mode:
    """One way of decoding: `keep` makes of all tokens what the decoder gets; `bit_rate` nominal."""

    name: str
    keep: Callable[[AudioTokens], AudioTokens]
    bit_rate: Callable[[TokenLayout], float]


def modes(pitched: bool = False) -> tuple[Mode, ...]:
    """All streams; P with every second frame held, which halves its rate; of P the pitch alone,
    where it says that (`pitched`); G and S alone."""
    pitch = Mode(
        "G + S + pitch",
        lambda tokens: tokens.first_groups(residual=1),
        lambda layout: layout.first_groups(residual=1).bits_per_second,
    )
    return (
        Mode("G + S + P", lambda tokens: tokens, lambda layout: layout.bits_per_second),
        Mode("G + S + P at 12.5 Hz", held, lambda layout: _bits(layout, "residual", 0.5)),
        *([pitch] if pitched else []),
        Mode(
            "G + S",
            lambda tokens: tokens.only("global", "semantic"),
            lambda layout: _bits(layout, "residual", 0.0),
        ),
    )


def held(tokens: AudioTokens) -> AudioTokens:
    """The same tokens, each odd frame of P replaced by the one before it."""
    residual = tokens["residual"]
    slow = np.repeat(residual[:, ::2], 2, axis=1)[:, : residual.shape[1]]
    return replace(tokens, codes={**tokens.codes, "residual": slow})


class StreamCodec:
    """A model decoding in one `Mode`, as a `Codec`.

    Payload: the nominal rate of what the mode keeps, and the streams that come once, packed.
    """

    def __init__(self, tokenizer: AudioTokenizer, mode: Mode) -> None:
        self._tokenizer, self._mode = tokenizer, mode
        self.name, self.bit_rate = mode.name, mode.bit_rate(tokenizer.layout)

    def roundtrip(self, audio: Audio) -> tuple[Audio, int]:
        """See `Codec.roundtrip`."""
        kept = self._mode.keep(self._tokenizer.encode(audio.mono()))
        decoded = self._tokenizer.decode(kept).mono()
        return fitted(decoded.samples[0], decoded.rate, audio), self._payload(kept)

    def _payload(self, tokens: AudioTokens) -> int:
        once = sum(
            packed_size(tokens[stream.name].size, stream.bits)
            for stream in tokens.layout.streams
            if stream.rate is None
        )
        return once + round(self.bit_rate * tokens.duration / 8)


def code_vectors(tokenizer: UniCodecTokenizer) -> Vectors:
    """The model's own codebook rows, the groups of a stream side by side."""
    encoders: dict[str, Any] = {
        "global": tokenizer.model.global_encoder,
        "semantic": tokenizer.model.semantic_encoder,
        "residual": tokenizer.model.residual_encoder,
    }

    @torch.inference_mode()
    def vectors(tokens: AudioTokens) -> Mapping[str, NDArray[np.float64]]:
        found = {}
        for name, encoder in encoders.items():
            codes = torch.from_numpy(tokens[name].T.astype(np.int64)).to(tokenizer.model.device)
            found[name] = encoder.quantizer.lookup(codes).double().cpu().numpy()
        return found

    return vectors


def _bits(layout: TokenLayout, name: str, share: float) -> float:
    """Nominal bit/s when `share` of the tokens of one stream is sent."""
    own = TokenLayout((layout[name],)).bits_per_second
    return layout.bits_per_second - (1 - share) * own
