"""PESQ, ITU-T P.862.2 wideband: how good coded speech sounds against the original, 1.04 to 4.64."""

from __future__ import annotations

import numpy as np

from unisono.audio import Audio
from unisono.errors import require_extra
from unisono.evaluation.metrics.stoi import aligned
from unisono.evaluation.result import MetricError

RATE = 16_000


def pesq(reference: Audio, other: Audio) -> float:
    """Wideband PESQ of `other` against `reference`, at 16 kHz mono, both cut to the shorter.

    The package `pesq` (ITU's reference code). `MetricError` where it finds no speech, too little
    of it, or silence: such clips have no score and are never counted as 1.
    """
    package = require_extra("pesq", "eval")
    x, y = aligned(reference, other, RATE)
    for name, wave in (("reference", x), ("other recording", y)):
        if not wave.any():
            raise MetricError(f"PESQ: the {name} is silent")
    try:
        value = float(package.pesq(RATE, x, y, "wb"))
    except package.PesqError as error:
        reason = error.args[0] if error.args else type(error).__name__
        text = reason.decode() if isinstance(reason, bytes) else str(reason)
        raise MetricError(f"PESQ: {text.strip()}") from error
    if not np.isfinite(value):
        raise MetricError("PESQ: not a number")
    return value
