"""Live encoding and decoding, frame by frame: time a frame, latency, memory."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import numpy as np
import torch

from unisono.audio import Audio
from unisono.errors import ConfigError
from unisono.tokenizer import AudioTokenizer
from unisono.unicodec.tokenizer import UniCodecTokenizer

WARM_UP = 25
"""Frames that are not timed."""


def measure(
    tokenizer: AudioTokenizer, audio: Audio, minutes: float = 10.0, lookahead: float = 1.0
) -> dict[str, Any]:
    """Stream `audio`, repeated to `minutes`, through encoder and decoder at once.

    Returns per side the mean and the 95th percentile of the milliseconds a frame, and how many
    times faster than the audio (`real_time`); the algorithmic latency in ms; and the peak memory
    of the process in MB after a tenth of the frames and at the end.

    Raises:
        ConfigError: the tokenizer has no live streams, or `minutes` holds no more than the warm-up.
    """
    if not isinstance(tokenizer, UniCodecTokenizer):
        raise ConfigError(
            f"Model '{tokenizer.model_id}' has no live streams; measure one of system 'unicodec'."
        )
    c = tokenizer.model.config
    wave = audio.mono().resample(c.rate).samples[0]
    frames = int(minutes * 60 * c.rate) // c.frame
    if frames <= WARM_UP:
        raise ConfigError(f"{minutes} minutes are {frames} frames; more than {WARM_UP} are needed.")
    places = np.arange(c.frame)
    seconds: dict[str, list[float]] = {"encode": [], "decode": []}
    peaks = []
    with tokenizer.encoder_stream(1, lookahead) as encoder, tokenizer.decoder_stream() as decoder:
        held: dict[str, np.ndarray] = {}
        for number in range(frames):
            piece = np.take(wave, places + number * c.frame, mode="wrap")
            begin = time.perf_counter()
            (codes,) = encoder.push([piece])
            middle = time.perf_counter()
            # Until the voice is known nothing can be decoded; then the frame of this moment is.
            held |= {name: codes[name] for name in codes if name == "global"}
            if not held:
                continue
            decoder.push([{**codes, **held}])
            end = time.perf_counter()
            seconds["encode"].append(middle - begin)
            seconds["decode"].append(end - middle)
            if number == frames // 10:
                peaks.append(_peak_mb())
        peaks.append(_peak_mb())
    length = c.frame / c.rate
    return {
        "model": tokenizer.model_id,
        "threads": torch.get_num_threads(),
        "frames": frames,
        "frame_ms": 1000 * length,
        **{side: _figures(times[WARM_UP:], length) for side, times in seconds.items()},
        "latency_ms": {
            "frame": 1000 * length,
            "overlap": 1000 * tokenizer.model.spectrum.delay / c.rate,
            "algorithmic": 1000 * (length + tokenizer.model.spectrum.delay / c.rate),
        },
        "peak_mb": {"early": peaks[0], "end": peaks[-1], "growth": peaks[-1] - peaks[0]},
    }


def _figures(times: list[float], length: float) -> dict[str, float]:
    return {
        "mean_ms": 1000 * float(np.mean(times)),
        "p95_ms": 1000 * float(np.percentile(times, 95)),
        "real_time": length / float(np.mean(times)),
    }


def _peak_mb() -> float:
    # Kilobytes on Linux, bytes on macOS.
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)
