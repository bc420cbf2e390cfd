"""Learning-rate schedules as pure functions of the step."""

from __future__ import annotations

import math


def warmup_cosine(step: int, steps: int, warmup: int, floor: float) -> float:
    """Factor on the base learning rate at `step`: linear warm-up, then a cosine to `floor`.

    Args:
        step: 0-based optimizer step.
        steps: length of the whole run; from there on the factor is `floor`.
        warmup: steps of linear rise; the first step already has 1 / warmup.
        floor: final factor in [0, 1], e.g. 0.1 for 1e-5 → 1e-6 (paper section 3.3's schedules).
    """
    if step < warmup:
        return (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * progress))
