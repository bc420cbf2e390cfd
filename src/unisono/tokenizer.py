"""The contract of every tokenizer: segments, batches, streams and lengths, written once.

A system implements three small things: `encode_segments` (waves to codes), `decode_blocks`
(codes to a stream of waveform) and `to`. Everything users call is here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, overload

import numpy as np

from unisono.audio import Audio
from unisono.errors import ConfigError, TokenError, UnisonoError
from unisono.segments import (
    CountedResampler,
    End,
    Failed,
    Mono,
    Segment,
    as_audio,
    batches_by_length,
    cut,
    mono_samples,
    prefetch,
    read_segments,
)
from unisono.storage.audio_writer import write_blocks
from unisono.storage.entropy import CodeStatistics
from unisono.text_reading import TextReading
from unisono.tokens import AudioTokens, TokenLayout

AudioInput = Audio | str | Path | tuple[Any, int]
# Lists are invariant: a list of one kind is no list of any kind to a type checker.
AudioList = list[AudioInput] | list[Audio] | list[str] | list[Path] | list[tuple[Any, int]]
Codes = Mapping[str, np.ndarray]
Voice = AudioInput | AudioTokens
"""What `decode` takes as a voice: the name of one of the model's, or a recording of one, or, where
tokens say whose voice it is, the tokens of one."""

DEFAULT_BATCH_SECONDS = 60.0


class AudioTokenizer(TextReading, ABC):
    """Audio to tokens and back, and to text where `reads_text`; see `unisono.load`.

    Attributes:
        model_id: names the weights; tokens carry it and other models refuse them.
        layout: the token streams.
        sample_rate: rate the encoder works at, Hz. Any input rate is accepted.
        output_rate: rate of decoded audio, Hz.
        segment_seconds: audio is encoded in pieces of this length, whole seconds and whole frames.
        mono: how channels become one: "mean" or "first".
        statistics: how often the model's codes come, for range-coded `.utok` files; None where
            the model has no `codes.safetensors`.
    """

    system: ClassVar[str]
    model_id: str
    layout: TokenLayout
    sample_rate: int
    output_rate: int
    segment_seconds: float
    mono: Mono = "mean"
    statistics: CodeStatistics | None = None

    # What a system implements -------------------------------------------------------------------

    @abstractmethod
    def encode_segments(self, segments: Sequence[np.ndarray]) -> list[dict[str, np.ndarray]]:
        """Codes of mono float32 waves `[n]` at `sample_rate`, each at most one segment long.

        Returns one dict a wave: stream name to int32 `[groups, frames]`. The codes of a wave must
        not depend on the others.
        """

    @abstractmethod
    def decode_blocks(
        self, tokens: AudioTokens, seed: int, steps: int | None, voice: Voice | None
    ) -> Iterator[np.ndarray]:
        """Waveform of `tokens` in order, as float32 `[n]` pieces at `output_rate`.

        `voice` is refused with a `ConfigError` by a model that takes none.
        The total may miss the exact length by less than a token; the caller trims or pads.
        """

    @abstractmethod
    def to(self, device: Any = None, dtype: Any = None) -> AudioTokenizer:
        """Move to a device and number format, in place; returns itself."""

    def decode_many(
        self, tokens: Sequence[AudioTokens], seed: int, steps: int | None, voice: Voice | None
    ) -> list[Audio]:
        """Audio of several items; systems that decode in batches override it."""
        return [self.decode(one, seed, steps, voice) for one in tokens]

    @property
    def voices(self) -> tuple[str, ...]:
        """Names of the voices that `decode` knows; empty where it takes none."""
        return ()

    @property
    def has_decoder(self) -> bool:
        """Whether `decode` works; False for models loaded without one."""
        return True

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return 0

    def use_int8(self) -> AudioTokenizer:
        """Run the encoder's linear layers in int8 on CPU, in place; returns itself."""
        raise ConfigError(f"Models of system '{self.system}' have no int8 mode; leave int8 out.")

    def save_pretrained(self, folder: str | Path, int8: bool = False) -> Path:
        """Write the model in unisono's own format; see `unisono.hub.save`."""
        from unisono.hub import save

        return save(self, folder, int8)

    def join_codes(self, parts: Sequence[Codes]) -> dict[str, np.ndarray]:
        """Codes of consecutive segments as one item; once-per-item streams keep the first."""
        joined = {}
        for stream in self.layout.streams:
            arrays = [part[stream.name] for part in parts]
            joined[stream.name] = (
                arrays[0] if stream.rate is None else np.concatenate(arrays, axis=1)
            )
        return joined

    # Encoding -----------------------------------------------------------------------------------

    @overload
    def encode(self, x: AudioList, batch_seconds: float = ...) -> list[AudioTokens]: ...
    @overload
    def encode(self, x: AudioInput, batch_seconds: float = ...) -> AudioTokens: ...
    def encode(
        self, x: AudioInput | AudioList, batch_seconds: float = DEFAULT_BATCH_SECONDS
    ) -> AudioTokens | list[AudioTokens]:
        """Tokens of audio: `Audio`, a path, an `(array, rate)` pair, or a list of them.

        Files are streamed, so their length is bounded by the disk, not by memory. Pieces of all
        inputs are batched by length, at most `batch_seconds` of padded audio at once; the tokens
        do not depend on it. Raises the first input's error if one cannot be read.
        """
        many = isinstance(x, list)
        inputs: list[Any] = x if isinstance(x, list) else [x]
        results: list[AudioTokens | None] = [None] * len(inputs)
        for index, outcome in self.encode_iter(inputs, batch_seconds):
            if isinstance(outcome, UnisonoError):
                raise outcome
            results[index] = outcome
        done = [tokens for tokens in results if tokens is not None]
        assert len(done) == len(inputs)
        return done if many else done[0]

    def encode_iter(
        self, inputs: Iterable[AudioInput], batch_seconds: float = DEFAULT_BATCH_SECONDS
    ) -> Iterator[tuple[int, AudioTokens | UnisonoError]]:
        """Encode any number of inputs, yielding `(index, tokens or error)` as each is finished.

        For bulk work: `inputs` is read lazily, a bad input yields its error and the rest goes on.
        Reading runs ahead in a background thread.
        """
        budget = self._budget(batch_seconds)
        collector = _Collector(self)
        window: list[Segment] = []
        held = 0
        events = read_segments(inputs, self.sample_rate, self._segment_samples(), self.mono)
        for event in prefetch(events):
            if isinstance(event, Segment):
                window.append(event)
                held += event.samples.size
            else:
                collector.close(event)
            # Several batches at once are sorted by length, so that short clips meet short clips.
            if held >= 4 * budget or len(window) >= 4096:
                self._encode_window(window, budget, collector)
                window, held = [], 0
            yield from collector.finished()
        self._encode_window(window, budget, collector)
        yield from collector.finished()

    def encode_stream(self, blocks: Iterable[Any], rate: int) -> Iterator[AudioTokens]:
        """Tokens of a live stream, one part per finished segment (the last may be shorter).

        `blocks` are arrays `[n]` or `[channels, n]` at `rate` Hz, of any sizes. The parts' codes
        joined are those of `encode` on the whole.
        """
        waves = (mono_samples(as_audio((block, rate)), self.mono) for block in blocks)
        stream = CountedResampler(waves, rate, self.sample_rate)
        whole, done = round(self.segment_seconds * rate), 0
        for piece in cut(stream, self._segment_samples()):
            samples = min(whole, stream.taken - done)
            done += samples
            (codes,) = self.encode_segments([piece])
            yield AudioTokens(codes, samples, rate, self.layout, self.model_id)

    # Decoding -----------------------------------------------------------------------------------

    @overload
    def decode(
        self,
        tokens: list[AudioTokens],
        seed: int = ...,
        steps: int | None = ...,
        voice: Voice | None = ...,
    ) -> list[Audio]: ...
    @overload
    def decode(
        self,
        tokens: AudioTokens,
        seed: int = ...,
        steps: int | None = ...,
        voice: Voice | None = ...,
    ) -> Audio: ...
    def decode(
        self,
        tokens: AudioTokens | list[AudioTokens],
        seed: int = 0,
        steps: int | None = None,
        voice: Voice | None = None,
    ) -> Audio | list[Audio]:
        """Audio of tokens, exactly as long as the input was (in time, rounded to one sample).

        The same `seed` gives the same waveform. `steps` trades quality for time where the decoder
        is iterative; None takes the model's own setting. `voice` is a name out of `voices` or a
        recording to sound like, for models whose tokens leave the voice open, or where they say it
        a recording or its tokens; None: the model's own choice. `TokenError` for another model's
        tokens, `ConfigError` for an unknown voice.
        """
        if isinstance(tokens, list):
            _check_steps(steps)
            for one in tokens:
                self.check(one)
            return self.decode_many(tokens, seed, steps, voice)
        pieces = list(self.decode_stream(tokens, seed, steps, voice))
        wave = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.float32)
        return Audio(wave, self.output_rate)

    def decode_stream(
        self,
        tokens: AudioTokens,
        seed: int = 0,
        steps: int | None = None,
        voice: Voice | None = None,
    ) -> Iterator[np.ndarray]:
        """Like `decode`, as float32 `[n]` pieces at `output_rate`, in bounded memory."""
        self.check(tokens)
        _check_steps(steps)
        missing = self.decoded_length(tokens)
        for block in self.decode_blocks(tokens, seed, steps, voice):
            if missing <= 0:
                break
            piece = np.asarray(block, dtype=np.float32)[:missing]
            missing -= piece.size
            if piece.size:
                yield piece
        if missing > 0:
            yield np.zeros(missing, dtype=np.float32)

    def decode_to_file(
        self,
        tokens: AudioTokens,
        path: str | Path,
        seed: int = 0,
        steps: int | None = None,
        voice: Voice | None = None,
    ) -> Path:
        """Decode into an audio file, in bounded memory; the file appears only when complete."""
        blocks = self.decode_stream(tokens, seed, steps, voice)
        write_blocks(path, blocks, self.output_rate, self.decoded_length(tokens))
        return Path(path)

    def accepts(self, layout: TokenLayout) -> bool:
        """Whether tokens of `layout` can be decoded; systems that do with fewer streams say so."""
        return layout == self.layout

    def revoiced(self, tokens: AudioTokens, voice: AudioTokens) -> AudioTokens:
        """`tokens` said by who said the tokens `voice`: with the streams of it that come once.

        Raises ConfigError for a model without such streams.
        """
        once = [stream.name for stream in self.layout.streams if stream.rate is None]
        if not once:
            raise ConfigError(f"Model '{self.model_id}' has no tokens of the voice alone.")
        return replace(tokens, codes={**tokens.codes, **{name: voice[name] for name in once}})

    def decoded_length(self, tokens: AudioTokens) -> int:
        """Samples that `decode` gives: round(samples * output_rate / rate), at least one."""
        return max(1, round(tokens.samples * self.output_rate / tokens.rate))

    def check(self, tokens: AudioTokens) -> None:
        """Refuse tokens of another model or layout with a `TokenError`; an empty model id passes.

        Ids that a language model wrote carry no model id; they must only fit the layout.
        """
        if not self.accepts(tokens.layout):
            raise TokenError(
                f"These tokens have another layout ({_streams(tokens.layout)}) than model "
                f"'{self.model_id}' ({_streams(self.layout)}); decode them with the model "
                f"'{tokens.model or 'that made them'}'."
            )
        if tokens.model and tokens.model != self.model_id:
            raise TokenError(
                f"These tokens were made by model '{tokens.model}', not by '{self.model_id}'; "
                "load that model to decode them."
            )

    # Inside -------------------------------------------------------------------------------------

    def _encode_window(self, window: list[Segment], budget: int, collector: _Collector) -> None:
        """Encode a window of segments in length-sorted batches and hand over the codes."""
        live = [segment for segment in window if not collector.failed(segment.item)]
        for group in batches_by_length([s.samples.size for s in live], budget):
            codes = self.encode_segments([live[i].samples for i in group])
            for position, item_codes in zip(group, codes, strict=True):
                collector.add(live[position], item_codes)

    def _segment_samples(self) -> int:
        return round(self.segment_seconds * self.sample_rate)

    def _budget(self, batch_seconds: float) -> int:
        if not batch_seconds > 0:
            raise ConfigError(f"batch_seconds must be above 0, not {batch_seconds}.")
        return max(1, int(batch_seconds * self.sample_rate))


