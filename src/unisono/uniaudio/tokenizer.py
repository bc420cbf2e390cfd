"""UniAudio-Token as an `AudioTokenizer`: encoder, and speech and text decoders if present."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from unisono.audio import Audio
from unisono.errors import ConfigError, ModelError
from unisono.quantize.int8 import quantize_linears
from unisono.segments import read_voice
from unisono.synthesis.convolution import TokenConvolutions
from unisono.tokenizer import AudioTokenizer, Voice
from unisono.tokens import AudioTokens, TokenLayout, TokenStream
from unisono.uniaudio.encoder import UniAudioEncoder
from unisono.uniaudio.features import LogMelFeatures
from unisono.uniaudio.field_reader import FieldReader, tell
from unisono.uniaudio.hearing import frames_of
from unisono.uniaudio.whisper_reader import WhisperReader

if TYPE_CHECKING:
    from unisono.sap.schema import SAP
    from unisono.synthesis.decoder import SpeechDecoder
    from unisono.uniaudio.describing import Describer

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
        text: Describer | Callable[[], Describer] | None = None,
        no_text: str = "it was made without one",
        bridge: TokenConvolutions | None = None,
        fields: FieldReader | None = None,
    ) -> None:
        """`text` reads tokens as text, or opens what does when it is first needed.

        Without it, `no_text` says why, after "has no text decoder: ". `bridge` tells the log-mel
        frames of code vectors, see `mel_frames`. `fields` tells the fields of SAPs, in place of the
        text decoder.
        """
        config = encoder.config
        if config.quantize_vocab_size is None:
            raise ModelError(f"Model '{model_id}' has no quantizer, so it gives no tokens.")
        self.encoder = encoder.eval()
        self.features = features
        self.decoder = None if decoder is None else decoder.eval()
        self.model_id = model_id
        self._text, self._no_text = text, no_text
        self.bridge = None if bridge is None else bridge.eval()
        self.fields = None if fields is None else fields.eval()
        self._whisper: tuple[str, WhisperReader] | None = None
        self._moved: dict[str, Any] = {}
        self.sample_rate = features.rate
        self._hop = features.hop * config.frame_multiple
        self.layout = TokenLayout(
            (TokenStream("audio", features.rate / self._hop, 1, config.quantize_vocab_size),)
        )
        self.segment_seconds = _segment_seconds(config.max_source_positions, self._hop, features)
        self.output_rate = features.rate if decoder is None else decoder.rate

    @property
    def has_decoder(self) -> bool:
        """Whether a speech decoder was loaded."""
        return self.decoder is not None

    @property
    def parameters(self) -> int:
        """Number of weights of encoder and decoder."""
        modules = [m for m in (self.encoder, self.decoder) if m is not None]
        return sum(p.numel() for m in modules for p in m.parameters())

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

    @property
    def voices(self) -> tuple[str, ...]:
        """Names of the decoder's voices; "average" is what it says when told none."""
        if self.decoder is None or not self.decoder.flow.voice_width:
            return ()
        return ("average", *sorted(self.decoder.config.voices))

    def decode_blocks(
        self, tokens: AudioTokens, seed: int, steps: int | None, voice: Voice | None
    ) -> Iterator[np.ndarray]:
        """Waveform pieces from the flow decoder and vocoder; see `AudioTokenizer`."""
        decoder = self._need_decoder()
        with torch.inference_mode():
            speaker = self._speaker(voice)
            for wave in decoder.stream(self._ids(tokens), seed, steps, speaker):
                yield wave.float().cpu().numpy()

    @torch.inference_mode()
    def decode_many(
        self, tokens: Sequence[AudioTokens], seed: int, steps: int | None, voice: Voice | None
    ) -> list[Audio]:
        """Audio of several items, decoded in batches of similar length."""
        decoder = self._need_decoder()
        order = sorted(range(len(tokens)), key=lambda i: -len(tokens[i]))
        lengths = [self.decoded_length(tokens[i]) for i in order]
        ids = [self._ids(tokens[i]) for i in order]
        speaker = self._speaker(voice)
        speaker = None if speaker is None else speaker.expand(len(ids), -1)
        waves = decoder.waves(ids, seed, steps, lengths, speaker)
        audios = {
            i: Audio(wave.float().cpu().numpy(), self.output_rate)
            for i, wave in zip(order, waves, strict=True)
        }
        return [audios[i] for i in range(len(tokens))]

    def _speaker(self, voice: Voice | None) -> torch.Tensor | None:
        """Voice vector `[1, V]` of a name or a recording; None: the decoder's own."""
        decoder = self._need_decoder()
        if voice is None or (isinstance(voice, str) and voice in decoder.config.voices):
            return decoder.voice(voice)
        if not self.voices:
            raise ConfigError(f"Model '{self.model_id}' takes no voice; leave it out.")
        if voice == "average":
            return decoder.voice("")
        if isinstance(voice, str) and not Path(voice).is_file():
            raise ConfigError(
                f"Voice '{voice}' is neither one of {', '.join(self.voices)} nor an audio file."
            )
        if isinstance(voice, AudioTokens):
            raise ConfigError(
                f"Tokens are no voice for model '{self.model_id}': they do not say whose voice it "
                "is; give a name or a recording."
            )
        return decoder.voice_of(torch.from_numpy(read_voice(voice, decoder.rate)))

    def _ids(self, tokens: AudioTokens) -> torch.Tensor:
        return torch.from_numpy(tokens["audio"][0].astype(np.int64)).to(self.encoder.device)

    def _need_decoder(self) -> SpeechDecoder:
        if self.decoder is None:
            raise ModelError(
                f"Model '{self.model_id}' has no decoder; it can only encode. Load a folder that "
                "has decoder/config.yaml, flow.pt and hift.pt, or an embedded model."
            )
        return self.decoder

    @property
    def reads_text(self) -> bool:
        """Whether the model came with a text decoder."""
        return self._text is not None

    def why_silent(self) -> str:
        """What is missing for reading tokens as text."""
        return f"Model '{self.model_id}' has no text decoder: {self._no_text}."

    @property
    def describer(self) -> Describer | None:
        """What reads tokens as text, opened now if that has not happened; None: nothing does."""
        if callable(self._text):
            opened = self._text()
            opened.reader.to(**self._moved)
            self._text = opened
        return self._text

    def read_transcripts(self, windows: Sequence[AudioTokens], language: str | None) -> list[str]:
        """The words spoken in each window; see `AudioTokenizer`."""
        return self._need_text().transcripts(*self._vectors(windows), language)

    def read_saps(self, windows: Sequence[AudioTokens]) -> list[SAP]:
        """The SAP of each window; see `AudioTokenizer`."""
        if self.fields is None:
            return self._need_text().saps(*self._vectors(windows))
        from unisono.sap.told import told_sap

        step = self._hop / self.sample_rate
        told = tell(self.fields, *self._code_vectors(windows), step)
        spoken = [n for n, one in enumerate(told) if one.speech is not False]
        said = self.read_transcripts([windows[n] for n in spoken], None) if spoken else []
        texts = dict(zip(spoken, said, strict=True))
        return [
            told_sap(texts.get(n), one.vocal, one.sounds, window.duration, n in texts)
            for n, (one, window) in enumerate(zip(told, windows, strict=True))
        ]

    def read_raw_saps(self, windows: Sequence[AudioTokens]) -> list[str]:
        """What the text decoder writes of each window by itself; see `AudioTokenizer`."""
        return self._need_text().raw_saps(*self._vectors(windows))

    @torch.inference_mode()
    def mel_frames(self, tokens: AudioTokens) -> torch.Tensor:
        """The log-mel frames that tokens stand for, as Whisper's features are: `[4 n, mels]`.

        Raises:
            ConfigError: the model came without what tells them.
        """
        quantizer = self.encoder.quantizer
        if self.bridge is None or quantizer is None:
            raise ConfigError(
                f"Model '{self.model_id}' does not tell the mel frames of its tokens."
            )
        codes = torch.from_numpy(tokens["audio"][0].astype(np.int64)).to(self.encoder.device)
        made = self.bridge(quantizer.codebook.weight[codes][None], None)[0]
        return frames_of(made, self.features.n_mels)

    def read_by_whisper(
        self, windows: Sequence[AudioTokens], language: str | None, whisper: str | Path
    ) -> list[str]:
        """The words that a Whisper hears in each window's tokens; see `AudioTokenizer`."""
        if self.bridge is None:
            return super().read_by_whisper(windows, language, whisper)
        if self._whisper is None or self._whisper[0] != str(whisper):
            reader = WhisperReader(whisper, self.features.n_mels, device=self.encoder.device)
            self._whisper = str(whisper), reader
        return self._whisper[1]([self.mel_frames(window) for window in windows], language)

    @torch.inference_mode()
    def _vectors(
        self, windows: Sequence[AudioTokens]
    ) -> tuple[torch.Tensor, torch.Tensor, list[float]]:
        """What the text decoder's top takes `[B, T, D]`, mask `[B, T]`, and seconds of tokens."""
        vectors, mask = self._code_vectors(windows)
        if self._need_text().reader.top.placed:
            vectors = vectors + self.encoder.embed_positions2.weight[: vectors.shape[1]]
        seconds = [len(window) * self._hop / self.sample_rate for window in windows]
        return vectors, mask, seconds

    def _code_vectors(self, windows: Sequence[AudioTokens]) -> tuple[torch.Tensor, torch.Tensor]:
        """Code vectors `[B, T, D]` and mask `[B, T]`."""
        quantizer = self.encoder.quantizer
        assert quantizer is not None
        codes, mask = (torch.from_numpy(array) for array in AudioTokens.to_hf(windows))
        codes, mask = codes[:, 0].to(self.encoder.device), mask.to(self.encoder.device)
        return quantizer.codebook.weight[codes], mask

    def _need_text(self) -> Describer:
        describer = self.describer
        if describer is None:
            raise ConfigError(self.why_silent())
        return describer

    def to(self, device: Any = None, dtype: Any = None) -> UniAudioTokenizer:
        """Move to a device and number format, in place; returns itself."""
        self.encoder.to(device=device, dtype=dtype)
        self._whisper = None
        for part in (self.bridge, self.fields):
            if part is not None:
                part.to(device=device, dtype=dtype)
        given = {"device": device, "dtype": dtype}
        self._moved |= {name: value for name, value in given.items() if value is not None}
        if self._text is not None and not callable(self._text):
            self._text.reader.to(device=device, dtype=dtype)
        if self.decoder is not None:
            self.decoder.to(device=device, dtype=dtype)
        return self

    def use_int8(self) -> UniAudioTokenizer:
        """Run the encoder's linear layers in int8 on CPU, in place; returns itself."""
        quantize_linears(self.encoder)
        return self


def _segment_seconds(positions: int, hop: int, features: LogMelFeatures) -> int:
    """Whole seconds that the position table holds (two mel frames each) and tokens fill, <= 30."""
    longest = min(MAX_SEGMENT_SECONDS, 2 * positions * features.hop // features.rate)
    fitting = [s for s in range(1, longest + 1) if s * features.rate % hop == 0]
    if not fitting:
        raise ModelError(f"The encoder's {positions} positions hold no whole second of tokens.")
    return fitting[-1]
