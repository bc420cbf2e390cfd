"""A voice as two spectra: what a decoder may be told beside the tokens (ours).

Tokens of one codebook hold what was said or sounded, hardly who spoke. The long-term average
spectrum and its spread, known from forensic phonetics (LTAS), say enough of a voice, and of its
pitch, to make a decoder choose one; they need no model of their own.
"""

from __future__ import annotations

import torch
from torch import Tensor


def voice_vector(mel: Tensor) -> Tensor:
    """Voice `[2 × mels]` of a natural-log mel `[mels, frames]`; level does not matter.

    First half: mean of every band over the frames that are louder than the average frame, without
    the mean over bands. Second half: the bands' standard deviation over the same frames, less 1.
    """
    level = mel.mean(0)
    active = mel[:, level >= level.mean()]
    mean = active.mean(1)
    return torch.cat([(mean - mean.mean()) / 2, active.std(1, correction=0) - 1])
