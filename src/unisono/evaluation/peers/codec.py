"""What a codec is to a comparison: audio in, audio and the size of its payload out."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from unisono.audio import Audio


class Codec(Protocol):
    """Codes speech and decodes it; `name` is unique in a table, `bit_rate` nominal in bit/s."""

    name: str
    bit_rate: float

    def roundtrip(self, audio: Audio) -> tuple[Audio, int]:
        """`audio` decoded again, and the bytes of its payload: no container, no headers.

        The result is mono, at the input's rate, exactly as long and aligned with it: the codec's
        delay is taken out.
        """
        ...


class Untouched:
    """No codec: the clip itself, at the rate of its 16-bit samples."""

    name = "untouched"

    def __init__(self, rate: int = 16_000) -> None:
        self.bit_rate = 16.0 * rate

    def roundtrip(self, audio: Audio) -> tuple[Audio, int]:
        """The mean of its channels, nothing else done to it."""
        return audio.mono(), 2 * audio.length


def fitted(wave: NDArray[np.float32], rate: int, like: Audio) -> Audio:
    """A mono wave `[n]` at `rate` Hz as audio of the rate and the exact length of `like`.

    What is too long is cut at its end, what is too short is filled with silence.
    """
    if not wave.size:
        return Audio(np.zeros(like.length, np.float32), like.rate)
    samples = Audio(wave, rate).resample(like.rate).samples[0, : like.length]
    return Audio(np.pad(samples, (0, like.length - samples.size)), like.rate)
