"""Character error rate, on texts normalised as for the word error rate."""

from __future__ import annotations

from unisono.errors import require_extra
from unisono.evaluation.metrics.wer import WordErrors, normalise


def character_errors(reference: str, hypothesis: str) -> WordErrors:
    """Counts of one pair over characters, single spaces included; `words` counts characters."""
    wanted, heard = normalise(reference), normalise(hypothesis)
    if not wanted or not heard:
        return WordErrors(0, len(wanted), len(heard), len(wanted))
    out = require_extra("jiwer", "eval").process_characters(wanted, heard)
    total = out.hits + out.substitutions + out.deletions
    return WordErrors(out.substitutions, out.deletions, out.insertions, total)
