"""The whole speech decoder: tokens of any length to wave, in bounded memory, without seams."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from unisono.errors import ConfigError
from unisono.synthesis.flow import FlowDecoder
from unisono.synthesis.mel import MelConfig, MelSpectrogram
from unisono.synthesis.streaming import StreamingVocoder
from unisono.synthesis.vocoder import HiFTVocoder
from unisono.synthesis.voice import voice_vector

_SAMPLING = ("solver", "guidance", "guidance_interval", "start", "temperature")


@dataclass(frozen=True)
class DecoderConfig:
    """A speech decoder: its two networks' configs, its mel, and how it samples.

    `steps`, `solver`, `guidance`, `guidance_interval`, `start` and `temperature` are the defaults
    of decoding, see `FlowDecoder.mel` (None: as the flow's own config says). Tokens are decoded in
    segments of about `segment_seconds`; each sees `prompt_seconds` of the one before, and the mels
    are cross-faded over `fade_frames`. `voices` are named voice vectors (see `voice.py`), `voice`
    the name of the one that speaks when none is asked for; empty: the average voice.
    """

    flow: Mapping[str, Any]
    hift: Mapping[str, Any]
    mel: Mapping[str, Any] = field(default_factory=lambda: asdict(MelConfig()))
    steps: int = 10
    solver: str | None = None
    guidance: float | None = None
    guidance_interval: tuple[float, float] | None = None
    start: float = 0.0
    temperature: float = 1.0
    segment_seconds: float = 16.0
    prompt_seconds: float = 3.0
    fade_frames: int = 4
    voices: Mapping[str, Sequence[float]] = field(default_factory=dict)
    voice: str = ""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DecoderConfig:
        """Build from a plain dict; unknown keys and impossible times are `ConfigError`s."""
        if unknown := sorted(set(values) - {f.name for f in fields(cls)}):
            raise ConfigError(f"The decoder config has unknown keys: {', '.join(unknown)}.")
        if missing := sorted({"flow", "hift"} - set(values)):
            raise ConfigError(f"The decoder config lacks: {', '.join(missing)}.")
        config = cls(**values)
        if not 0 < config.prompt_seconds < config.segment_seconds:
            raise ConfigError("prompt_seconds must be above 0 and below segment_seconds.")
        if config.voice and config.voice not in config.voices:
            raise ConfigError(f"The decoder config's voice '{config.voice}' is not in its voices.")
        return config

    def to_dict(self) -> dict[str, Any]:
        """Plain dict for JSON."""
        return asdict(self)


class SpeechDecoder(nn.Module):
    """Flow decoder and vocoder: token ids to wave at `rate` Hz."""

    def __init__(self, config: DecoderConfig):
        super().__init__()
        self.config = config
        try:
            self.mel_config = MelConfig(**config.mel)
        except TypeError as error:
            raise ConfigError(f"The decoder config's mel has a wrong key: {error}.") from error
        mel = self.mel_config
        self.flow = FlowDecoder.from_reference(
            {
                **config.flow,
                "mel": {**config.flow.get("mel", {}), "rate": mel.rate, "hop": mel.hop},
            }
        )
        self.vocoder = HiFTVocoder.from_reference(config.hift)
        vocoder = self.vocoder.config
        if (vocoder.sampling_rate, vocoder.hop) != (mel.rate, mel.hop):
            raise ConfigError(
                f"The vocoder makes {vocoder.sampling_rate} Hz with {vocoder.hop} samples a frame, "
                f"but the mel is {mel.rate} Hz with {mel.hop}; they must agree."
            )
        if not vocoder.in_channels == self.flow.config.output_size == mel.n_mels:
            raise ConfigError("The flow, the vocoder and the mel differ in their mel channels.")
        wrong = [n for n, v in config.voices.items() if len(v) != self.flow.voice_width]
        if wrong:
            raise ConfigError(
                f"The decoder config's voices {', '.join(sorted(wrong))} are not "
                f"{self.flow.voice_width} numbers long, as the flow needs them."
            )
        self._segment = _even_count(self.flow, 0.7 * config.segment_seconds, config.segment_seconds)
        self._prompt = min(
            _even_count(self.flow, 0.7 * config.prompt_seconds, config.prompt_seconds),
            self._segment,
        )
        self._fade = min(config.fade_frames, self.flow.frames(self._prompt))

    @classmethod
    def from_config(cls, values: Mapping[str, Any]) -> SpeechDecoder:
        """Build from a plain dict with the keys of `DecoderConfig`."""
        return cls(DecoderConfig.from_dict(values))

    @property
    def rate(self) -> int:
        """Sample rate of the waves in Hz."""
        return self.mel_config.rate

    def voice(self, name: str | None = None) -> Tensor | None:
        """Vector `[1, V]` of a voice of the config; None: the config's own choice.

        The empty name, and a decoder that takes no voice, give None: the average voice.
        """
        name = self.config.voice if name is None else name
        return torch.tensor(self.config.voices[name])[None] if name else None

    def voice_of(self, wave: Tensor) -> Tensor:
        """Voice vector `[1, V]` of a recording `[n]` at `rate`."""
        return voice_vector(MelSpectrogram(self.mel_config)(wave[None].float().cpu())[0])[None]

    def samples(self, tokens: int) -> int:
        """Samples that `stream` gives for that many tokens: their time, in whole mel frames."""
        return self._all_frames(tokens) * self.vocoder.hop

    def waves(
        self,
        token_ids: Sequence[Tensor],
        seed: int = 0,
        steps: int | None = None,
        samples: Sequence[int] | None = None,
        speaker: Tensor | None = None,
        batch_size: int = 8,
        **sampling: Any,
    ) -> list[Tensor]:
        """Waves `[n]` of several sequences of token ids, each a 1-D tensor of any length.

        An item's wave does not depend on the others: its noise comes from `seed` alone. With
        `samples` each wave is cut, or padded with zeros, to exactly that length; otherwise it
        has `self.samples(tokens)`. `speaker [B, V]` are speaker or voice vectors; `sampling` as in
        `stream`.
        """
        waves: list[list[Tensor]] = [[] for _ in token_ids]
        for start in range(0, len(token_ids), batch_size):
            part = slice(start, start + batch_size)
            voice = None if speaker is None else speaker[part]
            for i, wave in self._pieces(token_ids[part], seed, steps, voice, sampling):
                waves[start + i].append(wave)
        like = self.vocoder.window
        joined = [torch.cat(pieces) if pieces else like.new_zeros(0) for pieces in waves]
        if samples is None:
            return joined
        return [_fit(wave, n) for wave, n in zip(joined, samples, strict=True)]

    def stream(
        self,
        token_ids: Tensor,
        seed: int = 0,
        steps: int | None = None,
        speaker: Tensor | None = None,
        **sampling: Any,
    ) -> Iterator[Tensor]:
        """Yield the wave of `token_ids [n]` in order, as pieces `[samples]`, in bounded memory.

        `speaker [1, V]`. `steps` and `sampling` (solver, guidance, guidance_interval,
        start, temperature) replace the config's. The pieces joined are `waves([token_ids])[0]`.
        """
        for _, wave in self._pieces([token_ids], seed, steps, speaker, sampling):
            yield wave

    def _pieces(
        self,
        token_ids: Sequence[Tensor],
        seed: int,
        steps: int | None,
        speaker: Tensor | None,
        sampling: Mapping[str, Any],
    ) -> Iterator[tuple[int, Tensor]]:
        """Wave pieces of a batch of items, as (item, piece)."""
        vocoders: dict[int, StreamingVocoder] = {}
        for i, mel, last in self._mels(token_ids, seed, steps, speaker, sampling):
            if i not in vocoders:
                vocoders[i] = StreamingVocoder(self.vocoder, torch.Generator().manual_seed(seed))
            wave = vocoders[i].push(mel, last)
            if last:
                del vocoders[i]
            if wave.numel():
                yield i, wave

    def _mels(
        self,
        token_ids: Sequence[Tensor],
        seed: int,
        steps: int | None,
        speaker: Tensor | None,
        sampling: Mapping[str, Any],
    ) -> Iterator[tuple[int, Tensor, bool]]:
        """Final mel pieces `[mels, frames]` of a batch of items, as (item, piece, is the last)."""
        c, size, prompt = self.config, self._segment, self._prompt
        if unknown := sorted(set(sampling) - set(_SAMPLING)):
            raise ConfigError(
                f"Sampling has no option {', '.join(unknown)}; there are {', '.join(_SAMPLING)}."
            )
        options = {name: sampling.get(name, getattr(c, name)) for name in _SAMPLING}
        options["steps"] = steps or c.steps
        tails: dict[int, Tensor] = {}
        for start in range(0, max((len(ids) for ids in token_ids), default=0), size):
            active = [i for i, ids in enumerate(token_ids) if len(ids) > start]
            context, shown = (prompt, self.flow.frames(prompt)) if start else (0, 0)
            parts = [token_ids[i][start - context : start + size] for i in active]
            ids = nn.utils.rnn.pad_sequence([p.long() for p in parts], batch_first=True)
            known: dict[str, Any] = {}
            if start:
                known["prompt_ids"] = ids[:, :context]
                known["prompt_mel"] = torch.stack([tails[i] for i in active])
            mels = self.flow.mel(
                ids[:, context:],
                **known,
                lengths=torch.tensor([len(p) - context for p in parts], device=ids.device),
                speaker=None if speaker is None else speaker[active],
                seed=[_segment_seed(seed, start)] * len(active),
                keep_prompt=True,
                **options,
            )
            for row, i in enumerate(active):
                count, end = len(token_ids[i]), min(len(token_ids[i]), start + size)
                last = end == count
                frames = self._all_frames(count) if last else self.flow.frames(end)
                mel = mels[row, :, : self.flow.frames(len(parts[row]))]
                mel = _fit(mel, shown + frames - self.flow.frames(start), "replicate")
                if start:
                    mel = _fade(tails[i], mel, self._fade)
                # The last frames wait, as the next segment's are faded into them.
                held = 0 if last else self._fade
                first = shown - self._fade if start else 0
                tails[i] = mel[:, mel.shape[1] - self.flow.frames(prompt) :]
                yield i, mel[:, first : mel.shape[1] - held], last

    def _all_frames(self, tokens: int) -> int:
        """Mel frames that cover that many tokens wholly (the last may be a repeated one)."""
        mel = self.mel_config
        exact = tokens / self.flow.config.input_frame_rate * mel.rate / mel.hop
        return math.ceil(exact - 1e-6)


def _even_count(flow: FlowDecoder, low: float, high: float) -> int:
    """Tokens within `low` to `high` seconds whose mel comes nearest to whole frames from above.

    A join then falls between two frames, and segments keep the timing of the whole.
    """
    rate, mel = flow.config.input_frame_rate, flow.config.mel
    least, most = max(1, round(low * rate)), max(1, round(high * rate))
    excess = {n: round(n / rate * mel["rate"] / mel["hop"] - flow.frames(n), 6)
              for n in range(least, most + 1)}  # fmt: skip
    return max((n for n in excess if flow.frames(n)), key=lambda n: (-excess[n], n), default=most)


def _segment_seed(seed: int, start: int) -> int:
    """A seed of its own for each segment; the first segment's is `seed`."""
    return (seed + start * 0x9E3779B97F4A7C15) % 2**63


def _fade(before: Tensor, mel: Tensor, frames: int) -> Tensor:
    """Replace the prompt part at the start of `mel` by `before`, fading over its last `frames`."""
    shown = before.shape[1]
    weight = torch.ones(shown, device=mel.device, dtype=mel.dtype)
    count = min(frames, shown)
    if count:
        weight[shown - count :] = torch.arange(count, 0, -1).to(mel) / (count + 1)
    return torch.cat([before * weight + mel[:, :shown] * (1 - weight), mel[:, shown:]], 1)


def _fit(x: Tensor, size: int, mode: str = "constant") -> Tensor:
    """Cut or pad the last axis to `size`."""
    missing = size - x.shape[-1]
    return functional.pad(x, (0, missing), mode=mode) if missing > 0 else x[..., :size]
