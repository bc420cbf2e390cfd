"""DNSMOS P.808: a network's guess of listeners' mean opinion score, 1 to 5.

The network is Microsoft's (MIT), from the speechmos package. Features are computed here, as
speechmos computes them with librosa, so that neither is imported.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from transformers.audio_utils import hertz_to_mel, mel_to_hertz

from unisono.audio import Audio
from unisono.errors import require_extra
from unisono.evaluation.models import dnsmos_file
from unisono.evaluation.result import MetricError

RATE = 16_000
_WINDOW = int(9.01 * RATE)
_N_FFT, _HOP, _MELS = 321, 160, 120


class DNSMOS:
    """Scores recordings; holds the network, so make one and use it often."""

    def __init__(self, threads: int = 1) -> None:
        runtime = require_extra("onnxruntime", "eval")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        self._network: Any = runtime.InferenceSession(
            str(dnsmos_file()), options, providers=["CPUExecutionProvider"]
        )
        self._filters = _filters()
        self._hann = np.hanning(_N_FFT + 1)[:-1].astype(np.float32)

    def __call__(self, audio: Audio) -> float:
        """P.808 score: mean over windows of 9.01 s every second; shorter clips are repeated.

        `MetricError` for silence and for samples beyond ±1, which the network was not made for.
        """
        peak = float(np.abs(audio.samples).max())
        if peak > 1.0:
            raise MetricError(f"DNSMOS: samples reach {peak:.2f}, beyond full scale")
        # Resampling may overshoot a little; what a 16-bit file of it would hold is scored.
        wave = np.clip(audio.mono().resample(RATE).samples[0], -1.0, 1.0)
        if not wave.any():
            raise MetricError("DNSMOS: the recording is silent")
        while wave.size < _WINDOW:
            wave = np.concatenate([wave, wave])
        # As speechmos counts them: whole seconds, floor of a difference with a fraction.
        windows = int(wave.size // RATE - _WINDOW / RATE) + 1
        scores = [self._score(wave[i * RATE : i * RATE + _WINDOW]) for i in range(windows)]
        return float(np.mean(scores))

    def _score(self, wave: np.ndarray) -> float:
        features = self._features(wave[:-_HOP])[None]
        name = self._network.get_inputs()[0].name
        score = float(self._network.run(None, {name: features})[0][0][0])
        if not np.isfinite(score):
            raise MetricError("DNSMOS: the network gave no finite number")
        return score

    def _features(self, wave: np.ndarray) -> np.ndarray:
        """Scaled decibel mels `[frames, 120]` against the window's loudest, 80 dB deep."""
        padded = np.pad(wave, _N_FFT // 2)
        frames = np.lib.stride_tricks.sliding_window_view(padded, _N_FFT)[::_HOP]
        power = np.abs(np.fft.rfft(frames * self._hann, axis=1)) ** 2
        decibels = 10 * np.log10(np.maximum(1e-10, power @ self._filters))
        decibels -= decibels.max()
        return ((np.maximum(decibels, -80.0) + 40) / 40).astype(np.float32)


def _filters() -> np.ndarray:
    """Slaney mel filters `[161, 120]` at the true bin frequencies of the odd window length.

    transformers' `mel_filter_bank` puts the last bin at half the rate, as an even length has it.
    """
    bins = np.fft.rfftfreq(_N_FFT, 1 / RATE)[:, None]
    top = hertz_to_mel(RATE / 2, mel_scale="slaney")
    edges = np.asarray(mel_to_hertz(np.linspace(0.0, top, _MELS + 2), mel_scale="slaney"))
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    slopes = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
    return (np.maximum(0.0, slopes) * 2 / (high - low)).astype(np.float32)
