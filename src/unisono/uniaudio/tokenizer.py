"""UniAudio-Token as an `AudioTokenizer`: features, encoder, and the speech decoder if there is one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from unisono.errors import ModelError
from unisono.quantize.int8 import quantize_linears
from unisono.tokenizer import AudioTokenizer
from unisono.tokens import AudioTokens, TokenLayout, TokenStream
from unisono.uniaudio.encoder import UniAudioEncoder
from unisono.uniaudio.features import LogMelFeatures

if TYPE_CHECKING:
    from unisono.synthesis.decoder import SpeechDecoder

MAX_SEGMENT_SECONDS = 30


class UniAudioTokenizer(AudioTokenizer):
    """One stream `audio`: 50 / k frames a second (25 Hz for k = 2), one codebook.

    An n-sample segment at 16 kHz gives ceil(n / (320 k)) tokens. Segments are 30 s, or what the
    encoder's position table allows. Source: reference page sections 1 and 2.
    """

    system: ClassVar[str] = "uniaudio"

    def __init__(
        self,
        encoder: UniAudioEncoder,
        features: LogMelFeatures,
        decoder: SpeechDecoder | None,
        model_id: str,
    ) -> None:
        config = encoder.config
        if config.quantize_vocab_size is None:
            raise ModelError(f"Model '{model_id}' has no quantizer, so it gives no tokens.")
        self.encoder = encoder.eval()
        self.features = features
        self.decoder = None if decoder is None else decoder.eval()
        self.model_id = model_id
        self.sample_rate = features.rate
        self._hop = features.hop * config.frame_multiple
        self.layout = TokenLayout(
            (TokenStream("audio", features.rate / self._hop, 1, config.quantize_vocab_size),)
        )
        positions = config.max_source_positions // config.pooling
        longest = MAX_SEGMENT_SECONDS * features.rate // self._hop
        self.segment_seconds = min(positions, longest) * self._hop / features.rate
        self.output_rate = features.rate if decoder is None else decoder.rate

    @torch.inference_mode()
    def encode_segments(self, segments: Sequence[np.ndarray]) -> list[dict[str, np.ndarray]]:
        """Codes `[1, ceil(n / hop)]` of 16 kHz waves `[n]`; see `AudioTokenizer`."""
        config = self.encoder.config
        features, mask = self.features(list(segments), multiple=config.frame_multiple)
        device = self.encoder.device
        out = self.encoder(features.to(device), mask.to(device))
        ids = out.token_ids.to(torch.int32).cpu().numpy()
        counts = [-(-len(segment) // self._hop) for segment in segments]
        return [{"audio": row[None, :count]} for row, count in zip(ids, counts, strict=True)]

    def decode_blocks(
        self, tokens: AudioTokens, seed: int, steps: int | None
    ) -> Iterator[np.ndarray]:
        """Waveform pieces from the flow decoder and vocoder; see `AudioTokenizer`."""
        if self.decoder is None:
            raise ModelError(
                f"Model '{self.model_id}' has no decoder; it can only encode. Load a folder that "
                "has decoder/config.yaml, flow.pt and hift.pt, or an embedded model."
            )
        with torch.inference_mode():
            ids = torch.from_numpy(tokens["audio"][0].astype(np.int64)).to(self.encoder.device)
            for wave in self.decoder.stream(ids, seed=seed, steps=steps):
                yield wave.float().cpu().numpy()

    def to(self, device: Any = None, dtype: Any = None) -> UniAudioTokenizer:
        """Move to a device and number format, in place; returns itself."""
        for module in filter(None, (self.encoder, self.decoder)):
            module.to(device=device, dtype=dtype)
        return self

    def use_int8(self) -> UniAudioTokenizer:
        """Run the encoder's linear layers in int8 on CPU, in place; returns itself."""
        quantize_linears(self.encoder)
        return self
