"""Short-time objective intelligibility (Taal et al. 2011), not the extended kind."""

from __future__ import annotations

import warnings

import numpy as np

from unisono.audio import Audio
from unisono.errors import require_extra
from unisono.evaluation.result import MetricError

RATE = 16_000


def stoi(reference: Audio, other: Audio) -> float:
    """STOI of `other` against `reference`, at 16 kHz mono, both cut to the shorter.

    `MetricError` when there is too little sound above silence for it.
    """
    measure = require_extra("pystoi", "eval").stoi
    x, y = aligned(reference, other, RATE)
    with warnings.catch_warnings():
        # Where pystoi finds too few frames it warns and gives 1e-5, which is no measurement.
        warnings.simplefilter("error", RuntimeWarning)
        try:
            value = float(measure(x, y, RATE, extended=False))
        except (RuntimeWarning, ValueError, IndexError) as error:
            raise MetricError(f"STOI: {str(error).strip().splitlines()[0]}") from error
    if not np.isfinite(value):
        raise MetricError("STOI: not a number, the signal is constant")
    return value


def aligned(reference: Audio, other: Audio, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Both as mono float32 `[n]` at `rate` Hz, cut to the shorter."""
    x, y = (audio.mono().resample(rate).samples[0] for audio in (reference, other))
    count = min(x.size, y.size)
    return x[:count], y[:count]