class _Collector:
    """Gathers codes of segments per item until the item is whole."""

    def __init__(self, tokenizer: AudioTokenizer) -> None:
        self._tokenizer = tokenizer
        self._codes: dict[int, dict[int, Codes]] = {}
        self._ends: dict[int, End] = {}
        self._failed: dict[int, UnisonoError] = {}
        self._void: set[int] = set()
        self._ready: set[int] = set()

    def add(self, segment: Segment, codes: Codes) -> None:
        self._codes.setdefault(segment.item, {})[segment.index] = codes
        self._check(segment.item)

    def close(self, event: End | Failed) -> None:
        if isinstance(event, Failed):
            self._failed[event.item] = event.error
            self._void.add(event.item)
            self._codes.pop(event.item, None)
        else:
            self._ends[event.item] = event
            self._check(event.item)

    def failed(self, item: int) -> bool:
        return item in self._void

    def finished(self) -> Iterator[tuple[int, AudioTokens | UnisonoError]]:
        """Hand out, once, every item that is whole or failed, in order of input."""
        for item in sorted(self._ready | self._failed.keys()):
            if item in self._failed:
                yield item, self._failed.pop(item)
                continue
            self._ready.discard(item)
            yield item, self._join(item)

    def _check(self, item: int) -> None:
        end = self._ends.get(item)
        if end is not None and len(self._codes.get(item, ())) == end.segments:
            self._ready.add(item)

    def _join(self, item: int) -> AudioTokens:
        end, parts = self._ends.pop(item), self._codes.pop(item)
        codes = self._tokenizer.join_codes([parts[index] for index in range(end.segments)])
        return AudioTokens(
            codes=codes,
            samples=end.samples,
            rate=end.rate,
            layout=self._tokenizer.layout,
            model=self._tokenizer.model_id,
        )


def _check_steps(steps: int | None) -> None:
    if steps is not None and steps < 1:
        raise ConfigError(f"steps must be at least 1, not {steps}.")


def _streams(layout: TokenLayout) -> str:
    return ", ".join(
        f"{s.name} {'once' if s.rate is None else f'{s.rate:g} Hz'} x {s.groups} "
        f"x {s.codebook_size}"
        for s in layout.streams
    )
