"""Tokens and statistics that the tests of range coding share; whole numbers, no randomness."""

import numpy as np

from unisono.storage.entropy import CodeStatistics
from unisono.tokens import AudioTokens, TokenLayout, TokenStream

LAYOUT = TokenLayout((TokenStream("once", None, 2, 40), TokenStream("audio", 25, 2, 64)))


def golden_statistics() -> CodeStatistics:
    """Skewed counts; `audio` in four contexts and the row of first frames."""
    once = np.arange(2 * 1 * 40).reshape(2, 1, 40) * 37 % 11
    audio = (np.arange(2 * 5 * 64).reshape(2, 5, 64) * 7919 % 101) ** 2
    contexts = np.arange(2 * 64).reshape(2, 64) * 5 % 4
    return CodeStatistics(
        LAYOUT,
        {"once": once.astype(np.uint32), "audio": audio.astype(np.uint32)},
        {"audio": contexts.astype(np.uint16)},
        "golden",
    )


def golden_tokens() -> AudioTokens:
    """Four seconds."""
    once = np.array([[3], [39]])
    audio = np.arange(2 * 100).reshape(2, 100) ** 2 * 31 % 64
    return AudioTokens({"once": once, "audio": audio}, 64_000, 16_000, LAYOUT, "golden")
