"""A loaded tokenizer's speed beside other codecs with random weights, and its int8 mode."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from unisono.audio import Audio
from unisono.evaluation.timing import median_seconds
from unisono.tokenizer import AudioTokenizer

TARGET_ENCODE, TARGET_DECODE = 40.0, 8.0


def measure(
    tokenizer: AudioTokenizer, audio: Audio, repeats: int = 3, quick: bool = False
) -> dict[str, Any]:
    """Multiples of real time of encoding and decoding: `tokenizer`, EnCodec, Mimi, DAC.

    The tokenizer encodes a batch of clips of 10 s cut from `audio` (repeated as needed) and
    decodes one at a time, as `decode` does; the codecs take one clip at a time.
    """
    length, count = (1.0, 2) if quick else (10.0, 12)
    clips = _clips(audio, length, count)
    tokens = tokenizer.encode(clips)
    some = tokens[: 1 if quick else 3]
    encode = median_seconds(lambda: tokenizer.encode(clips), repeats)
    decode = median_seconds(lambda: tokenizer.decode(some), repeats)
    own = {"encode": length * count / encode, "decode": length * len(some) / decode}
    rows = {tokenizer.model_id: own}
    for name, build in PEERS.items():
        rows[name] = _peer(*build(), length, repeats)
    return {
        "threads": torch.get_num_threads(),
        "batch": f"{count} clips of {length:g} s",
        "real_time": rows,
        "target": {"encode": TARGET_ENCODE, "decode": TARGET_DECODE},
    }


def measure_int8(
    plain: AudioTokenizer, fast: AudioTokenizer, audio: Audio, repeats: int = 3, quick: bool = False
) -> dict[str, Any]:
    """Speed-up and share of equal tokens of `fast`, the model of `plain` after `use_int8()`."""
    clips = _clips(audio, *((1.0, 2) if quick else (10.0, 12)))
    times = [median_seconds(partial(t.encode, clips), repeats) for t in (plain, fast)]
    pairs = zip(plain.encode(clips), fast.encode(clips), strict=True)
    equal = [x.ids() == y.ids() for x, y in pairs]
    return {
        "float32_seconds": times[0],
        "int8_seconds": times[1],
        "speed_up": times[0] / times[1],
        "equal_tokens": float(np.mean(np.concatenate(equal))),
    }


Job = Callable[..., Any]
Peer = tuple[int, Job, Job]
"""Sample rate, wave `[1, 1, n]` to codes, codes to wave."""


def _encodec() -> Peer:
    from transformers import EncodecConfig, EncodecModel

    model = EncodecModel(EncodecConfig()).eval()

    def encode(wave: torch.Tensor) -> Any:
        return model.encode(wave, bandwidth=6.0)

    def decode(codes: Any) -> Any:
        return model.decode(codes.audio_codes, codes.audio_scales)

    return 24_000, encode, decode


def _mimi() -> Peer:
    from transformers import MimiConfig, MimiModel

    model = MimiModel(MimiConfig()).eval()

    def encode(wave: torch.Tensor) -> Any:
        return model.encode(wave, num_quantizers=8)

    def decode(codes: Any) -> Any:
        return model.decode(codes.audio_codes)

    return 24_000, encode, decode


def _dac() -> Peer:
    from transformers import DacConfig, DacModel

    config = DacConfig(
        sampling_rate=16_000,
        downsampling_ratios=[2, 4, 5, 8],
        n_codebooks=12,
    )
    model = DacModel(config).eval()

    def encode(wave: torch.Tensor) -> Any:
        return model.encode(wave)

    def decode(codes: Any) -> Any:
        return model.decode(audio_codes=codes.audio_codes)

    return 16_000, encode, decode


PEERS: dict[str, Callable[[], Peer]] = {
    "EnCodec 24 kHz (random weights)": _encodec,
    "Mimi (random weights)": _mimi,
    "DAC 16 kHz (random weights)": _dac,
}


def _peer(rate: int, encode: Job, decode: Job, length: float, repeats: int) -> dict[str, float]:
    wave = 0.1 * torch.randn(1, 1, round(length * rate))
    with torch.inference_mode():
        codes = encode(wave)
        return {
            "encode": length / median_seconds(lambda: encode(wave), repeats),
            "decode": length / median_seconds(lambda: decode(codes), repeats),
        }


def _clips(audio: Audio, length: float, count: int) -> list[Audio]:
    """`count` clips of `length` seconds, consecutive in `audio` repeated without end."""
    wave, size = audio.mono().samples[0], round(length * audio.rate)
    many = np.resize(wave, size * count)
    return [Audio(many[i * size : (i + 1) * size], audio.rate) for i in range(count)]
