"""Any tokenizer of unisono as a codec."""

from __future__ import annotations

from unisono.audio import Audio
from unisono.evaluation.peers.codec import fitted
from unisono.storage.packed import packed_size
from unisono.storage.range_coder import range_encode
from unisono.tokenizer import AudioTokenizer
from unisono.tokens import AudioTokens


class TokenCodec:
    """A tokenizer, decoding with its own settings and its own choice of voice.

    `bit_rate`: the layout's nominal rate; streams that come once an item are not in it but are in
    the payload. Payload: the tokens range-coded where the tokenizer has `statistics`, else packed.
    """

    def __init__(self, tokenizer: AudioTokenizer, name: str = "", seed: int = 0) -> None:
        self.tokenizer, self._seed = tokenizer, seed
        self.name = name or tokenizer.model_id
        self.bit_rate = tokenizer.layout.bits_per_second

    @property
    def coding(self) -> str:
        """How the payload is counted: "range" or "packed"."""
        return "packed" if self.tokenizer.statistics is None else "range"

    def roundtrip(self, audio: Audio) -> tuple[Audio, int]:
        """See `Codec.roundtrip`."""
        tokens = self.tokenizer.encode(audio.mono())
        decoded = self.tokenizer.decode(tokens, seed=self._seed).mono()
        return fitted(decoded.samples[0], decoded.rate, audio), self._payload(tokens)

    def _payload(self, tokens: AudioTokens) -> int:
        statistics = self.tokenizer.statistics
        if statistics is not None:
            return len(range_encode(tokens, statistics))
        return sum(
            packed_size(tokens[stream.name].size, stream.bits) for stream in tokens.layout.streams
        )
